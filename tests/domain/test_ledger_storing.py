"""An acknowledged answer is on disk, once, and never changes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pkgraph.errors import LedgerError
from pkgraph.llm import AnswerKey, Lease, Ledger, Limits, StoredAnswer, Wanted, parameters_json
from pkgraph.llm.history import Bought
from pkgraph.model import Response

KEY = AnswerKey("p1", "m", parameters_json({"temperature": 0.2}), 0)
ANSWER = StoredAnswer(
    KEY,
    0,
    Response("m", "été 🌮", "answered", "stop", 100, 20, 0.1 + 0.2, 1.5, None),
    "2026-11-23T10:00:00",
)
MESSAGES = {"p1": "[]", "p2": "[]"}

WRITER = """
import sys
from pkgraph.llm import AnswerKey, Ledger, StoredAnswer
from pkgraph.model import Response
path, me = sys.argv[1:]
with Ledger.open(path) as ledger:
    for number in range(25):
        for prompt in (f"mine-{me}-{number}", f"shared-{number}"):
            said = Response("m", f"by {me}", cost_usd=1.0)
            answer = StoredAnswer(AnswerKey(prompt, "m", "{}"), 0, said, "t")
            ledger.record([answer], {prompt: "[]"})
"""


def test_what_was_recorded_is_found_again_to_the_last_bit(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "new" / "ledger.sqlite") as ledger:
        assert ledger.record([ANSWER], MESSAGES) == [ANSWER]
    with Ledger.open(tmp_path / "new" / "ledger.sqlite") as ledger:
        assert ledger.latest([KEY]) == {KEY: ANSWER}
        assert ledger.answer(ANSWER.response_id) == ANSWER
        assert ledger.messages("p1") == "[]"


def test_a_url_and_a_path_name_the_same_ledger(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record([ANSWER], MESSAGES)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        assert ledger.latest([KEY]) == {KEY: ANSWER}


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger, ledger._reads() as connection:
        modes = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        ]

    assert modes == ["wal", 2]  # 2 is FULL


def test_a_second_answer_to_the_same_attempt_leaves_the_first_and_its_cost_counts(tmp_path: Path) -> None:
    late = replace(ANSWER, response=replace(ANSWER.response, text="other", cost_usd=2.0))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record([ANSWER], MESSAGES)

        assert ledger.record([late], MESSAGES) == [ANSWER]
        totals = ledger.totals()
    assert (totals.n_answers, totals.n_unused_calls) == (1, 1)
    assert totals.cost_usd == pytest.approx(2.3)


def test_the_newest_attempt_is_the_latest(tmp_path: Path) -> None:
    second = replace(ANSWER, attempt=1, response=replace(ANSWER.response, text="better"))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record([second], MESSAGES)
        ledger.record([ANSWER], MESSAGES)

        assert ledger.latest([KEY])[KEY].response.text == "better"


@pytest.mark.parametrize(
    "other",
    [
        KEY._replace(prompt_id="p2"),
        KEY._replace(model="n"),
        KEY._replace(parameters="{}"),
        KEY._replace(sample=1),
    ],
)
def test_every_part_of_the_key_counts(tmp_path: Path, other: AnswerKey) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record([ANSWER], MESSAGES)

        assert ledger.latest([other]) == {}
    assert other.response_id(0) != ANSWER.response_id


def test_parameters_have_one_spelling() -> None:
    assert parameters_json({"b": 1, "a": 0.2}) == parameters_json({"a": 0.2, "b": 1}) == '{"a":0.2,"b":1}'


def test_the_totals_say_what_is_not_known(tmp_path: Path) -> None:
    free = replace(ANSWER, key=KEY._replace(sample=1), response=replace(ANSWER.response, cost_usd=None))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.totals().high_water_mark == 0
        ledger.record([ANSWER, free], MESSAGES)
        wanted = Wanted(KEY, 1, 0.5)
        (lease,) = ledger.lease([wanted], holder="h", limits=Limits("r"), now=datetime.now(UTC))
        assert isinstance(lease, Lease)
        failed = replace(ANSWER, attempt=1, response=Response("m", None, "failed", detail="gone"))
        ledger.settle([(lease, failed)], MESSAGES)
        totals = ledger.totals()

    assert (totals.n_prompts, totals.n_answers, totals.n_unused_calls) == (1, 2, 1)
    assert (totals.input_tokens, totals.output_tokens) == (200, 40)
    assert (totals.n_unknown_cost, totals.high_water_mark) == (1, 2)


def test_what_was_bought_between_two_marks_is_what_came_after_the_first(tmp_path: Path) -> None:
    free = replace(ANSWER, response=replace(ANSWER.response, cost_usd=None))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record([ANSWER], MESSAGES)
        mark = ledger.totals().high_water_mark
        ledger.record([replace(ANSWER, attempt=1), replace(free, attempt=2)], MESSAGES)
        newest = ledger.totals().high_water_mark

        assert ledger.bought(mark, newest) == Bought(2, 0.1 + 0.2, 1)
        assert ledger.bought(newest, newest) == Bought(0, 0.0, 0)


def test_the_mark_of_a_prompt_moves_with_its_answers_alone(tmp_path: Path) -> None:
    other = replace(ANSWER, key=KEY._replace(prompt_id="p2"))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record([ANSWER], MESSAGES)
        before = ledger.marks(["p1", "p2", "p3"])
        ledger.record([other], MESSAGES)
        assert before.keys() == {"p1"}
        assert ledger.marks(["p1"]) == before
        ledger.record([replace(ANSWER, attempt=1)], MESSAGES)
        assert ledger.marks(["p1"])["p1"] > ledger.marks(["p2"])["p2"] > before["p1"]


def test_text_that_no_database_holds_is_stored_readably(tmp_path: Path) -> None:
    odd = replace(ANSWER, response=replace(ANSWER.response, text="a\x00b\ud800c"))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.record([odd], MESSAGES)[0].response.text == "a\ufffdb\ufffdc"


def test_more_prompts_than_one_statement_takes_are_found(tmp_path: Path) -> None:
    answers = [replace(ANSWER, key=KEY._replace(prompt_id=f"p{n}")) for n in range(1201)]
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record(answers, {answer.key.prompt_id: "[]" for answer in answers})

        assert len(ledger.latest(answer.key for answer in answers)) == 1201


def test_a_file_that_is_no_ledger_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("these are notes, not a database" * 100)

    with pytest.raises(LedgerError, match=r"notes\.txt cannot be used: file is not a database"):
        Ledger.open(tmp_path / "notes.txt")


def test_an_error_of_the_database_shows_no_answer(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        other = sqlite3.connect(tmp_path / "ledger.sqlite")
        other.execute("DROP TABLE responses")
        other.close()
        with pytest.raises(LedgerError) as refused:
            ledger.record([ANSWER], MESSAGES)

    assert "no such table" in refused.value.what
    assert "été" not in str(refused.value)


def test_four_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.sqlite")
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(me)]) for me in range(4)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0, 0]

    with Ledger.open(path) as ledger:
        totals = ledger.totals()
    assert (totals.n_answers, totals.n_unused_calls) == (4 * 25 + 25, 3 * 25)
    assert totals.cost_usd == 200.0
