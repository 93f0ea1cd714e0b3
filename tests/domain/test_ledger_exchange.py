"""A ledger goes to a file and comes from one, to the last bit; the file is what the replay reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.llm import AnswerKey, Ledger, ReplayLanguageModel, StoredAnswer, parameters_json
from pkgraph.llm.exchange import exported, import_answers
from pkgraph.model import Message, Prompt, Response, prompt_id
from pkgraph.prompts.rendering import messages_json

MESSAGES = (Message("system", "s"), Message("user", "été 🌮 ?"))
KEY = AnswerKey(prompt_id(MESSAGES), "m", parameters_json({"temperature": 0.2}))
SAID = Response("m", '{"relations": []}', "answered", "stop", 100, 20, 0.1 + 0.2, 1.5, None, "m-2026")
ANSWER = StoredAnswer(KEY, 0, SAID, "2026-11-25T10:00:00+00:00")


def filled(path: Path, *answers: StoredAnswer) -> Ledger:
    ledger = Ledger.open(path)
    ledger.record(answers, {KEY.prompt_id: messages_json(MESSAGES)})
    return ledger


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_what_was_exported_and_imported_is_exported_the_same(tmp_path: Path) -> None:
    second = replace(ANSWER, attempt=1, response=replace(SAID, text="better"))
    nothing = replace(SAID, text=None, status="unanswered", detail="the recorded answer is empty")
    silent = replace(ANSWER, key=KEY._replace(sample=1), response=nothing)
    with filled(tmp_path / "a", silent, second, ANSWER) as first:
        lines = list(exported(first))
    with Ledger.open(tmp_path / "b") as copy:
        done = import_answers(copy, written(tmp_path / "lines", *lines), name="-", imported_at="-")
        assert list(exported(copy)) == lines
        assert copy.latest([KEY])[KEY] == second
        assert copy.messages(KEY.prompt_id) == messages_json(MESSAGES)

    assert (done.n_new, done.n_known, done.bad_lines) == (3, 0, [])


@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=40), sample=st.integers(0, 3), cost=st.floats(0, 1e3))
def test_any_answer_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, text: str, sample: int, cost: float
) -> None:
    folder = tmp_path_factory.mktemp("exchange")
    said = replace(SAID, text=text, status="answered" if text.strip() else "unanswered", cost_usd=cost)
    answer = replace(ANSWER, key=KEY._replace(sample=sample), response=said)
    with filled(folder / "a", answer) as first, Ledger.open(folder / "b") as copy:
        kept = first.latest([answer.key])
        import_answers(copy, written(folder / "lines", *exported(first)), name="-", imported_at="-")
        # Why an empty answer is empty is said anew.
        assert copy.latest([answer.key])[answer.key].response.text == kept[answer.key].response.text
        assert copy.latest([answer.key])[answer.key].response.cost_usd == cost


def test_what_the_ledger_has_stays_and_costs_nothing_twice(tmp_path: Path) -> None:
    other = json.dumps({**json.loads(line_of(tmp_path)), "text": "other", "cost_usd": 9.0})
    with filled(tmp_path / "a", ANSWER) as ledger:
        done = import_answers(ledger, written(tmp_path / "lines", other), name="-", imported_at="-")
        totals = ledger.totals()
        assert ledger.latest([KEY]) == {KEY: ANSWER}

    assert (done.n_new, done.n_known) == (0, 1)
    assert (totals.n_unused_calls, totals.cost_usd) == (0, SAID.cost_usd)


def line_of(tmp_path: Path) -> str:
    with filled(tmp_path / "one", ANSWER) as ledger:
        (line,) = exported(ledger)
    return line


def test_the_replay_reads_what_was_exported_and_the_newest_attempt_counts(tmp_path: Path) -> None:
    second = replace(ANSWER, attempt=1, response=replace(SAID, text="better"))
    another = replace(ANSWER, key=KEY._replace(sample=1), response=replace(SAID, text="another"))
    with filled(tmp_path / "a", ANSWER, second, another) as ledger:
        model = ReplayLanguageModel("m", written(tmp_path / "lines", *exported(ledger)))

    said = [model.answer(Prompt(KEY.prompt_id, MESSAGES), sample=sample).text for sample in (0, 1, 2)]
    assert said == ["better", "another", None]


def test_recorded_answers_of_others_are_taken_over(tmp_path: Path) -> None:
    lines = [json.dumps({"prompt_id": "p", "text": text}) for text in ("first", "second")]
    with Ledger.open(tmp_path / "a") as ledger:
        done = import_answers(ledger, written(tmp_path / "lines", *lines), name="theirs", imported_at="now")
        keys = [AnswerKey("p", "theirs", "{}", sample) for sample in (0, 1)]
        found = ledger.latest(keys)

    assert done.n_new == 2
    assert [found[key].response.text for key in keys] == ["first", "second"]
    assert {answer.asked_at for answer in found.values()} == {"now"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"messages": [{"role": "user", "content": "other"}]}, "other_messages"),
        ({"messages": "hello"}, "wrong_messages"),
        ({"sample": -1}, "wrong_number"),
        ({"attempt": True}, "wrong_number"),
        ({"model": 7}, "wrong_key"),
        ({"parameters": [1]}, "wrong_key"),
        ({"text": 5}, "wrong_text"),
        ({"prompt_id": None}, "missing_prompt_id"),
    ],
)
def test_a_bad_line_costs_itself_alone(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    good = line_of(tmp_path)
    bad = json.dumps({**json.loads(good), **change})
    with Ledger.open(tmp_path / "a") as ledger:
        done = import_answers(ledger, written(tmp_path / "lines", bad, good), name="-", imported_at="-")

    assert (done.n_new, [(line.line, line.reason) for line in done.bad_lines]) == (1, [(1, reason)])
