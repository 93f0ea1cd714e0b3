"""The certificate says what was tested, no more; without labels there is none."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from pkgraph.acceptance import (
    Certificate,
    Certification,
    certify,
    clopper_pearson,
    kept_against_bound_png,
    most_wrong,
    policy_from,
)
from pkgraph.errors import InputError


def population(
    n: int, *, labelled: float, seed: int, model: str = "m", quality: float = 0.97
) -> pl.DataFrame:
    """Statements of two members; of those with a high probability a share `quality` holds, of others half."""
    random = np.random.default_rng(seed)
    is_high = random.random(n) < 0.7
    holds = random.random(n) < np.where(is_high, quality, 0.5)
    is_labelled = random.random(n) < labelled
    return pl.DataFrame(
        {
            "relation_id": [f"{model}{i:05d}" for i in range(n)],
            "model": [model] * n,
            "member": pl.Series(random.integers(0, 2, n), dtype=pl.Int32),
            "is_mapped": [True] * n,
            "holds_probability": np.where(is_high, random.uniform(0.9, 1, n), random.uniform(0.3, 0.9, n)),
            "truth": holds,
            "holds": [bool(h) if known else None for h, known in zip(holds, is_labelled, strict=True)],
        },
        schema_overrides={"holds": pl.Boolean},
    )


def certified(judged: pl.DataFrame, alpha: float = 0.05, delta: float = 0.05) -> Certification:
    return certify(judged, alpha=alpha, delta=delta, label_source="test", seed=0)


def published_wrong(judged: pl.DataFrame, threshold: float) -> float:
    above = judged.filter((pl.col("holds_probability") >= threshold) & pl.col("holds").fill_null(value=True))
    return 1 - float(above["truth"].mean() or 0)  # type: ignore[arg-type]


def test_the_binomial_bound_is_clopper_and_pearsons() -> None:
    assert clopper_pearson(0, 59, 0.05) == pytest.approx(0.0495, abs=1e-4)
    assert clopper_pearson(0, 58, 0.05) > 0.05
    assert clopper_pearson(3, 3, 0.05) == 1.0
    assert clopper_pearson(0, 0, 0.05) == 1.0


@pytest.mark.parametrize("wrong", [0, 1, 3, 10, 29, 30])
def test_the_finite_bound_is_exceeded_at_most_as_often_as_it_says(wrong: int) -> None:
    population_size, n, delta = 30, 12, 0.1
    ways = [
        math.comb(wrong, k) * math.comb(population_size - wrong, n - k)
        for k in range(n + 1)
        if most_wrong(k, n, population_size, delta) < wrong
    ]

    assert sum(ways) / math.comb(population_size, n) <= delta


def test_the_finite_bound_nears_the_binomial_one_as_the_population_grows() -> None:
    assert most_wrong(3, 200, 1_000_000, 0.05) / 1_000_000 == pytest.approx(
        clopper_pearson(3, 200, 0.05), abs=1e-4
    )
    assert most_wrong(3, 200, 200, 0.05) == 3


def test_a_threshold_is_certified_and_carried_into_the_policy() -> None:
    found = certified(population(4000, labelled=0.4, seed=0))

    assert found.certificate is not None
    assert found.certificate.bound <= 0.05
    assert found.certificate.bound <= found.certificate.unreviewed_bound
    assert policy_from(found).threshold == found.certificate.threshold
    assert policy_from(found).certificate is found.certificate


@pytest.mark.parametrize(
    "judged",
    [
        population(4000, labelled=0.0, seed=0),
        population(4000, labelled=0.4, seed=0, quality=0.7),
        population(60, labelled=0.3, seed=0),
        population(10, labelled=1.0, seed=0).clear(),
        population(4000, labelled=0.4, seed=0).with_columns(is_mapped=pl.lit(value=False)),
    ],
    ids=["no labels", "too many wrong", "too few", "nothing", "nothing mapped"],
)
def test_where_no_threshold_holds_there_is_no_certificate_but_a_reason(judged: pl.DataFrame) -> None:
    found = certified(judged)

    assert found.certificate is None
    assert found.reason
    assert policy_from(found).certificate is None
    assert policy_from(found).why_uncertified == found.reason


def test_tests_go_from_strict_to_loose_and_stop_at_the_first_that_fails() -> None:
    curve = certified(population(4000, labelled=0.4, seed=0)).curve
    tried = curve.filter("is_tried")["holds"].to_list()

    assert curve["threshold"].is_sorted(descending=True)
    assert tried == sorted(tried, reverse=True)
    assert tried.count(False) <= 1


def test_labels_of_a_model_labelled_more_densely_do_not_count_double() -> None:
    thin = population(3000, labelled=0.2, seed=0)
    dense = population(300, labelled=1.0, seed=1, model="s")

    found = certified(pl.concat([thin, dense]))

    assert found.certificate is not None
    assert found.certificate.n < thin["holds"].count() + 0.3 * dense.height


def test_the_claim_is_false_at_most_as_often_as_it_says() -> None:
    draws = [population(600, labelled=0.5, seed=seed, quality=0.94) for seed in range(40)]
    found = [(judged, certified(judged, delta=0.2).certificate) for judged in draws]
    false = [c for judged, c in found if c and published_wrong(judged, c.threshold) > 0.05]

    # 40 draws at delta 0.2: more than 14 would happen by chance once in a hundred times.
    assert any(c for _, c in found)
    assert len(false) <= 14


@pytest.mark.slow
def test_the_claim_is_false_in_at_most_delta_of_many_draws() -> None:
    n, delta, false, naive = 300, 0.1, 0, 0
    for seed in range(n):
        judged = population(600, labelled=0.5, seed=seed, quality=0.94)
        found = certified(judged, delta=delta)
        false += bool(found.certificate and published_wrong(judged, found.certificate.threshold) > 0.05)
        shares = found.curve.filter((pl.col("n") > 0) & (pl.col("errors") <= 0.05 * pl.col("n")))["threshold"]
        loosest = shares.to_list()[-1] if shares.len() else 1.0
        naive += published_wrong(judged.with_columns(holds=None), loosest) > 0.05

    assert false <= delta * n + 3 * math.sqrt(n * delta * (1 - delta))
    # Picking the loosest threshold whose labels look right enough promises nothing.
    assert naive > 2 * delta * n


def test_a_certificate_survives_the_manifest_and_a_changed_one_does_not() -> None:
    certificate = certified(population(4000, labelled=0.4, seed=0)).certificate
    assert certificate is not None
    record = certificate.to_record()

    assert Certificate.from_record(record) == certificate
    for change in (
        {"bound": 0.2},
        {"bound": 0.001},
        {"n": 0},
        {"threshold": math.nan},
        {"alpha": 7.0},
        {"more": 1},
    ):
        with pytest.raises(InputError, match="certificate cannot be read"):
            Certificate.from_record(record | change)


def test_a_certificate_is_void_where_an_input_is_another_one() -> None:
    inputs = {"classifier": "a", "models": "b"}
    judged = population(4000, labelled=0.4, seed=0)
    found = certify(judged, alpha=0.05, delta=0.05, label_source="t", seed=0, fingerprints=inputs).certificate
    assert found is not None

    assert found.is_void(inputs) == ()
    assert found.is_void(inputs | {"models": "c"}) == ("models",)
    assert found.is_void({"classifier": "a"}) == ("models",)
    assert found.is_void(inputs | {"mapping": "d"}) == ("mapping",)


def test_the_picture_of_the_bound_is_a_png() -> None:
    assert kept_against_bound_png(certified(population(4000, labelled=0.4, seed=0)), 0.05).startswith(
        b"\x89PNG"
    )


def test_the_wrong_ones_may_all_be_in_the_part_that_is_published() -> None:
    certificate = certified(population(4000, labelled=0.4, seed=0)).certificate
    assert certificate is not None

    assert certificate.bound_over(certificate.n_published) == certificate.bound
    assert certificate.bound_over(certificate.n_published // 2) == pytest.approx(
        2 * certificate.bound, rel=0.01
    )
    assert certificate.bound_over(0) == 1.0
    assert certificate.bound_over(1) == 1.0
