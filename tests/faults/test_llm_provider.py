"""The real litellm client, behind the ledger, against a real HTTP server that misbehaves."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pkgraph.errors import CallFailed, InputError, ProviderError, ProviderGone
from pkgraph.llm.calling import MAX_FAILED_IN_A_ROW
from pkgraph.settings import ModelSettings
from resources.litellm_model import LiteLLMModel, load_litellm
from resources.provider_faults import Redaction, retry_after_s
from tests.asking import KEY, ask, last_progress, live_model, one_answer
from tests.llm_server import FakeProvider, Reply

NO_CHOICES = b'{"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": []}'
BROKEN = {
    "500": Reply("down", 500),
    "502": Reply("down", 502),
    "503": Reply("down", 503),
    "529": Reply("overloaded", 529),
    "429": Reply("slow down", 429),
    "429 with garbage": Reply("slow down", 429, headers={"Retry-After": "soon"}),
    "429 in the past": Reply("slow", 429, headers={"Retry-After": "Mon, 23 Nov 2020 10:00:30 GMT"}),
    "reset": Reply(resets=True),
    "half a body": Reply(n_missing=100),
    "html": Reply(raw=b"<html>oops</html>"),
    "empty": Reply(raw=b""),
    "no choices": Reply(raw=NO_CHOICES),
}
# Refused or reset before an answer began, nothing was worked on; after a 200 the provider may bill.
UNBILLED = {"500", "502", "503", "529", "429", "429 with garbage", "429 in the past"}


def drip() -> Iterator[bytes]:
    while True:
        time.sleep(0.2)
        yield b" "


def test_an_answer_comes_back_with_its_usage() -> None:
    with FakeProvider(Reply("hello", usage=(7, 3))) as provider:
        answer = one_answer(live_model(provider.url, max_tokens=50))
        body, headers = provider.asked[0].body, provider.asked[0].headers

    assert (answer.text, answer.status, answer.finish_reason) == ("hello", "answered", "stop")
    assert (answer.input_tokens, answer.output_tokens, answer.cost_usd) == (7, 3, 0.0)
    assert body["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("mine", 50, 0.2)
    assert "response_format" not in body
    assert headers["authorization"] == f"Bearer {KEY}"


def test_a_model_is_held_to_the_form_of_an_answer_where_it_can_be(tmp_path: Path) -> None:
    from resources.language_models import open_model

    with FakeProvider() as provider:
        for number, (name, wish) in enumerate([("openai/gpt-4o-mini", None), ("openai/mine", True)]):
            fields = {"name": name, "api_base": provider.url, "structured_output": wish}
            model = open_model(
                ModelSettings.model_validate(
                    {**fields, "input_usd_per_million": 0, "output_usd_per_million": 0}
                )
            )
            assert isinstance(model, LiteLLMModel)
            ask(model, tmp_path / str(number))
        formats = [asked.body["response_format"] for asked in provider.asked]

    assert formats[0] == formats[1]
    assert isinstance(formats[0], dict)
    schema = formats[0]["json_schema"]["schema"]
    statement = schema["properties"]["relations"]["items"]
    assert formats[0]["json_schema"]["strict"] is True
    assert statement["properties"]["relation"]["enum"] == [
        "complement",
        "ingredient",
        "accessory",
        "occasion",
        "audience",
        "substitute",
    ]
    assert statement["required"] == ["relation", "rationale", "product", "explanation", "confidence"]


@pytest.mark.parametrize(
    "name", ["openai/mine", "openai/gpt-5-mini", "openai/o4-mini", "together_ai/mine", "xai/grok-3-mini"]
)
def test_past_openai_s_client_the_same_is_sent_and_understood(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    with FakeProvider(Reply("hello", usage=(7, 3))) as provider:
        for is_past in ("True", ""):
            load_litellm()  # sets the variable
            monkeypatch.setenv("EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER", is_past)
            answer = one_answer(live_model(provider.url, name=name, max_tokens=50))
            asked = provider.asked[-1]
            said = (answer.text, answer.finish_reason, answer.input_tokens, answer.output_tokens)
            seen.append((asked.path, dict(asked.body), asked.headers["authorization"], said))

    assert seen[0] == seen[1]
    assert seen[0][3] == ("hello", "stop", 7, 3)


@pytest.mark.parametrize("fault", BROKEN)
def test_as_many_requests_are_sent_as_attempts_are_configured_and_then_it_failed(
    fault: str, tmp_path: Path
) -> None:
    with FakeProvider(BROKEN[fault]) as provider:
        model = live_model(provider.url, attempts=3, input_usd_per_million=1e6)
        (row,) = ask(model, tmp_path / "ledger").to_dicts()
        cost_usd = last_progress(model, tmp_path / "other").cost_usd

    assert (row["status"], row["text"], len(provider.asked)) == ("failed", None, 6)
    assert row["detail"]
    assert (cost_usd == 0) == (fault in UNBILLED)


def test_a_prompt_that_the_provider_refuses_is_not_repeated(tmp_path: Path) -> None:
    with FakeProvider(Reply("context too long", 400)) as provider:
        (row,) = ask(live_model(provider.url), tmp_path / "ledger").to_dicts()

    assert (row["status"], len(provider.asked)) == ("failed", 1)
    assert "context too long" in row["detail"]


def test_a_request_whose_form_is_refused_is_not_sent_again_in_another_form(tmp_path: Path) -> None:
    with FakeProvider(Reply("temperature is not known here", 422)) as provider:
        (row,) = ask(live_model(provider.url), tmp_path / "ledger").to_dicts()

    assert (row["status"], len(provider.asked)) == ("failed", 1)


def test_what_is_made_ahead_is_not_sent_before_a_place_is_free(tmp_path: Path) -> None:
    now, most, lock = 0, 0, threading.Lock()

    def script(_: object) -> Reply:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with lock:
            now -= 1
        return Reply("x")

    with FakeProvider(script) as provider:
        model = live_model(provider.url, max_concurrency=3)
        rows = [ask(model, tmp_path / f"ledger{number}", 30) for number in range(2)]

    assert [frame["status"].to_list() for frame in rows] == [["answered"] * 30] * 2
    assert most == 3


def test_waiting_for_a_turn_is_no_part_of_the_deadline(tmp_path: Path) -> None:
    with FakeProvider(Reply("x")) as provider:
        model = live_model(provider.url, requests_per_minute=120, timeout_s=1, attempts=1)
        one_answer(model)  # from its first request on the model knows that it can wait on the wire
        rows = ask(model, tmp_path / "ledger", 5)

    assert rows["status"].to_list() == ["answered"] * 5  # the last one two seconds after the first


@pytest.mark.parametrize(("header", "least_s"), [("1", 1.0), ("date", 0.5)], ids=["in seconds", "as a date"])
def test_after_a_429_nobody_asks_before_the_moment_that_the_provider_named(
    header: str, least_s: float, tmp_path: Path
) -> None:
    """Sixteen are on the way; one of them is told to wait, and none is sent until then."""
    arrivals: list[tuple[float, int]] = []

    def script(_: object) -> Reply:
        arrivals.append((time.monotonic(), len(arrivals)))
        if len(arrivals) > 1:
            return Reply("ok", delay_s=0.1)
        moment = datetime.fromtimestamp(time.time() + 1.5, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return Reply("slow down", 429, headers={"Retry-After": moment if header == "date" else header})

    with FakeProvider(script) as provider:
        model = live_model(provider.url, max_concurrency=4, attempts=2)
        rows = ask(model, tmp_path / "ledger", 12)
    moments = [moment for moment, _ in arrivals]
    late = [moment for moment in moments if moment - moments[0] >= least_s]

    assert rows["status"].to_list() == ["answered"] * 12
    assert len(arrivals) == 13
    assert len(late) >= 13 - 4  # those in flight when the 429 came are the only early ones


def test_a_wait_of_an_hour_is_cut_to_what_a_run_can_bear() -> None:
    from pkgraph.llm.retrying import Backoff

    backoff = Backoff(1.0, lambda low, high: high, lambda: True)

    assert backoff(CallFailed("x", is_transient=True, retry_after_s=3600)) == 120


@pytest.mark.parametrize(
    "reply",
    [Reply(f"wrong key {KEY}", s) for s in (401, 403, 404)] + [Reply(f"insufficient_quota {KEY}", 429)],
    ids=["401", "403", "404", "no credit"],
)
def test_a_provider_that_refuses_every_call_is_gone_and_its_words_hold_no_key(
    reply: Reply, tmp_path: Path
) -> None:
    with FakeProvider(reply) as provider, pytest.raises(ProviderGone) as gone:
        ask(live_model(provider.url, max_concurrency=1), tmp_path / "ledger", 20)

    # Besides the one refused, the one that stood ready behind it.
    assert len(provider.asked) <= 2
    assert "[redacted]" in gone.value.what
    error: BaseException | None = gone.value
    while error is not None:
        assert "canary" not in f"{error!r} {error}"
        error = error.__context__


def test_a_failed_answer_holds_no_key(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with FakeProvider(Reply(f"your key {KEY} is tired", 500)) as provider:
        (row,) = ask(live_model(provider.url, attempts=2), tmp_path / "ledger").to_dicts()

    assert "your key [redacted] is tired" in row["detail"]
    assert "canary" not in "".join(capfd.readouterr())
    assert b"canary" not in (tmp_path / "ledger").read_bytes()


@pytest.mark.parametrize(
    "reply",
    [Reply(delay_s=60), Reply(chunks=drip), Reply(n_missing=10, holds=True)],
    ids=["silent", "a byte every 0.2 s", "stalled in the body"],
)
def test_the_deadline_of_an_attempt_holds_within_a_tenth(reply: Reply) -> None:
    with FakeProvider(Reply()) as warm:
        one_answer(live_model(warm.url))
    with FakeProvider(reply) as provider:
        started = time.monotonic()
        with pytest.raises(CallFailed, match="no answer within 2 s") as failed:
            one_answer(live_model(provider.url, timeout_s=2))
        elapsed_s = time.monotonic() - started

    assert failed.value.is_transient
    assert failed.value.may_be_billed
    assert 2.0 <= elapsed_s < 2.2


def test_a_refused_connection_fails_the_prompt_and_not_the_run(tmp_path: Path) -> None:
    with FakeProvider() as provider:
        pass
    model = live_model(provider.url, attempts=2, input_usd_per_million=1e6)

    assert ask(model, tmp_path / "ledger")["status"].to_list() == ["failed"]
    assert last_progress(model, tmp_path / "other").cost_usd == 0  # nothing was sent


@pytest.mark.parametrize("host", ["https://127.0.0.1:{port}/v1", "http://no-such-host.invalid/v1"])
def test_no_tls_and_no_name_are_failures_that_may_pass(host: str, tmp_path: Path) -> None:
    with FakeProvider() as provider:
        url = host.format(port=provider.url.split(":")[2].split("/")[0])
        with pytest.raises(CallFailed) as failed:
            one_answer(live_model(url))

    assert failed.value.is_transient
    assert not failed.value.may_be_billed


def test_a_provider_that_is_down_is_left_alone_after_a_while(tmp_path: Path) -> None:
    with FakeProvider(Reply("down", 500)) as provider, pytest.raises(ProviderError, match="in a row"):
        ask(live_model(provider.url, attempts=1, max_concurrency=1), tmp_path / "ledger", 100)

    assert MAX_FAILED_IN_A_ROW <= len(provider.asked) <= MAX_FAILED_IN_A_ROW + 2


@pytest.mark.parametrize(
    ("reply", "status", "finish"),
    [
        (Reply(None, finish_reason="content_filter"), "unanswered", "content_filter"),
        (Reply("  ", finish_reason="stop"), "unanswered", "stop"),
        (Reply('{"relations": [', finish_reason="length"), "answered", "length"),
    ],
)
def test_an_answer_without_text_says_why(reply: Reply, status: str, finish: str) -> None:
    with FakeProvider(reply) as provider:
        answer = one_answer(live_model(provider.url))

    assert (answer.status, answer.finish_reason) == (status, finish)
    assert answer.input_tokens == 100  # paid all the same


def test_a_model_answers_again_in_another_event_loop() -> None:
    with FakeProvider(Reply("x")) as provider:
        model = live_model(provider.url)
        assert [one_answer(model).text for _ in range(3)] == ["x"] * 3


def test_the_key_comes_from_the_variable_that_the_settings_name(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ModelSettings.model_validate({"name": "openai/mine", "api_key_env": "MY_SHOP_KEY"})
    monkeypatch.delenv("MY_SHOP_KEY", raising=False)
    with pytest.raises(InputError, match="MY_SHOP_KEY is not set"):
        LiteLLMModel(settings)
    monkeypatch.setenv("MY_SHOP_KEY", "my-own-word")
    with FakeProvider(Reply("no my-own-word", 500)) as provider, pytest.raises(CallFailed) as failed:
        one_answer(LiteLLMModel(settings.model_copy(update={"api_base": provider.url})))

    assert provider.asked[0].headers["authorization"] == "Bearer my-own-word"
    assert "no [redacted]" in failed.value.what


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
