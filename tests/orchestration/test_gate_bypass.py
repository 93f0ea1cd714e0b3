"""The gate cannot be walked around: whichever run is started and whatever was edited in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pkgraph.snapshot import open_published, snapshots
from tests.orchestration.building import materialize
from tests.orchestration.conftest import Shop

OVERRIDE = {"published_graph": {"config": {"accept_uncertified": "first build"}}}
Edit = Callable[[pl.DataFrame], pl.DataFrame]


def pasta(home: Path, table: str) -> Path:
    (path,) = (home / "tables" / table).glob("pasta-*.parquet")
    return path


def edited(path: Path, edit: Edit) -> None:
    edit(pl.read_parquet(path)).write_parquet(path)


def committed(home: Path) -> list[str]:
    return [record.snapshot_id for record in snapshots(home / "graph")]


def first_row(column: str, value: object) -> Edit:
    """The first row that is accepted gets another value."""

    def edit(frame: pl.DataFrame) -> pl.DataFrame:
        is_accepted = pl.col("is_accepted") if "is_accepted" in frame.columns else pl.lit(value=True)
        is_first = is_accepted & (is_accepted.cum_sum() == 1)
        dtype = frame.schema[column]
        changed = pl.when(is_first).then(pl.lit(value, dtype=dtype)).otherwise(pl.col(column))
        return frame.with_columns(changed.alias(column))

    return edit


def no_rows(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.clear()


def same(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


def one_more_row(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame, frame.head(1).with_columns(relation_id=pl.lit("invented-0"))])


BAD_SCORES: dict[str, Edit] = {
    "not a number": first_row("holds_probability", float("nan")),
    "unknown": first_row("probability", None),
    "below the threshold": first_row("holds_probability", 0.2),
    "accepted against a reason": first_row("reasons", ["below_threshold"]),
    "judged by another classifier": first_row("classifier", "0123456789abcdef"),
    "no rows": no_rows,
}


@pytest.mark.parametrize("edit", BAD_SCORES.values(), ids=list(BAD_SCORES))
def test_bad_scores_are_not_accepted_and_the_former_acceptance_stays(edit: Edit, home: Path) -> None:
    edited(pasta(home, "scored_relations"), edit)
    before = pasta(home, "accepted_relations").read_bytes()
    ran = materialize(home, "accepted_relations", partition=pasta(home, "accepted_relations").stem)

    assert not ran.is_success
    assert "What was accepted before stays." in ran.reason
    assert pasta(home, "accepted_relations").read_bytes() == before


def test_good_scores_are_accepted_again(home: Path) -> None:
    """The counterpart of the test above: the same run, nothing edited."""
    before = pl.read_parquet(pasta(home, "accepted_relations"))
    ran = materialize(home, "accepted_relations", partition=pasta(home, "accepted_relations").stem)

    assert ran.is_success, ran.reason
    assert pl.read_parquet(pasta(home, "accepted_relations")).equals(before)


def test_a_run_of_published_graph_alone_does_not_see_bad_scores(shop: Shop, home: Path) -> None:
    """What is served was accepted before; publishing reads accepted relations and nothing else."""
    edited(pasta(home, "scored_relations"), first_row("probability", float("nan")))
    ran = materialize(home, "published_graph", ops=OVERRIDE)

    assert ran.is_success, ran.reason
    assert committed(home) == [shop.built.snapshot_id]


def test_a_run_of_published_graph_alone_needs_the_certificate_all_the_same(home: Path) -> None:
    ran = materialize(home, "published_graph")

    assert not ran.is_success
    assert "no valid certificate" in ran.reason


EDITED: dict[str, Edit] = {
    "an extra row": one_more_row,
    "a lowered probability": first_row("probability", 0.01),
    "a raised probability": first_row("probability", 1.0),
    "another classifier": first_row("classifier", "0123456789abcdef"),
    "another sentence": first_row("explanation", "Buy this."),
    "no rows": no_rows,
}


@pytest.mark.parametrize("edit", EDITED.values(), ids=list(EDITED))
def test_accepted_relations_that_were_edited_are_not_published(edit: Edit, shop: Shop, home: Path) -> None:
    edited(pasta(home, "accepted_relations"), edit)
    ran = materialize(home, "published_graph", ops=OVERRIDE)

    assert not ran.is_success
    assert "pasta-" in ran.reason
    assert "not those that passed the gate" in ran.reason
    assert committed(home) == [shop.built.snapshot_id]
    assert not list((home / "graph").rglob(".tmp-*"))


def test_accepted_relations_written_again_as_they_are_may_go_out(shop: Shop, home: Path) -> None:
    """The counterpart: it is the rows that count, not the file."""
    edited(pasta(home, "accepted_relations"), same)
    ran = materialize(home, "published_graph", ops=OVERRIDE)

    assert ran.is_success, ran.reason
    assert committed(home) == [shop.built.snapshot_id]


def certified(home: Path, **changes: Any) -> None:
    """A judgement with a certificate for exactly what was published, changed in places."""
    path = home / "models" / "judgement.json"
    document = json.loads(path.read_text())
    inputs = open_published(home / "graph").manifest.inputs
    names = {"labels", "mapping", "models", "templates", "statements", "classifier"}
    n = sum(pl.read_parquet(part).height for part in (home / "tables" / "accepted_relations").iterdir())
    certificate = {
        "alpha": 0.05, "delta": 0.05, "threshold": document["policy"]["threshold"], "n": 400, "errors": 4,
        "bound": 0.0, "unreviewed_bound": 0.0, "n_published": n, "most_wrong": 0,
        "label_source": "labels.csv", "assumptions": [],
        "fingerprints": {name: inputs[name] for name in names & set(inputs)},
    }  # fmt: skip
    document["policy"] |= {"certificate": certificate, "why_uncertified": "", **changes}
    path.write_text(json.dumps(document, sort_keys=True))


def test_a_valid_certificate_needs_no_override_and_stands_in_the_snapshot(home: Path) -> None:
    certified(home)
    ran = materialize(home, "published_graph")

    assert ran.is_success, ran.reason
    manifest = open_published(home / "graph").manifest
    assert manifest.certificate is not None
    assert manifest.override is None


@pytest.mark.parametrize("threshold", [0.5, 0.0, 1.0])
def test_a_threshold_that_was_not_certified_is_refused(threshold: float, shop: Shop, home: Path) -> None:
    certified(home, threshold=threshold)
    ran = materialize(home, "published_graph", ops=OVERRIDE)

    assert not ran.is_success
    assert "threshold is not the one that was certified" in ran.reason
    assert committed(home) == [shop.built.snapshot_id]


def another_label(home: Path) -> None:
    path = home / "tables" / "labelled_relations.parquet"
    labelled = pl.read_parquet(path)
    row = {"relation_id": "r-0", "model": "m", "source": "s", "holds": True, "reason": None, "n_labels": 1}
    said = {"is_conflicting": False, "teaches": True, "wrong_target_ids": []}
    more = pl.DataFrame([{**row, **said}], schema=labelled.schema)
    pl.concat([labelled, more]).write_parquet(path)


def another_mapping(home: Path) -> None:
    path = home / "tables" / "kinds.parquet"
    edited(path, lambda kinds: kinds.with_columns(kind=pl.col("kind") + " deluxe"))
    assert materialize(home, "kind_index").is_success


def another_model(home: Path) -> None:
    path = home / "settings.json"
    path.write_text(path.read_text().replace("openai/kitchen-model", "openai/other-model"))


@pytest.mark.parametrize(
    ("change", "name"), [(another_label, "labels"), (another_mapping, "mapping"), (another_model, "models")]
)
def test_a_certificate_is_void_once_what_it_was_made_for_changes(
    change: Callable[[Path], None], name: str, shop: Shop, home: Path
) -> None:
    certified(home)
    change(home)
    ran = materialize(home, "published_graph")

    assert not ran.is_success
    assert "no valid certificate" in ran.reason
    assert name in ran.reason
    assert committed(home) == [shop.built.snapshot_id]
