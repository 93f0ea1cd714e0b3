"""The classifier ranks, is calibrated, explains itself, and is nothing but numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.acceptance import (
    HallucinationClassifier,
    Recipe,
    Training,
    load_pretrained,
    measure,
    measure_by,
    reliability_png,
    score_histogram_png,
    statements_of,
    train_classifier,
)
from pkgraph.errors import InputError
from pkgraph.evidence import gather_evidence
from tests.gate_data import BAD, GOOD, answers

Shop = tuple[pl.DataFrame, pl.DataFrame]

QUICK = Recipe(penalties_inverse=(0.1,), n_folds=3)


@pytest.fixture(scope="module")
def shop() -> Shop:
    relations, labelled = answers(60, seed=1)
    return statements_of(relations, gather_evidence(relations, relations)), labelled


@pytest.fixture(scope="module")
def training(shop: Shop) -> Training:
    return train_classifier(*shop, seed=0, recipe=QUICK)


def test_it_tells_true_from_false_on_sources_it_has_not_seen(training: Training) -> None:
    metrics = measure_by(training.judged)["all"]

    assert metrics.n == 480
    assert metrics.auroc is not None
    assert metrics.auroc > 0.85
    assert metrics.ece < 0.08


def test_it_reads_vague_words_within_one_model(training: Training) -> None:
    auroc = measure_by(training.judged, "model")[GOOD].auroc

    assert auroc is not None
    assert auroc > 0.7


def test_no_member_has_seen_a_label_of_a_source_it_judges(shop: Shop, training: Training) -> None:
    statements, labelled = shop
    flipped = labelled.with_columns(holds=pl.col("holds") ^ (pl.col("source") == labelled["source"][0]))
    mine = statements.filter(pl.col("source") == labelled["source"][0])

    other = train_classifier(statements, flipped, seed=0, recipe=QUICK).classifier

    assert other.content_hash != training.classifier.content_hash
    assert other.probabilities(mine).tolist() == training.classifier.probabilities(mine).tolist()


def test_both_models_answers_about_a_source_have_one_member(training: Training) -> None:
    assert training.judged.group_by("source").agg(pl.col("member").n_unique())["member"].max() == 1


def test_training_twice_gives_the_same_bytes_whatever_the_order(shop: Shop, training: Training) -> None:
    statements, labelled = shop

    again = train_classifier(
        statements, labelled.sample(fraction=1, shuffle=True, seed=3), seed=0, recipe=QUICK
    )

    assert again.classifier.to_json() == training.classifier.to_json()
    assert again.judged.equals(training.judged)


def test_it_survives_its_own_json(shop: Shop, training: Training) -> None:
    found = HallucinationClassifier.from_json(training.classifier.to_json())

    assert found == training.classifier
    assert found.content_hash == training.classifier.content_hash
    assert found.probabilities(shop[0]).tolist() == training.classifier.probabilities(shop[0]).tolist()


def test_what_speaks_for_and_against_sums_to_the_probability(shop: Shop, training: Training) -> None:
    relation_id = shop[0]["relation_id"][7]

    parts = training.classifier.explain(shop[0], relation_id)
    probability = training.judged.filter(relation_id=relation_id)["holds_probability"].item()

    assert 1 / (1 + math.exp(-sum(parts.values()))) == pytest.approx(probability)
    assert "words of explanation" in parts
    with pytest.raises(InputError, match="no evidence about the relation nobody"):
        training.classifier.explain(shop[0], "nobody")


def test_a_model_without_labels_counts_as_the_worst_one_known(shop: Shop, training: Training) -> None:
    statements = shop[0]
    strange = training.classifier.probabilities(statements.with_columns(model=pl.lit("never-seen")))
    known = [training.classifier.probabilities(statements.with_columns(model=pl.lit(m))) for m in (GOOD, BAD)]

    assert np.array_equal(strange, np.minimum(*known))


def test_missing_signals_leave_a_probability(shop: Shop, training: Training) -> None:
    names = [name for name, dtype in shop[0].schema.items() if dtype == pl.Float64]
    blind = shop[0].with_columns(pl.lit(None, pl.Float64).alias(name) for name in names)

    found = training.classifier.probabilities(blind)

    assert np.isfinite(found).all()


def test_too_few_labels_or_one_verdict_alone_teach_nothing(shop: Shop) -> None:
    statements, labelled = shop

    for few in (labelled.head(20), labelled.filter("holds"), labelled.clear()):
        with pytest.raises(InputError, match="teach no classifier"):
            train_classifier(statements, few, seed=0, recipe=QUICK)


def tampered(training: Training, change: Callable[[dict[str, Any]], object]) -> str:
    document = json.loads(training.classifier.to_json())
    change(document)
    return json.dumps(document)


TAMPERINGS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another format": lambda d: d.update(format="pickle"),
    "no members": lambda d: d.update(members=[]),
    "too many members": lambda d: d.update(members=d["members"] * 20),
    "a text for a weight": lambda d: d["members"][0].update(bias="0"),
    "a truth for a weight": lambda d: d["members"][0].update(bias=True),
    "an infinite weight": lambda d: d["members"][0].update(bias=math.inf),
    "no number for a weight": lambda d: d["members"][0].update(bias=math.nan),
    "a scale of zero": lambda d: d["members"][0]["signals"]["match_score"].update(scale=0.0),
    "a slope that turns verdicts round": lambda d: d["members"][0].update(slope=-1.0),
    "an unknown signal": lambda d: d["members"][0]["signals"].update(
        zodiac=d["members"][0]["signals"]["position"]
    ),
    "an unknown text": lambda d: d["members"][0]["words"].update(zodiac={}),
    "a field too many": lambda d: d.update(code="import os"),
    "a field too few": lambda d: d["members"][0].pop("offset"),
    "a broken word": lambda d: d["members"][0]["words"]["product"].update(x={"rarity": 1.0}),
    "a seed that is none": lambda d: d.update(seed="0"),
    "a flag that is none": lambda d: d.update(is_transferred="no"),
}


@pytest.mark.parametrize("tampering", sorted(TAMPERINGS))
def test_a_classifier_that_was_tampered_with_is_refused(training: Training, tampering: str) -> None:
    with pytest.raises(InputError, match="classifier cannot be read"):
        HallucinationClassifier.from_json(tampered(training, TAMPERINGS[tampering]))


@settings(max_examples=50, deadline=None)
@given(
    st.one_of(
        st.text(max_size=50), st.binary(max_size=50), st.just("[" * 100_000), st.just("null"), st.just("{}")
    )
)
def test_what_is_no_classifier_is_an_error_the_user_can_act_on(text: str | bytes) -> None:
    with pytest.raises(InputError):
        HallucinationClassifier.from_json(text)


def test_the_pretrained_one_knows_no_model_and_says_that_it_is_transferred(shop: Shop) -> None:
    pretrained = load_pretrained()

    assert pretrained.is_transferred
    assert pretrained.models == ()
    assert ((pretrained.probabilities(shop[0]) > 0) & (pretrained.probabilities(shop[0]) < 1)).all()


def test_metrics_of_known_numbers() -> None:
    perfect = measure(np.array([0.0, 0.0, 1.0, 1.0]), np.array([False, False, True, True]))
    coin = measure(np.full(4, 0.5), np.array([False, True, False, True]))

    assert (perfect.auroc, perfect.auprc_wrong, perfect.brier, perfect.ece) == (1.0, 1.0, 0.0, 0.0)
    assert (coin.auroc, coin.auprc_wrong, coin.brier) == (0.5, 0.5, 0.25)
    assert measure(np.array([0.9]), np.array([True])).auroc is None


def test_metrics_agree_with_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    random = np.random.default_rng(0)
    score, holds = np.round(random.random(200), 1), random.random(200) < 0.7

    found = measure(score, holds)

    assert found.auroc == pytest.approx(roc_auc_score(holds, score))
    assert found.auprc_wrong == pytest.approx(average_precision_score(~holds, 1 - score))


def test_pictures_are_png_and_the_same_each_time(training: Training) -> None:
    for picture in (reliability_png, score_histogram_png):
        assert picture(training.judged).startswith(b"\x89PNG")
        assert picture(training.judged) == picture(training.judged)
        assert picture(training.judged.clear()).startswith(b"\x89PNG")
