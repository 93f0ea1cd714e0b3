"""What watches pairs outside the frame: the drift test of their evidence, and the audits, at any time."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from pkgraph.acceptance import Certificate, Policy, load_pretrained
from pkgraph.acceptance.audit import audit
from pkgraph.acceptance.certificate import OTHERS, Part
from pkgraph.acceptance.drift import MIN_CATEGORIES, drift_of
from pkgraph.acceptance.judgement import Judgement
from pkgraph.acceptance.validity import Candidate, objections
from pkgraph.evidence import SIGNALS
from tests.shop import accepted

N_CATEGORIES = 30


def evidence(category: str, seed: int, *, shift: float = 0.0, n: int = 12) -> pl.DataFrame:
    """Pairs of a category that has its own level of each signal, and misses some."""
    random = np.random.default_rng(seed)
    values = random.normal(random.normal(0, 1, len(SIGNALS)) + shift, 1, (n, len(SIGNALS)))
    values[random.random(values.shape) < 0.1] = np.nan
    frame = pl.DataFrame(values, schema=list(SIGNALS)).fill_nan(None)
    ids = [f"{category}-{i}" for i in range(n)]
    return frame.with_columns(
        relation_id=pl.Series(ids), target_kind_id=pl.lit("k"), category=pl.lit(category)
    )


def frame(first_seed: int, n: int = N_CATEGORIES) -> pl.DataFrame:
    return pl.concat([evidence(f"c{i}", first_seed + i) for i in range(n)])


def test_a_category_of_the_same_make_alarms_no_more_often_than_the_level_says() -> None:
    alarms = [
        not drift_of(evidence("new", 1_000 * run + 999), frame(1_000 * run), seed=0).is_like_the_frame
        for run in range(40)
    ]

    # At a level of 1 / 31, more than 5 of 40 would come by chance once in a hundred times.
    assert sum(alarms) <= 5


def test_a_category_whose_evidence_is_of_another_make_alarms() -> None:
    found = drift_of(evidence("new", 999, shift=1.5), frame(0), seed=0)

    assert not found.is_like_the_frame
    assert found.level == pytest.approx(1 / 31)
    assert "stranger than" in found.sentence


def test_signals_that_went_missing_alarm() -> None:
    lost = evidence("new", 999).with_columns(pl.lit(None, pl.Float64).alias(name) for name in SIGNALS[:20])

    assert not drift_of(lost, frame(0), seed=0).is_like_the_frame


def test_with_few_categories_nothing_can_be_said_and_unknown_is_no() -> None:
    found = drift_of(evidence("new", 999), frame(0, n=MIN_CATEGORIES - 1), seed=0)

    assert not found.is_like_the_frame
    assert f"{MIN_CATEGORIES} are needed" in found.sentence


def test_the_test_does_not_depend_on_the_order_of_the_rows() -> None:
    new, rows = evidence("new", 999), frame(0)

    assert drift_of(new, rows.sample(fraction=1, shuffle=True, seed=1), seed=0) == drift_of(new, rows, seed=0)


def test_audits_of_a_graph_that_keeps_its_promise_contradict_it_at_most_as_often_as_delta_ever() -> None:
    random = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        at = np.flatnonzero(random.random(300) < 0.05) + 1  # an alarm can only come with an error
        looks = [audit(int(n), errors, alpha=0.05, delta=0.1) for errors, n in enumerate(at, start=1)]
        alarms += any(look.contradicts for look in looks)

    # 100 graphs at delta 0.1: more than 18 alarms would come by chance once in a hundred times.
    assert alarms <= 18


def test_audits_of_a_bad_graph_contradict_its_promise() -> None:
    found = audit(200, 30, alpha=0.05, delta=0.05)

    assert found.contradicts
    assert found.low > 0.05
    assert "contradict the 5.0%" in found.sentence


def test_few_audits_say_little_and_none_nothing() -> None:
    none, few = audit(0, 0, alpha=0.05, delta=0.05), audit(10, 1, alpha=0.05, delta=0.05)

    assert (none.low, none.high, none.contradicts) == (0.0, 1.0, False)
    assert none.capital == pytest.approx(1.0)
    assert none.sentence == "Nothing was audited."
    assert not few.contradicts
    assert few.low < 0.1 < few.high


@pytest.mark.parametrize(("n", "errors"), [(50, 0), (50, 50), (400, 8)])
def test_the_share_seen_lies_between_the_bounds(n: int, errors: int) -> None:
    found = audit(n, errors, alpha=0.05, delta=0.05)

    assert 0 <= found.low <= errors / n <= found.high <= 1


def test_audits_that_contradict_the_promise_void_the_certificate() -> None:
    part = Part(0.05, 0.05, 0.8, 200, 4, 6, 2, 0, 0.9, beyond=None)
    certificate = Certificate({OTHERS: part}, 300, 900, "a test")
    classifier = load_pretrained()
    judgement = Judgement(classifier, Policy(threshold=0.8, certificate=certificate, why_uncertified=""))
    rows = (
        accepted()
        .head(2)
        .with_columns(is_covered=pl.lit(value=True), classifier=pl.lit(classifier.content_hash))
    )
    candidate = Candidate(rows, held_back=rows.clear(), refused=rows.clear())

    good, bad = audit(40, 1, alpha=0.05, delta=0.05), audit(200, 30, alpha=0.05, delta=0.05)

    assert objections(judgement, candidate, {}, good) == ()
    assert objections(judgement, candidate, {}, None) == ()
    assert objections(judgement, candidate, {}, bad) == (bad.sentence,)
