"""The random sample is read whole, held against the pairs of today, and cut where it was not judged on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pkgraph.errors import InputError, SettingsError
from pkgraph.labels import (
    CalibrationSet,
    frame_of,
    join_calibration,
    read_calibration_labels,
    read_frame,
    with_tuning,
)
from pkgraph.labels.reading import statement_key
from pkgraph.settings import settings_from
from pkgraph.tables import LABELLED_RELATIONS
from tests.gate_data import GOOD, label, mapped, relation

COLUMNS = (
    "prompt_id", "model", "position", "statement", "target_kind_id",
    "holds", "fit", "reason", "annotator", "draw",
)  # fmt: skip
ROWS = [relation("tea", name, position) for position, name in enumerate(["sugar", "milk", "lemon", "honey"])]
MAPPED = mapped(*ROWS)


def line(place: int, draw: int | None = None, **changes: Any) -> dict[str, object]:
    row = ROWS[place]
    texts = [str(row[name]) for name in ("relation_type", "rationale", "product", "explanation")]
    found = {name: row[name] for name in ("prompt_id", "model", "position", "target_kind_id")}
    verdict = {"holds": 1, "fit": 2, "reason": "", "annotator": "A", "draw": place if draw is None else draw}
    return found | {"statement": statement_key(*texts)} | verdict | changes


def sample(
    folder: Path, *lines: dict[str, object], frame: pl.DataFrame | None = None, tuning_draws: int = 0
) -> CalibrationSet:
    path = folder / "sample.tsv"
    body = ["\t".join(str(row[name]) for name in COLUMNS) for row in lines]
    path.write_text("\n".join(["\t".join(COLUMNS), *body]), encoding="utf-8")
    read = read_calibration_labels(path)
    assert read.n_lines == read.labels.height + read.rejected.height == len(lines)
    frame = frame_of(MAPPED) if frame is None else frame
    found = join_calibration(read.labels, frame, MAPPED, tuning_draws=tuning_draws)
    assert int(found.pairs["n_labels"].sum()) + sum(found.unused.values()) == found.n_labels
    return found


def right(found: CalibrationSet) -> list[bool]:
    return found.pairs.sort("draw")["is_right"].to_list()


def test_a_pair_is_right_if_it_holds_and_the_kind_is_at_least_acceptable(tmp_path: Path) -> None:
    found = sample(tmp_path, line(0), line(1, fit=1), line(2, fit=0), line(3, holds=0, reason="vague"))

    assert right(found) == [True, True, False, False]
    assert found.n_drawn == 4


def test_annotators_who_differ_make_it_wrong_and_their_agreement_is_reported(tmp_path: Path) -> None:
    found = sample(tmp_path, line(0), line(0, annotator="B", holds=0), line(1), line(1, annotator="B"))

    assert right(found) == [False, True]
    assert found.pairs["is_conflicting"].to_list().count(True) == 1
    assert (found.agreement_holds.n, found.agreement_holds.share) == (2, 0.5)
    assert found.agreement_fit.share == 1.0


def test_the_first_draws_tune_and_say_of_statements_what_the_classifier_learns(tmp_path: Path) -> None:
    lines = [line(0), line(1, holds=0, reason="vague"), line(2), line(3, holds=0, reason="vague")]
    found = sample(tmp_path, *lines, tuning_draws=2)
    filed = LABELLED_RELATIONS.conform(
        pl.DataFrame([label(ROWS[0], holds=False), label(ROWS[2], holds=True)], LABELLED_RELATIONS.schema)
    )
    taught = with_tuning(filed, found.pairs, MAPPED)
    holds = dict(taught.select("relation_id", "holds").iter_rows())

    assert found.pairs.sort("draw")["tunes"].to_list() == [True, True, False, False]
    # Where both speak both must say so; what certifies is not heard.
    assert holds == {
        ROWS[0]["relation_id"]: False,
        ROWS[1]["relation_id"]: False,
        ROWS[2]["relation_id"]: True,
    }
    assert taught.filter(relation_id=ROWS[0]["relation_id"])["is_conflicting"].to_list() == [True]
    assert taught["teaches"].all()


def test_without_a_tuning_part_the_sample_teaches_nothing(tmp_path: Path) -> None:
    found = sample(tmp_path, line(0), line(1))
    filed = LABELLED_RELATIONS.empty()

    assert not found.pairs["tunes"].any()
    assert with_tuning(filed, found.pairs, MAPPED).equals(filed)


def test_what_may_not_teach_does_not_because_the_sample_says_the_same(tmp_path: Path) -> None:
    found = sample(tmp_path, line(0), tuning_draws=1)
    audited = LABELLED_RELATIONS.conform(
        pl.DataFrame([label(ROWS[0], holds=True) | {"teaches": False}], LABELLED_RELATIONS.schema)
    )

    assert with_tuning(audited, found.pairs, MAPPED)["teaches"].to_list() == [False]


def test_the_sample_ends_before_the_first_draw_that_nobody_judged(tmp_path: Path) -> None:
    found = sample(tmp_path, line(0), line(1), line(2, draw=3))

    assert found.n_drawn == 2
    assert found.pairs.height == 2
    assert found.unused == {"after_an_unjudged_draw": 1}


def test_a_pair_that_is_not_there_as_it_was_judged_is_no_label(tmp_path: Path) -> None:
    found = sample(tmp_path, line(0, statement="0" * 12), line(1, target_kind_id="gone"), line(2))

    assert found.pairs.height == 1
    assert found.unused == {"pair_not_there": 2}


@pytest.mark.parametrize(
    "change",
    [{"holds": "yes"}, {"fit": 3}, {"draw": -1}, {"annotator": ""}, {"position": "1.0"}, {"prompt_id": "ab"}],
)
def test_a_line_that_cannot_be_read_costs_itself_and_cuts_the_sample(
    change: dict[str, Any], tmp_path: Path
) -> None:
    found = sample(tmp_path, line(0), line(1, **change), line(2))

    assert found.pairs.height == 1


def test_a_label_delivered_twice_counts_once(tmp_path: Path) -> None:
    found = sample(tmp_path, line(0), line(0))

    assert found.pairs["n_labels"].to_list() == [1]


def test_an_answer_that_changed_has_left_the_frame(tmp_path: Path) -> None:
    others = mapped(*ROWS[:3])

    assert len(sample(tmp_path, line(0)).in_frame) == 1
    assert not sample(tmp_path, line(0), frame=frame_of(others)).in_frame
    assert not sample(tmp_path, line(0), frame=frame_of(MAPPED).clear()).in_frame


def test_a_frame_survives_its_file_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frame.tsv"
    frame_of(MAPPED).write_csv(path, separator="\t")
    assert read_frame(path).equals(frame_of(MAPPED))
    assert frame_of(MAPPED)["n_pairs"].to_list() == [4]

    path.write_text(f"prompt_id\tmodel\tn_pairs\tanswer\np\t{GOOD}\tmany\ta\n")
    with pytest.raises(InputError, match="Line 2 of the frame"):
        read_frame(path)
    with pytest.raises(InputError, match="lacks the columns"):
        read_calibration_labels(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_frame(tmp_path / "missing.tsv")


def test_a_sample_without_its_frame_is_a_wrong_setting() -> None:
    data: dict[str, object] = {
        "catalog": {"source": "complete_journey"},
        "models": [{"name": "m"}],
        "labels": {"calibration": "sample.tsv"},
    }
    with pytest.raises(SettingsError, match="what it was drawn from"):
        settings_from(data, name="shop.toml")
