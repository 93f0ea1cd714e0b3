"""What the gate is promised by and learns from: no setting and no label may lower it unseen."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest

from pkgraph.acceptance import HallucinationClassifier, Promises
from pkgraph.acceptance.judgement import Knowledge, make_judgement
from pkgraph.acceptance.statements import statements_of
from pkgraph.acceptance.training import Recipe, train_classifier
from pkgraph.errors import InputError, SettingsError
from pkgraph.evidence import gather_evidence
from pkgraph.labels import CalibrationSet, answer_keys, join_labels, read_relation_labels
from pkgraph.settings import settings_from
from pkgraph.tables import CALIBRATION_PAIRS, CO_PURCHASE, KINDS, LABELLED_RELATIONS, UNMAPPED_PRODUCTS
from tests.gate_data import answers, mapped, relation

QUICK = Recipe(has_words=False, penalties_inverse=(0.1,), n_folds=2)
SHARE = [0, 1, 0.5, 7, -0.05, math.nan, math.inf, "all", None]


@pytest.mark.parametrize("name", ["alpha", "delta"])
@pytest.mark.parametrize("value", SHARE)
def test_a_promise_of_nothing_is_no_setting(name: str, value: object) -> None:
    shop: dict[str, object] = {
        "catalog": {"path": "shop.csv"},
        "models": [{"name": "m"}],
        "gate": {name: value},
    }

    with pytest.raises(SettingsError, match=f"gate.{name}"):
        settings_from(shop, name="shop.toml")


@pytest.fixture(scope="module")
def shop() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Statements with their evidence, and the labels of all of them."""
    rows, labelled = answers(40, seed=3)
    evidence = gather_evidence(
        rows,
        rows,
        unmapped_part=UNMAPPED_PRODUCTS.empty(),
        all_unmapped=UNMAPPED_PRODUCTS.empty(),
        co_purchase=CO_PURCHASE.empty(),
        kinds=KINDS.empty(),
    )
    return statements_of(rows, evidence), labelled


def test_what_was_drawn_at_random_is_not_learned_from(shop: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    statements, labelled = shop
    is_drawn = pl.int_range(pl.len()) % 3 == 0
    turned = labelled.with_columns(
        teaches=~is_drawn, holds=pl.when(is_drawn).then(~pl.col("holds")).otherwise("holds")
    )
    learned = train_classifier(statements, turned, seed=0, recipe=QUICK).classifier
    without = train_classifier(statements, labelled.filter(~is_drawn), seed=0, recipe=QUICK).classifier

    assert learned.content_hash == without.content_hash


def judged_after(
    relations: pl.DataFrame, evidence: pl.DataFrame, turned: pl.Expr, *, n_tuning: int = 200
) -> HallucinationClassifier:
    """The classifier of a shop whose sample says the contrary of some of its pairs."""
    once = relations.unique(["relation_id", "target_kind_id"]).sort("relation_id", "target_kind_id")
    says = (pl.col("relation_id").hash(7) % 10 > 2) ^ turned
    pairs = CALIBRATION_PAIRS.conform(
        once.select("relation_id", "target_kind_id", draw=pl.int_range(pl.len())).with_columns(
            holds=says, fit=2, is_right=says, reason=pl.lit(None, pl.String), n_labels=1,
            is_conflicting=False, tunes=pl.col("draw") < n_tuning,
        )
    )  # fmt: skip
    known = Knowledge(relations, relations, evidence, LABELLED_RELATIONS.empty())
    sample = CalibrationSet(pairs, frozenset(answer_keys(relations)["answer"]), sample="s")
    judging = make_judgement(known, sample, promises=Promises(), label_source="test", fingerprints={})
    return judging.judgement.classifier


def test_the_verdicts_that_certify_teach_nothing_and_those_that_tune_do() -> None:
    relations, _ = answers(40, seed=3)
    evidence = gather_evidence(relations, relations)
    is_tuning = pl.col("draw") < 200
    plain = judged_after(relations, evidence, pl.lit(value=False))
    certifying = judged_after(relations, evidence, ~is_tuning)
    tuning = judged_after(relations, evidence, is_tuning & (pl.col("draw") % 2 == 0))

    assert plain.n_labels == 200
    assert not plain.is_transferred
    assert certifying.content_hash == plain.content_hash
    assert tuning.content_hash != plain.content_hash


def test_labels_that_suffice_for_all_but_not_for_a_member_leave_the_pretrained_classifier() -> None:
    """110 labels, of which a member has some 88: the build goes on, as it does with 99."""
    relations, _ = answers(40, seed=3)
    evidence = gather_evidence(relations, relations)
    found = judged_after(relations, evidence, pl.lit(value=False), n_tuning=110)

    assert found.is_transferred


def test_a_reviewer_who_turns_every_verdict_round_teaches_nothing_that_accepts(
    shop: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    """Each relation is then in conflict, so none holds, and one verdict alone is nothing to learn from."""
    statements, labelled = shop
    against = labelled.with_columns(holds=pl.lit(value=False), is_conflicting=pl.lit(value=True))

    with pytest.raises(InputError):
        train_classifier(statements, LABELLED_RELATIONS.conform(against), seed=0)


def test_labels_written_twice_count_once(tmp_path: Path) -> None:
    row = relation("tea", "sugar")
    head = "prompt_id\tmodel\tposition\tholds\tannotator"
    line = f"{row['prompt_id']}\t{row['model']}\t0\t1\tada"
    once, often = tmp_path / "once.tsv", tmp_path / "often.tsv"
    once.write_text(f"{head}\n{line}")
    often.write_text("\n".join([head, *[line] * 500]))
    read = read_relation_labels(often)
    (found,) = join_labels(read.labels, mapped(row)).labelled.to_dicts()

    assert read.labels.equals(read_relation_labels(once).labels)
    assert set(read.rejected["reason"]) == {"duplicate_label"}
    assert found["n_labels"] == 1
