"""The ledger is asked first, a model only for the rest, and what it said is kept before anyone sees it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

from pkgraph.errors import ProviderGone
from pkgraph.llm import Ledger, Progress, ReplayLanguageModel, ask_all
from pkgraph.model import CallPolicy, Message, Prompt, Response, WorstCase, prompt_id
from pkgraph.prompts.rendering import messages_json
from pkgraph.tables import LLM_RESPONSES, PROMPTS


def now() -> datetime:
    return datetime(2026, 11, 23, tzinfo=UTC)


def prompts(*questions: str) -> pl.DataFrame:
    rows = []
    for question in questions:
        messages = (Message("system", "s"), Message("user", question))
        row = {"prompt_id": prompt_id(messages), "template": "t.v1", "messages": messages_json(messages)}
        rows.append({**row, "rationale": question, "input_tokens": 1})
    return PROMPTS.conform(pl.DataFrame(rows, schema=PROMPTS.schema))


@dataclass
class Scripted:
    """A live model that answers from its script and counts what it was asked."""

    script: Callable[[str], Response] = lambda question: Response("live", f"about {question}", cost_usd=0.5)
    name: str = "live"
    parameters: Mapping[str, object] = field(default_factory=lambda: {"temperature": 0.2})
    asked: Counter[str] = field(default_factory=Counter)
    is_closed: bool = False

    at_once: int = 8

    @property
    def policy(self) -> CallPolicy:
        return CallPolicy(self.name, max_at_once=self.at_once, first_wait_s=0.0)

    def worst_case(self, prompt: Prompt) -> WorstCase:
        return WorstCase(10, 0.5)

    async def answer(self, prompt: Prompt, *, sample: int = 0) -> Response:
        self.asked[prompt.messages[-1].content] += 1
        return self.script(prompt.messages[-1].content)

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def ledger(tmp_path: Path) -> Iterable[Ledger]:
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        yield opened


def replay(path: Path, answers: Mapping[str, str]) -> ReplayLanguageModel:
    ids = dict(zip(prompts(*answers)["rationale"], prompts(*answers)["prompt_id"], strict=True))
    rows = [json.dumps({"prompt_id": ids[question], "text": text}) for question, text in answers.items()]
    path.write_text("\n".join(rows), encoding="utf-8")
    return ReplayLanguageModel("recorded", path)


def test_every_prompt_model_and_sample_has_a_row(ledger: Ledger) -> None:
    models = [Scripted(), Scripted(name="other")]
    responses = ask_all(prompts("a", "b"), models, ledger, now=now, samples=3)

    assert responses.height == 2 * 2 * 3
    assert responses.columns == LLM_RESPONSES.schema.names()
    assert responses.select("rationale", "model", "sample").is_unique().all()
    assert responses.filter(rationale="a", model="live")["text"].to_list() == ["about a"] * 3
    assert set(responses["parameters"]) == {'{"temperature":0.2}'}


def test_what_was_answered_is_never_asked_again(ledger: Ledger) -> None:
    model = Scripted()
    seen: list[Progress] = []
    first = ask_all(prompts("a", "b"), [model], ledger, now=now)
    again = ask_all(prompts("b", "a", "c"), [model], ledger, now=now, on_progress=seen.append)

    assert model.asked == {"a": 1, "b": 1, "c": 1}
    assert again.filter(pl.col("rationale") != "c").equals(first)
    assert (seen[0], seen[-1]) == (Progress(3, 2), Progress(3, 2, 1, cost_usd=0.5))


def test_one_prompt_on_two_rows_is_asked_once(ledger: Ledger) -> None:
    model = Scripted()
    ask_all(pl.concat([prompts("a"), prompts("a")]), [model], ledger, now=now)

    assert model.asked == {"a": 1}


def test_other_parameters_are_another_question(ledger: Ledger) -> None:
    cold, warm = Scripted(parameters={"temperature": 0}), Scripted(parameters={"temperature": 1})
    ask_all(prompts("a"), [cold], ledger, now=now)
    ask_all(prompts("a"), [warm], ledger, now=now)

    assert (cold.asked, warm.asked) == ({"a": 1}, {"a": 1})


def test_the_result_does_not_depend_on_the_order_of_answers(tmp_path: Path) -> None:
    frames = []
    for workers in (1, 7):
        with Ledger.open(tmp_path / f"{workers}.sqlite") as ledger:
            frames.append(ask_all(prompts(*"abcdefgh"), [Scripted(at_once=workers)], ledger, now=now))

    assert frames[0].equals(frames[1])


def test_a_failed_call_is_a_row_and_the_next_run_asks_again_under_the_same_key(ledger: Ledger) -> None:
    failing = Scripted(lambda _: Response("live", None, "failed", detail="busy"))
    failed = ask_all(prompts("a"), [failing], ledger, now=now)
    answered = ask_all(prompts("a"), [Scripted()], ledger, now=now)

    assert failed.select("status", "text", "detail", "attempt").row(0) == ("failed", None, "busy", 0)
    assert answered.select("status", "attempt").row(0) == ("answered", 0)
    assert failed["response_id"].item() == answered["response_id"].item()
    assert (ledger.totals().n_answers, ledger.totals().n_unused_calls) == (1, 1)


def test_an_empty_answer_of_a_provider_was_paid_and_is_not_asked_again(ledger: Ledger) -> None:
    model = Scripted(lambda _: Response("live", None, "unanswered", "content_filter", cost_usd=0.5))
    for _ in range(2):
        responses = ask_all(prompts("a"), [model], ledger, now=now)

    assert model.asked == {"a": 1}
    assert responses["finish_reason"].item() == "content_filter"


def test_a_replay_without_the_answer_is_a_row_and_no_answer(ledger: Ledger, tmp_path: Path) -> None:
    lacking = ask_all(prompts("a", "b"), [replay(tmp_path / "1", {"a": "x"})], ledger, now=now)
    filled = ask_all(prompts("a", "b"), [replay(tmp_path / "2", {"a": "x", "b": "y"})], ledger, now=now)

    assert lacking.sort("rationale")["status"].to_list() == ["answered", "unanswered"]
    assert lacking.sort("rationale")["detail"].to_list() == [None, "no recorded answer"]
    assert filled.sort("rationale")["text"].to_list() == ["x", "y"]
    assert filled["attempt"].to_list() == [0, 0]


def test_a_corrected_answer_file_is_a_new_attempt_and_the_old_answer_stays(
    ledger: Ledger, tmp_path: Path
) -> None:
    old = ask_all(prompts("a"), [replay(tmp_path / "1", {"a": "x"})], ledger, now=now)
    new = ask_all(prompts("a"), [replay(tmp_path / "2", {"a": "y"})], ledger, now=now)

    assert new.select("text", "attempt").row(0) == ("y", 1)
    first = ledger.answer(old["response_id"].item())
    assert first is not None
    assert first.response.text == "x"


def test_replaying_twice_is_identical_and_writes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    model = replay(tmp_path / "1", {"a": "x", "b": "y"})
    first = ask_all(prompts("a", "b"), [model], ledger, now=now)
    mark = ledger.totals().high_water_mark

    assert ask_all(prompts("a", "b"), [model], ledger, now=now).equals(first)
    assert ledger.totals().high_water_mark == mark == 2


def test_an_unreadable_answer_is_asked_for_again_as_often_as_allowed(ledger: Ledger) -> None:
    model = Scripted()
    for attempts, asked in ((1, 1), (2, 2), (2, 2), (3, 3)):
        responses = ask_all(
            prompts("a"), [model], ledger, now=now, parse_status=lambda _: "not_json", attempts=attempts
        )
        assert model.asked == {"a": asked}
        assert responses["attempt"].item() == asked - 1


def test_the_parser_sees_an_answer_only_after_it_is_kept_and_its_newest_word_is_noted(ledger: Ledger) -> None:
    def broken_parser(text: str) -> str:
        raise ArithmeticError(text)

    model = Scripted()
    with pytest.raises(ArithmeticError):
        ask_all(prompts("a"), [model], ledger, now=now, parse_status=broken_parser)
    for word in ("not_json", "read"):
        parser = dict.fromkeys(["about a"], word).__getitem__
        rows = ask_all(prompts("a"), [model], ledger, now=now, parse_status=parser)
        answer = ledger.answer(rows["response_id"].item())
        assert answer is not None
        assert answer.parse_status == word

    assert model.asked == {"a": 1}


def test_a_failed_new_attempt_leaves_the_answer_there_is(ledger: Ledger) -> None:
    ask_all(prompts("a"), [Scripted()], ledger, now=now)
    failing = Scripted(lambda _: Response("live", None, "failed"))
    kept = ask_all(prompts("a"), [failing], ledger, now=now, parse_status=lambda _: "bad", attempts=2)

    assert kept.select("text", "attempt").row(0) == ("about a", 0)


def test_a_provider_that_is_gone_stops_the_run_and_every_answer_is_kept(ledger: Ledger) -> None:
    def script(question: str) -> Response:
        if question == "c":
            raise ProviderGone("wrong key")
        return Response("live", question)

    model = Scripted(script, at_once=1)
    ordered = list(prompts(*"abcdefgh")["rationale"])
    with pytest.raises(ProviderGone):
        ask_all(prompts(*"abcdefgh"), [model], ledger, now=now)

    before = ordered[: ordered.index("c")]
    assert sorted(model.asked) == sorted([*before, "c"])
    assert ledger.totals().n_answers == len(before)


def test_an_interrupted_run_keeps_what_is_in_flight(ledger: Ledger) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.n_answered == 2:
            raise KeyboardInterrupt

    model = Scripted(at_once=2)
    with pytest.raises(KeyboardInterrupt):
        ask_all(prompts(*"abcdefgh"), [model], ledger, now=now, on_progress=interrupt)

    assert ledger.totals().n_answers == model.asked.total() >= 2


def test_the_ledger_says_when_a_prompt_was_last_answered(ledger: Ledger) -> None:
    table = prompts("a", "b")
    later = datetime(2026, 12, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    ask_all(table.filter(rationale="a"), [Scripted()], ledger, now=now)
    ask_all(table.filter(rationale="a"), [Scripted(name="other")], ledger, now=lambda: later)
    failing = Scripted(lambda _: Response("live", None, "failed"))
    ask_all(table.filter(rationale="b"), [failing], ledger, now=now)

    assert ledger.answered_at(table["prompt_id"]) == {table.filter(rationale="a")["prompt_id"].item(): later}


def test_nothing_to_ask_is_an_empty_table(ledger: Ledger) -> None:
    assert ask_all(prompts(), [Scripted()], ledger, now=now).equals(LLM_RESPONSES.empty())
    assert ask_all(prompts("a"), [], ledger, now=now).equals(LLM_RESPONSES.empty())


def test_an_answer_from_before_the_moment_of_renewal_is_asked_for_again_and_paid_once(ledger: Ledger) -> None:
    day = timedelta(days=1)
    model = Scripted()
    ask_all(prompts("old"), [model], ledger, now=now)
    ask_all(prompts("young"), [model], ledger, now=lambda: now() + 20 * day)
    model.script = lambda question: Response("live", f"news of {question}", cost_usd=0.25)
    for _ in range(2):  # a run that was killed and asked for again
        renewed = ask_all(
            prompts("old", "young", "never"),
            [model],
            ledger,
            now=lambda: now() + 31 * day,
            renew_before=dict.fromkeys(prompts("old", "young", "never")["prompt_id"], now() + day),
        )

    assert model.asked == {"old": 2, "young": 1, "never": 1}
    texts = dict(renewed.select("rationale", "text").iter_rows())
    assert texts == {"old": "news of old", "young": "about young", "never": "news of never"}
    assert renewed.filter(rationale="old")["attempt"].to_list() == [1]
    assert [(old, new) for _, old, new in ledger.renewed()] == [("about old", "news of old")]


def test_where_renewing_fails_the_old_answer_counts(ledger: Ledger) -> None:
    model = Scripted()
    ask_all(prompts("a"), [model], ledger, now=now)
    model.script = lambda _: Response("live", None, status="failed", detail="no answer within 60 s")
    (key,) = prompts("a")["prompt_id"]
    renewed = ask_all(prompts("a"), [model], ledger, now=now, renew_before={key: now()})

    assert renewed["text"].to_list() == ["about a"]
    assert ledger.answered_at([key]) == {key: now()}
    assert list(ledger.renewed()) == []


def test_a_renewed_answer_that_cannot_be_read_does_not_take_the_place_of_one_that_can(
    ledger: Ledger,
) -> None:
    """It stays in the ledger and is not asked for again before it is due; a readable one then counts."""
    (key,) = prompts("a")["prompt_id"]
    model, said = Scripted(), []
    for day, text in enumerate(("about a", "Sorry, I cannot", "news of a")):
        moment, answer = now() + timedelta(days=day), Response("live", text, cost_usd=0.5)
        model.script = {"a": answer}.__getitem__
        for due in ({key: moment}, {}):
            found = ask_all(
                prompts("a"),
                [model],
                ledger,
                now=moment.replace,
                parse_status=read_unless_sorry,
                renew_before=due,
            )
            said += found["text"].to_list()

    assert said == ["about a"] * 4 + ["news of a"] * 2
    assert model.asked == {"a": 3}
    assert ledger.totals().n_answers == 3


def read_unless_sorry(text: str) -> str:
    return "no_json" if "Sorry" in text else "read"


def test_a_prompt_is_as_old_as_the_model_that_answered_it_longest_ago(ledger: Ledger) -> None:
    (key,) = prompts("a")["prompt_id"]
    ask_all(prompts("a"), [Scripted()], ledger, now=now)
    ask_all(prompts("a"), [Scripted(name="other")], ledger, now=lambda: now() + timedelta(days=3))

    assert ledger.answered_at([key]) == {key: now() + timedelta(days=3)}
    assert ledger.answered_at([key], models=["live", "other"]) == {key: now()}
    assert ledger.answered_at([key], models=["other"]) == {key: now() + timedelta(days=3)}
    assert ledger.answered_at([key], models=["live", "third"]) == {}
