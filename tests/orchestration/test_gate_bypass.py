"""The gate cannot be walked around: whichever run is started and whatever was edited in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pkgraph.acceptance import Certificate
from pkgraph.acceptance.certificate import OTHERS, Part
from pkgraph.acceptance.verdicts import certified_scores
from pkgraph.snapshot import open_published, snapshots
from pkgraph.snapshot.edges import statements_of
from tests.orchestration.building import as_if_trained, materialize
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
    "below the threshold": first_row("probability", 0.2),
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
    said = ran.metadata["accepted_relations"]
    asked = pl.read_parquet(pasta(home, "llm_responses"))
    # 100 tokens in and 20 out of each prompt, at 1 and 2 USD a million.
    assert said["cost_usd"] == pytest.approx(0.00014 * asked.height)
    n = before["relation_id"].n_unique()
    assert said["usd_per_accepted_relation"] == pytest.approx(said["cost_usd"] / n)


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
    """A judgement with a certificate for exactly what was published, changed in places; training made it."""
    forged(home, **changes)
    as_if_trained(home)


def forged(home: Path, **changes: Any) -> None:
    """The same, written by somebody else."""
    path = home / "models" / "judgement.json"
    document = json.loads(path.read_text())
    inputs = open_published(home / "graph").manifest.inputs
    scored = pl.concat(pl.read_parquet(part) for part in (home / "tables" / "scored_relations").iterdir())
    accepted = scored.filter("is_accepted")
    part = Part(
        alpha=0.05, delta=0.05, threshold=document["policy"]["threshold"], n=400, errors=4, n_refused=4,
        n_published=accepted.height, most_wrong=0, kept_share=0.9, beyond=None,
    )  # fmt: skip
    named = {name: inputs[name] for name in ("mapping", "models", "promise", "templates", "classifier")}
    certificate = Certificate(
        {OTHERS: part}, 500, 900, "sample.tsv", fingerprints=named | changes.pop("inputs", {})
    )
    covered = {answer: list(scores) for answer, scores in certified_scores(scored).items()}
    policy = {"certificate": certificate.to_record(), "why_uncertified": "", "covered": covered}
    document["policy"] |= policy | changes
    path.write_text(json.dumps(document, sort_keys=True))


def test_a_stricter_promise_is_not_kept_by_an_older_certificate(home: Path) -> None:
    certified(home)
    settings = json.loads((home / "settings.json").read_text())
    settings["gate"]["alpha"] = 0.01
    (home / "settings.json").write_text(json.dumps(settings))

    ran = materialize(home, "published_graph")

    assert not ran.is_success
    assert "promise changed since it was made" in ran.reason


def test_a_valid_certificate_needs_no_override_and_stands_in_the_snapshot(home: Path) -> None:
    certified(home)
    ran = materialize(home, "published_graph")

    assert ran.is_success, ran.reason
    manifest = open_published(home / "graph").manifest
    assert manifest.certificate is not None
    assert manifest.override is None


def test_a_judgement_that_contradicts_nothing_in_itself_but_nobody_trained_judges_nothing(
    shop: Shop, home: Path
) -> None:
    forged(home)
    ran = materialize(home, "published_graph", ops=OVERRIDE)
    partition = pasta(home, "scored_relations").stem
    scored = materialize(home, "scored_relations", partition=partition, has_checks=False)

    assert not ran.is_success
    assert "not the one that training made" in ran.reason
    assert committed(home) == [shop.built.snapshot_id]
    assert not scored.is_success
    assert "not the one that training made" in scored.reason


@pytest.mark.parametrize("threshold", [0.5, 0.0, 1.0])
def test_a_threshold_that_was_not_certified_is_refused(threshold: float, shop: Shop, home: Path) -> None:
    certified(home, threshold=threshold)
    ran = materialize(home, "published_graph", ops=OVERRIDE)

    assert not ran.is_success
    assert "threshold is not the one that was certified" in ran.reason
    assert committed(home) == [shop.built.snapshot_id]


def another_mapping(home: Path) -> None:
    certified(home, inputs={"mapping": "0123456789ab"})


def another_template(home: Path) -> None:
    certified(home, inputs={"templates": "0123456789ab"})


def another_model(home: Path) -> None:
    certified(home)
    path = home / "settings.json"
    path.write_text(path.read_text().replace("openai/kitchen-model", "openai/other-model"))


def another_classifier(home: Path) -> None:
    certified(home, inputs={"classifier": "0123456789abcdef"})


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (another_mapping, "mapping"),
        (another_template, "templates"),
        (another_model, "models"),
        (another_classifier, "classifier"),
    ],
)
def test_a_certificate_is_void_once_what_it_was_made_for_changes(
    change: Callable[[Path], None], name: str, shop: Shop, home: Path
) -> None:
    change(home)
    ran = materialize(home, "published_graph")

    assert not ran.is_success
    assert "no valid certificate" in ran.reason
    assert name in ran.reason
    assert committed(home) == [shop.built.snapshot_id]


def test_a_kind_more_in_the_catalog_leaves_the_certificate_standing(home: Path) -> None:
    certified(home)
    edited(
        home / "tables" / "kinds.parquet",
        lambda kinds: pl.concat(
            [kinds, kinds.head(1).with_columns(kind_id=pl.lit("k"), kind=pl.lit("figs"))]
        ),
    )
    ran = materialize(home, "kind_index", "published_graph")

    assert ran.is_success, ran.reason
    assert open_published(home / "graph").manifest.certificate is not None


def test_what_a_reviewer_found_wrong_since_it_was_accepted_does_not_go_out(home: Path) -> None:
    certified(home)
    accepted = pl.read_parquet(pasta(home, "accepted_relations"))
    refused = accepted["relation_id"][0]
    path = home / "tables" / "labelled_relations.parquet"
    labelled = pl.read_parquet(path)
    row = {"relation_id": refused, "model": "m", "source": "s", "holds": False, "reason": "vague"}
    said = {"n_labels": 1, "is_conflicting": False, "teaches": False, "wrong_target_ids": []}
    label = pl.DataFrame([{**row, **said}], schema=labelled.schema)
    pl.concat([labelled, label]).write_parquet(path)
    ran = materialize(home, "published_graph")

    assert ran.is_success, ran.reason
    assert ran.metadata["published_graph"]["n_refused_since"] >= 1
    snapshot = open_published(home / "graph")
    assert snapshot.manifest.certificate is not None
    assert refused not in statements_of(snapshot)["relation_id"].to_list()


def test_answers_outside_the_frame_do_not_go_out_under_the_certificate(shop: Shop, home: Path) -> None:
    """The frame is emptied: what was accepted is no longer what the bound speaks of."""
    certified(home, covered={})
    ran = materialize(home, "published_graph")

    assert not ran.is_success
    assert "So few of the certified pairs are left" in ran.reason
    assert committed(home) == [shop.built.snapshot_id]
