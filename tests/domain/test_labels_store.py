"""Labels are never changed: the last word counts, undoing restores the former, the store draws the audit."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.errors import InputError, LedgerError
from pkgraph.labels import join_labels
from pkgraph.labels.queue import draw_audit, open_audits, with_statement
from pkgraph.labels.standing import audit_labels, pair_verdicts, standing_labels, with_stored
from pkgraph.labels.store import Label, LabelStore, Pair
from pkgraph.tables import RELATION_LABELS
from tests.gate_data import mapped, relation

NOW = "2026-11-25T10:00:00+00:00"
WORDS = {"rationale": "afternoon tea"}


def pair(target: str = "sugar", position: int = 0, **changes: object) -> Pair:
    row = with_statement(mapped(relation("tea", target, position, **changes))).row(0, named=True)
    return Pair(*(row[name] for name in Pair.__dataclass_fields__))


def said(what: Pair, holds: bool, annotator: str = "ada", fit: int | None = 2, **more: object) -> Label:
    return replace(Label(what, holds, annotator, NOW, fit=fit), **more)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LabelStore]:
    with LabelStore.open(tmp_path / "labels.sqlite") as opened:
        yield opened


def verdicts(store: LabelStore) -> list[tuple[bool, bool | None]]:
    return pair_verdicts(standing_labels(store.history())).select("holds", "is_right").rows()


def drawn(store: LabelStore, *pairs: Pair, sample: str = "s") -> None:
    words = [(one, WORDS) for one in pairs]
    store.record_draws(words, population="p", n_population=9, seed=1, created_at=NOW, sample=sample)


def test_a_later_label_of_one_reviewer_supersedes_and_both_stay_in_the_history(store: LabelStore) -> None:
    store.add([said(pair(), True), said(pair(), False)])

    assert store.history()["holds"].to_list() == [True, False]
    assert verdicts(store) == [(False, False)]


def test_undoing_brings_the_former_label_back(store: LabelStore) -> None:
    _, second = store.add([said(pair(), True), said(pair(), False)]).sequences

    store.undo(second, annotator="ada", created_at=NOW)

    assert store.history().height == 3
    assert verdicts(store) == [(True, True)]


@pytest.mark.parametrize(("sequence", "annotator"), [(1, "bob"), (2, "ada"), (3, "ada"), (9, "ada")])
def test_only_an_own_label_can_be_undone_and_once(store: LabelStore, sequence: int, annotator: str) -> None:
    store.add([said(pair(), True), said(pair(), False)])
    store.undo(2, annotator="ada", created_at=NOW)

    with pytest.raises(InputError, match="could be undone"):
        store.undo(sequence, annotator=annotator, created_at=NOW)
    assert store.history().height == 3


def test_the_same_label_again_is_no_second_one(store: LabelStore) -> None:
    again = [store.add([said(pair(), True)]), store.add([said(pair(), True)])]
    with_key = [store.add([said(pair(), holds, key="request-1")]) for holds in (False, True)]

    assert [(one.sequences, one.n_new) for one in again] == [((1,), 1), ((1,), 0)]
    assert [(one.sequences, one.n_new) for one in with_key] == [((2,), 1), ((2,), 0)]
    assert store.history().height == 2


@pytest.mark.parametrize("statement", ["DELETE FROM labels", "UPDATE labels SET holds = 1"])
def test_a_row_is_neither_changed_nor_deleted(store: LabelStore, tmp_path: Path, statement: str) -> None:
    store.add([said(pair(), False)])

    path = tmp_path / "labels.sqlite"
    with closing(sqlite3.connect(path)) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute(statement)
    assert verdicts(store) == [(False, False)]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"annotator": "=cmd()"}, "wrong_annotator"),
        ({"annotator": "a\x1b[31m"}, "wrong_annotator"),
        ({"annotator": ""}, "wrong_annotator"),
        ({"source": "boss"}, "wrong_source"),
        ({"reason": "Not Typical!"}, "wrong_reason"),
        ({"fit": 3}, "wrong_fit"),
        ({"created_at": "yesterday"}, "wrong_time"),
        ({"created_at": "2026-11-25T10:00:00"}, "wrong_time"),
        ({"calibration_draw": -1}, "wrong_draw"),
        ({"key": "two words"}, "wrong_key"),
        ({"pair": replace(pair(), target_kind_id=None)}, "wrong_fit"),
    ],
)
def test_a_wrong_label_is_named_and_none_is_stored(
    store: LabelStore, changes: dict[str, object], fault: str
) -> None:
    with pytest.raises(InputError, match=fault):
        store.add([said(pair("milk", 1), True), replace(said(pair(), True), **changes)])  # type: ignore[arg-type]
    assert store.history().is_empty()


def test_reviewers_must_agree(store: LabelStore) -> None:
    store.add([said(pair(), True), said(pair(), True, "bob", fit=0, reason="wrong_kind")])
    found = pair_verdicts(standing_labels(store.history()))

    assert found.select("holds", "is_right", "n_labels", "is_conflicting").rows() == [(True, False, 2, True)]


def test_a_judge_is_heard_only_where_no_person_spoke(store: LabelStore) -> None:
    store.add([said(pair(), True), said(pair(), False, "gpt", source="judge")])
    store.add([said(pair("milk", 1), False, "gpt", source="judge")])

    assert dict(standing_labels(store.history()).select("annotator", "holds").iter_rows()) == {
        "ada": True,
        "gpt": False,
    }
    assert sorted(verdicts(store)) == [(False, False), (True, True)]


def test_the_last_word_on_a_statement_counts_for_all_its_kinds(store: LabelStore) -> None:
    other_kind = replace(pair(), target_kind_id="brown sugar")
    store.add([said(pair(), True), said(other_kind, False, fit=0)])

    assert verdicts(store) == [(False, False), (False, False)]


def test_only_what_the_store_drew_is_an_audit_label(store: LabelStore) -> None:
    drawn(store, pair())
    store.add([said(pair(), True), said(pair("milk", 1), True, source="audit")])

    assert store.history()["drawn"].to_list() == ["audit", "active"]
    assert audit_labels(store, "s").select("draw", "is_right").rows() == [(0, True)]


def test_the_audit_ends_at_the_first_draw_that_nobody_judged(store: LabelStore) -> None:
    """Who may leave out the hard ones measures nothing."""
    pairs = [pair(f"target {n}", n) for n in range(4)]
    drawn(store, *pairs)
    store.add([said(pairs[n], n != 3) for n in (0, 1, 3)])
    before = audit_labels(store, "s")["is_right"].to_list()
    store.add([said(pairs[2], False)])

    assert before == [True, True]
    assert audit_labels(store, "s")["is_right"].to_list() == [True, True, False, False]


def test_audits_of_a_former_sample_neither_count_nor_are_waited_for(store: LabelStore) -> None:
    """A certificate that audits refuted comes back with a sample of its own, and is not refuted by them."""
    drawn(store, pair(), pair("milk", 1), sample="former")
    drawn(store, pair("lemon", 2))
    store.add([said(pair(), False), said(pair("lemon", 2), True)])

    assert audit_labels(store, "former")["is_right"].to_list() == [False]
    assert audit_labels(store, "s")["is_right"].to_list() == [True]
    assert audit_labels(store, "").is_empty()


def test_draws_from_before_the_sample_was_noted_count_for_any_certificate(
    store: LabelStore, tmp_path: Path
) -> None:
    drawn(store, pair())
    store.add([said(pair(), False)])
    store.close()
    with sqlite3.connect(tmp_path / "labels.sqlite") as file:
        file.execute("ALTER TABLE draws DROP COLUMN sample")
    with LabelStore.open(tmp_path / "labels.sqlite") as opened:
        assert opened.draws()["sample"].to_list() == [None]
        assert audit_labels(opened, "any")["is_right"].to_list() == [False]


def test_a_pair_drawn_again_counts_again_and_is_asked_once(store: LabelStore) -> None:
    drawn(store, pair(), pair(), pair("milk", 1))
    waiting = open_audits(store.draws(), standing_labels(store.history()))
    store.add([said(pair(), True)])

    assert waiting["draw"].to_list() == [0, 2]
    assert audit_labels(store, "s")["draw"].to_list() == [0, 1]


def test_an_audit_label_without_a_verdict_on_the_kind_waits_unless_the_statement_is_wrong(
    store: LabelStore,
) -> None:
    drawn(store, pair(), pair("milk", 1))
    store.add([said(pair(), False, fit=None), said(pair("milk", 1), True, fit=None)])

    assert audit_labels(store, "s").select("draw", "is_right").rows() == [(0, False)]


def test_every_published_pair_is_drawn_equally_often() -> None:
    rows = with_statement(mapped(*(relation("tea", f"target {n}", n) for n in range(10))))
    picked, _ = draw_audit(rows, n=20_000, seed=7)
    counted = picked["relation_id"].value_counts()["count"].to_numpy()

    # Chi-square with 9 degrees of freedom: above 27.9 once in 1 000 seeds.
    assert counted.size == 10
    assert float(np.sum((counted - 2000) ** 2 / 2000)) < 27.9
    assert draw_audit(rows, n=5, seed=7)[0].equals(draw_audit(rows[::-1], n=5, seed=7)[0])


def joined(store: LabelStore, shop: pl.DataFrame, filed: pl.DataFrame | None = None) -> pl.DataFrame:
    labels = with_stored(RELATION_LABELS.empty() if filed is None else filed, store)
    return join_labels(labels, shop).labelled


def test_what_was_drawn_at_random_refuses_and_never_teaches(store: LabelStore) -> None:
    shop = mapped(*(relation("tea", f"target {n}", n) for n in range(3)))
    pairs = [pair(f"target {n}", n) for n in range(3)]
    drawn(store, pairs[0])
    store.add([said(pairs[0], False), said(pairs[1], False, calibration_draw=4), said(pairs[2], False)])

    found = (
        joined(store, shop).join(shop.select("relation_id", "position"), on="relation_id").sort("position")
    )
    assert found.select("holds", "teaches").rows() == [(False, False), (False, False), (False, True)]


def test_a_label_of_the_store_supersedes_the_same_annotators_in_the_file(store: LabelStore) -> None:
    row = relation("tea", "sugar")
    filed = {
        "prompt_id": str(row["prompt_id"])[:12],
        "model": row["model"],
        "position": 0,
        "statement": None,
        "holds": True,
        "reason": None,
        "annotator": "ada",
        "target_kind_id": None,
        "fit": None,
        "teaches": True,
    }
    both = [filed, filed | {"annotator": "bob"}]
    file = RELATION_LABELS.conform(pl.DataFrame(both, schema=RELATION_LABELS.schema))
    store.add([said(pair(), False)])

    (found,) = joined(store, mapped(row), file).to_dicts()
    assert (found["holds"], found["n_labels"], found["is_conflicting"]) == (False, 2, True)


def test_a_kind_that_does_not_fit_is_named_beside_a_statement_that_holds(store: LabelStore) -> None:
    store.add([said(pair(), True, fit=0, reason="wrong_kind")])

    (found,) = joined(store, mapped(relation("tea", "sugar"))).to_dicts()
    assert (found["holds"], found["wrong_target_ids"]) == (True, [pair().target_kind_id])


def test_a_file_that_is_no_store_is_an_error_the_user_can_act_on(tmp_path: Path) -> None:
    (tmp_path / "labels.sqlite").write_text("not a database, " * 100)

    with pytest.raises(LedgerError, match="label store"):
        LabelStore.open(tmp_path / "labels.sqlite")


WRITER = """
import sys
from pathlib import Path
from pkgraph.labels.store import Label, LabelStore, Pair
store = LabelStore.open(Path(sys.argv[1]))
for number in range(10_000):
    one = Pair(f"r-{number}", "p" * 64, "m", 0, "s" * 12)
    store.add([Label(one, True, "ada", "2026-11-25T10:00:00+00:00")])
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline() for _ in range(20)]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += writer.stdout.readlines()

    with LabelStore.open(path) as store:
        kept = store.history()["relation_id"].to_list()
        assert kept[: len(acknowledged)] == [f"r-{n}" for n in range(len(acknowledged))]
        assert store.add([said(pair(), True)]).n_new == 1


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["ada", "bob"]), st.booleans()), st.integers(min_value=1, max_value=12)
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_the_verdict_is_that_of_a_reviewer_with_a_stack_of_cards(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bool] | int]
) -> None:
    """The model: each reviewer has a list of labels, an undo takes one out, the last one counts."""
    cards: dict[str, dict[int, bool]] = {"ada": {}, "bob": {}}
    with LabelStore.open(tmp_path_factory.mktemp("labels") / "labels.sqlite") as store:
        for number, step in enumerate(steps):
            if isinstance(step, int):
                owner = next((who for who, own in cards.items() if step in own), None)
                if owner is not None:
                    store.undo(step, annotator=owner, created_at=NOW)
                    del cards[owner][step]
            else:
                who, holds = step
                (row,) = store.add([said(pair(), holds, who, key=f"step-{number}")]).sequences
                cards[who][row] = holds
        last = [own[max(own)] for own in cards.values() if own]

        assert verdicts(store) == ([(all(last), all(last))] if last else [])
