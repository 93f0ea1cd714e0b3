"""The real litellm client against a real HTTP server that misbehaves."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pkgraph.errors import InputError, ProviderGone
from pkgraph.model import Message, Prompt, Response
from pkgraph.settings import ModelSettings
from resources.litellm_model import LiteLLMModel, close_connections
from resources.provider_faults import Redaction, retry_after_s
from tests.llm_server import FakeProvider, Reply

KEY = "sk-canary-0123456789abcdef"
PROMPT = Prompt("p", (Message("system", "s"), Message("user", "u")))
NO_CHOICES = b'{"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": []}'


@contextmanager
def live(provider: FakeProvider, **settings: object) -> Iterator[LiteLLMModel]:
    fields = {"name": "openai/mine", "api_base": provider.url, "timeout_s": 10, **settings}
    try:
        yield LiteLLMModel(ModelSettings.model_validate(fields), api_key=KEY, first_wait_s=0.02)
    finally:
        close_connections()


def answer_to(script: Reply | list[Reply], **settings: object) -> tuple[Response, int]:
    with FakeProvider(script) as provider, live(provider, **settings) as model:
        return model.answer(PROMPT), len(provider.asked)


def test_an_answer_comes_back_with_its_usage() -> None:
    with FakeProvider(Reply("hello", usage=(7, 3))) as provider, live(provider, max_tokens=50) as model:
        answer = model.answer(PROMPT)
        body, headers = provider.asked[0].body, provider.asked[0].headers

    assert (answer.text, answer.status, answer.finish_reason) == ("hello", "answered", "stop")
    assert (answer.input_tokens, answer.output_tokens, answer.cost_usd) == (7, 3, None)
    assert body["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("mine", 50, 0.2)
    assert headers["authorization"] == f"Bearer {KEY}"


def test_configured_prices_make_the_cost() -> None:
    answer, _ = answer_to(Reply(usage=(1000, 10)), input_usd_per_million=2, output_usd_per_million=5)

    assert answer.cost_usd == pytest.approx(1000 * 2e-6 + 10 * 5e-6)


def test_a_known_model_has_litellm_s_price() -> None:
    with (
        FakeProvider(Reply(usage=(1000, 10))) as provider,
        live(provider, name="openai/gpt-4o-mini") as model,
    ):
        assert model.answer(PROMPT).cost_usd == pytest.approx(1000 * 0.15e-6 + 10 * 0.6e-6)


@pytest.mark.parametrize("usage", [None, (-5, -1), (0, 0)])
def test_a_usage_that_was_not_told_is_unknown(usage: tuple[int, int] | None) -> None:
    answer, _ = answer_to(Reply("x", usage=usage), input_usd_per_million=1, output_usd_per_million=1)

    assert (answer.input_tokens, answer.output_tokens, answer.cost_usd) == (None, None, None)


def test_after_a_429_the_answer_comes_and_the_wait_is_the_one_asked_for() -> None:
    started = time.monotonic()
    answer, n_asked = answer_to([Reply("slow down", 429, headers={"Retry-After": "1"}), Reply("ok")])

    assert (answer.text, n_asked) == ("ok", 2)
    assert 1.0 <= time.monotonic() - started < 3.0


@pytest.mark.parametrize(
    "reply",
    [
        Reply("down", 500),
        Reply("down", 503),
        Reply("down", 529),
        Reply("slow down", 429),
        Reply(raw=b"<html>oops</html>"),
        Reply(raw=b""),
        Reply(raw=NO_CHOICES),
    ],
    ids=["500", "503", "529", "429", "html", "empty", "no choices"],
)
def test_as_many_requests_are_sent_as_attempts_are_configured_and_then_it_failed(reply: Reply) -> None:
    answer, n_asked = answer_to(reply, attempts=3)

    assert (answer.status, answer.text, n_asked) == ("failed", None, 3)
    assert answer.detail


def test_a_question_the_provider_refuses_is_not_repeated() -> None:
    answer, n_asked = answer_to(Reply("context too long", 400))

    assert (answer.status, n_asked) == ("failed", 1)
    assert "context too long" in (answer.detail or "")


@pytest.mark.parametrize(
    "reply",
    [Reply(f"wrong key {KEY}", s) for s in (401, 403, 404)] + [Reply(f"insufficient_quota {KEY}", 429)],
    ids=["401", "403", "404", "no credit"],
)
def test_a_provider_that_refuses_every_call_is_gone_and_its_words_hold_no_key(reply: Reply) -> None:
    with FakeProvider(reply) as provider, live(provider) as model:
        with pytest.raises(ProviderGone) as gone:
            model.answer(PROMPT)

        assert len(provider.asked) == 1
    assert "[redacted]" in gone.value.what
    error: BaseException | None = gone.value
    while error is not None:
        assert "canary" not in f"{error!r} {error}"
        error = error.__context__


def test_a_failed_answer_holds_no_key(capfd: pytest.CaptureFixture[str]) -> None:
    answer, _ = answer_to(Reply(f"your key {KEY} is tired", 500), attempts=2)

    assert "your key [redacted] is tired" in (answer.detail or "")
    assert "canary" not in "".join(capfd.readouterr())


def test_a_hanging_provider_is_cut_off_at_the_deadline() -> None:
    started = time.monotonic()
    answer, n_asked = answer_to(Reply(delay_s=30), timeout_s=0.5, attempts=2)

    assert (answer.status, answer.detail, n_asked) == ("failed", "no answer within 0.5 s", 2)
    assert 1.0 <= time.monotonic() - started < 2.0


def test_a_refused_connection_fails_the_prompt_and_not_the_run() -> None:
    with FakeProvider() as provider:
        pass
    with live(provider, attempts=2) as model:
        assert model.answer(PROMPT).status == "failed"


@pytest.mark.parametrize(
    ("reply", "status", "finish"),
    [
        (Reply(None, finish_reason="content_filter"), "unanswered", "content_filter"),
        (Reply("  ", finish_reason="stop"), "unanswered", "stop"),
        (Reply('{"relations": [', finish_reason="length"), "answered", "length"),
    ],
)
def test_an_answer_without_text_says_why(reply: Reply, status: str, finish: str) -> None:
    answer, n_asked = answer_to(reply)

    assert (answer.status, answer.finish_reason, n_asked) == (status, finish, 1)
    assert answer.input_tokens == 100  # paid all the same


def test_many_threads_share_one_model() -> None:
    with FakeProvider(lambda _: Reply("x", delay_s=0.2)) as provider, live(provider) as model:
        model.answer(PROMPT)
        started = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: model.answer(PROMPT), range(16)))
        elapsed_s = time.monotonic() - started

    assert {answer.text for answer in answers} == {"x"}
    assert elapsed_s < 16 * 0.2 / 2


def test_a_model_answers_again_after_its_connections_were_closed() -> None:
    with FakeProvider(Reply("x")) as provider, live(provider) as model:
        assert model.answer(PROMPT).text == "x"
        close_connections()
        assert model.answer(PROMPT).text == "x"


def test_the_key_comes_from_the_variable_that_the_settings_name(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ModelSettings.model_validate({"name": "openai/mine", "api_key_env": "MY_SHOP_KEY"})
    monkeypatch.delenv("MY_SHOP_KEY", raising=False)
    with pytest.raises(InputError, match="MY_SHOP_KEY is not set"):
        LiteLLMModel(settings)
    monkeypatch.setenv("MY_SHOP_KEY", "my-own-word")
    with FakeProvider(Reply("no my-own-word", 500)) as provider:
        here = settings.model_copy(update={"api_base": provider.url, "attempts": 1})
        detail = LiteLLMModel(here).answer(PROMPT).detail or ""
        close_connections()

    assert provider.asked[0].headers["authorization"] == "Bearer my-own-word"
    assert "no [redacted]" in detail


def test_importing_the_door_imports_no_provider() -> None:
    code = (
        "import sys, resources.litellm_model; sys.exit('litellm' in sys.modules or 'dagster' in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        ("3600", 3600.0),
        ("Mon, 23 Nov 2026 10:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 09:00:00 GMT", 0.0),
        ("-5", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, datetime(2026, 11, 23, 10, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    "text",
    ["Bearer abcdef0123456789", "sk-proj-AbC_123456", "key-0123456789", "AIza" + "x" * 35, "hidden-secret-7"],
)
def test_keys_of_any_make_are_taken_out(text: str) -> None:
    assert Redaction(("hidden-secret-7",))(f"Wrong: {text}, sorry") == "Wrong: [redacted], sorry"
