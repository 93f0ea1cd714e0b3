"""An answer of 200 MB, one without an end, and a packed one are refused at the cap, in bounded memory."""

from __future__ import annotations

import gzip
import json
import resource
import time
from collections.abc import Iterator

import pytest

from pkgraph.errors import CallFailed
from resources.litellm_model import load_litellm
from resources.wire import MAX_ANSWER_BYTES
from tests.asking import live_model, one_answer
from tests.llm_server import FakeProvider, Reply
from tests.orchestration.children import ended, start

MB = 1_000_000


def body_of(n_bytes: int) -> Iterator[bytes]:
    """A well-formed answer with a text of so many bytes."""
    head, tail = Reply("TEXT").encoded("m").split(b"TEXT")
    yield head
    for _ in range(n_bytes // MB):
        yield b"x" * MB
    yield tail


def endless() -> Iterator[bytes]:
    while True:
        yield b" " * 65_536


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def growth_mb(url: str, warm_url: str) -> tuple[str, float]:
    """Why the answer was refused, and how much the process grew by it."""
    one_answer(live_model(warm_url))  # what the client itself takes is taken before
    before = peak_mb()
    with pytest.raises(CallFailed) as failed:
        one_answer(live_model(url, timeout_s=60))
    return failed.value.what, peak_mb() - before


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("kind", ["200 MB", "endless"])
def test_too_long_an_answer_is_cut_off_and_takes_at_most_50_mb(kind: str, status: int) -> None:
    def chunks() -> Iterator[bytes]:
        return body_of(200 * MB) if kind == "200 MB" else endless()

    with FakeProvider(Reply(status=status, chunks=chunks)) as provider, FakeProvider() as warm:
        why, grown_mb = ended(*start(growth_mb, provider.url, warm.url)).value

    assert why == f"an answer of more than {MAX_ANSWER_BYTES:,} bytes"
    assert grown_mb <= 50


def test_the_longest_answer_that_is_taken_is_taken_whole() -> None:
    n_bytes = MAX_ANSWER_BYTES // MB * MB - MB
    with FakeProvider(Reply(chunks=lambda: body_of(n_bytes))) as provider:
        text = one_answer(live_model(provider.url)).text

    assert text is not None
    assert len(text) == n_bytes


def test_a_packed_answer_is_refused_since_its_length_is_unknown() -> None:
    packed = gzip.compress(json.dumps({"x": " " * MB}).encode())
    reply = Reply(raw=packed, headers={"Content-Encoding": "gzip"})
    with FakeProvider(reply) as provider, pytest.raises(CallFailed, match="packed") as failed:
        one_answer(live_model(provider.url))

    assert not failed.value.is_transient
    assert provider.asked[0].headers["accept-encoding"] == "identity"


def test_the_cap_holds_for_providers_with_another_client() -> None:
    """Anthropic's is not the one of OpenAI's protocol."""
    load_litellm()
    with FakeProvider(Reply(chunks=endless)) as provider:
        started = time.monotonic()
        with pytest.raises(CallFailed, match="bytes"):
            one_answer(live_model(provider.url, name="anthropic/claude-mine", timeout_s=60))

    assert time.monotonic() - started < 60
    assert provider.asked[0].path.endswith("/messages")
