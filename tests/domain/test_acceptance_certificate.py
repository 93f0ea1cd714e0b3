"""The certificate says what was tested, no more; without a random sample there is none."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from pkgraph.acceptance import (
    Certificate,
    Certification,
    Promise,
    Promises,
    certify,
    kept_against_bound_png,
    policy_from,
)
from pkgraph.acceptance.certificate import OTHERS
from pkgraph.errors import InputError

N = 4_000


def pairs(*, sampled: int, seed: int = 0, quality: float = 0.985, n: int = N) -> pl.DataFrame:
    """Two pairs a statement; of the surer seven tenths a share `quality` is right, of the others half."""
    random = np.random.default_rng(seed)
    is_high = np.repeat(random.random(n // 2) < 0.7, 2)
    holds = np.repeat(random.random(n // 2), 2) < np.where(is_high, quality, 0.5)
    is_sampled = np.isin(np.arange(n), random.permutation(n)[:sampled])
    verdict = [bool(h) if s else None for h, s in zip(holds, is_sampled, strict=True)]
    return pl.DataFrame(
        {
            "relation_id": [f"r{i // 2:05d}" for i in range(n)],
            "target_kind_id": [f"k{i % 2}" for i in range(n)],
            "source": [f"s{i // 10:04d}" for i in range(n)],
            "relation_type": ["substitute" if (i // 2) % 5 == 0 else "complement" for i in range(n)],
            "probability": np.where(is_high, random.uniform(0.9, 1, n), random.uniform(0.3, 0.9, n)).round(3),
            "is_publishable": [True] * n,
            "is_open": [True] * n,
            "is_in_frame": [True] * n,
            "truth": holds,
            "is_right": pl.Series(verdict, dtype=pl.Boolean),
            "holds": pl.Series(verdict, dtype=pl.Boolean),
            "tunes": [False] * n,
        }
    )


def certified(judged: pl.DataFrame, promises: Promises = Promises()) -> Certification:  # noqa: B008
    return certify(judged, promises=promises, label_source="test", fingerprints={"classifier": "a"})


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    found = certified(pairs(sampled=1_600)).certificate
    assert found is not None
    return found


def published(judged: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """What goes out: what the sample refused, and its statements' other targets, are kept out."""
    is_false = (~pl.col("holds")).fill_null(value=False).any().over("relation_id")
    return judged.filter((pl.col("probability") >= threshold) & ~is_false)


def test_what_is_published_is_as_good_as_the_certificate_says() -> None:
    judged = pairs(sampled=1_600)
    found = certified(judged).certificate
    assert found is not None
    out = published(judged, found.threshold)

    assert found.bound <= 0.05
    assert out.height == found.n_published
    assert (~out["truth"]).sum() <= found.most_wrong
    assert (found.n_labels, found.n_frame) == (1_600, N)


def test_the_policy_carries_the_threshold_and_a_stricter_one_for_pairs_outside_the_frame() -> None:
    found = certified(pairs(sampled=1_600))
    policy = policy_from(found, {"answer": (0.9,)})
    least = dict(policy.thresholds().select("is_covered", "least").iter_rows())

    assert found.certificate is not None
    assert policy.certificate is found.certificate
    assert least[True] == found.certificate.threshold
    assert least[False] > least[True]


def test_a_reviewers_refusals_help_the_frame_and_not_the_pairs_to_come() -> None:
    judged = pairs(sampled=1_600)
    reviewed = judged.with_columns(is_publishable=pl.col("truth") | (pl.arange(pl.len()) % 4 > 0))

    plain, helped = certified(judged).certificate, certified(reviewed).certificate

    assert plain is not None
    assert helped is not None
    assert helped.threshold < plain.threshold
    assert helped.parts[OTHERS].beyond == plain.parts[OTHERS].beyond


@pytest.mark.parametrize(
    "judged",
    [
        pairs(sampled=0),
        pairs(sampled=1_600, quality=0.7),
        pairs(sampled=20),
        pairs(sampled=10, n=10).clear(),
        pairs(sampled=1_600).with_columns(is_publishable=pl.lit(value=False)),
        pairs(sampled=1_600).with_columns(is_in_frame=pl.lit(value=False)),
    ],
    ids=["no labels", "too many wrong", "too few", "nothing", "nothing publishable", "no frame"],
)
def test_where_no_threshold_holds_there_is_no_certificate_but_a_reason(judged: pl.DataFrame) -> None:
    found = certified(judged)

    assert found.certificate is None
    assert found.reason
    assert policy_from(found).certificate is None
    assert policy_from(found).why_uncertified == found.reason


def in_two_parts(*, tuned: int, sampled: int, quality: float = 0.985) -> pl.DataFrame:
    """As `pairs`; the first of the judged ones in a random order tuned."""
    judged = pairs(sampled=tuned + sampled, quality=quality)
    places = np.flatnonzero(judged["is_right"].is_not_null().to_numpy())
    first = np.random.default_rng(1).permutation(places)[:tuned]
    return judged.with_columns(tunes=np.isin(np.arange(N), first))


def test_what_the_tuning_part_knows_is_published_and_counts_as_right() -> None:
    judged = in_two_parts(tuned=800, sampled=800)
    found = certified(judged).certificate
    assert found is not None
    part = found.parts[OTHERS]
    out = published(judged, found.threshold)

    assert (found.n_labels, found.n_tuning, found.n_frame) == (800, 800, N)
    assert out.height == part.n_published
    assert (~out["truth"]).sum() <= part.most_wrong
    assert part.n_known == out.filter("tunes").height > 0
    assert (
        part.n
        == judged.filter(
            (pl.col("probability") >= found.threshold)
            & pl.col("is_right").is_not_null()
            & ~pl.col("tunes")
            & ~is_out()
        ).height
    )
    assert Certificate.from_record(found.to_record()) == found


def is_out() -> pl.Expr:
    """Its statement was found false by the tuning part."""
    return (pl.col("tunes") & ~pl.col("holds")).fill_null(value=False).any().over("relation_id")


def test_the_tuning_part_alone_certifies_nothing() -> None:
    found = certified(in_two_parts(tuned=800, sampled=0))

    assert found.certificate is None
    assert "no calibration labels" in found.reason


def test_an_earlier_part_lets_more_be_kept_than_the_certifying_one_alone() -> None:
    both = certified(in_two_parts(tuned=800, sampled=800)).certificate
    alone = certified(pairs(sampled=800)).certificate

    assert both is not None
    assert alone is not None
    assert both.threshold <= alone.threshold
    assert both.n_published > alone.n_published


def test_a_pair_judged_right_whose_statement_was_judged_false_counts_as_wrong() -> None:
    judged = pairs(sampled=1_600, quality=1.0)
    # Both pairs of ten statements were drawn, and an annotator says of one of the two that it does not hold.
    both = judged.filter((pl.col("is_right").count() == 2).over("relation_id"), pl.col("probability") > 0.95)
    named = both["relation_id"].unique().sort()[:10].implode()
    is_it = pl.col("relation_id").is_in(named) & (pl.col("target_kind_id") == "k0")
    verdicts = [pl.when(is_it).then(pl.lit(value=False)).otherwise(n).alias(n) for n in ("is_right", "holds")]
    agreed, mixed = certified(judged).curve, certified(judged.with_columns(verdicts)).curve

    assert mixed["errors"][-1] == agreed["errors"][-1] + 20


def test_a_relation_type_with_a_promise_of_its_own_is_certified_apart() -> None:
    judged = pairs(sampled=1_600)
    promises = Promises(Promise(), {"substitute": Promise(alpha=0.1, delta=0.02)})
    found = certified(judged, promises).certificate
    assert found is not None
    others, own = found.parts[OTHERS], found.parts["substitute"]

    assert own.bound <= 0.1
    assert others.bound <= 0.05
    assert found.delta == pytest.approx(0.07)
    assert found.most_wrong == others.most_wrong + own.most_wrong
    least = policy_from(certified(judged, promises)).thresholds().filter("is_covered")
    assert dict(least.select("part", "least").iter_rows()) == {
        OTHERS: others.threshold,
        "substitute": own.threshold,
    }


def test_a_relation_type_whose_promise_cannot_be_kept_is_not_published() -> None:
    promises = Promises(Promise(), {"substitute": Promise(alpha=0.001, delta=0.001)})
    found = certified(pairs(sampled=1_600), promises)
    assert found.certificate is not None
    rows = pl.DataFrame({"relation_type": ["substitute", "complement"], "is_covered": [True, True]})

    assert found.certificate.parts["substitute"].threshold is None
    least = policy_from(found).with_least(rows)["least"].to_list()
    assert least == [None, found.certificate.threshold]


def test_a_certificate_survives_the_manifest(certificate: Certificate) -> None:
    assert Certificate.from_record(certificate.to_record()) == certificate


def _part(change: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
    return lambda record: record["parts"][OTHERS].update(change)


FORGERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a larger bound": lambda r: r.update(bound=0.2),
    "a smaller bound": lambda r: r.update(bound=0.001),
    "fewer wrong": lambda r: r.update(most_wrong=0),
    "a field too many": lambda r: r.update(more=1),
    "no part": lambda r: r.update(parts={}),
    "no label": _part({"n": 0}),
    "alpha of one": _part({"alpha": 1.0}),
    "delta of one": _part({"delta": 1.0}),
    "a threshold that is no number": _part({"threshold": math.nan}),
    "more wrong than promised": _part({"most_wrong": N}),
    "a count that is none": _part({"n_published": -1}),
    "a lower threshold in the part alone": _part({"threshold": 0.1}),
    "a loose claim about pairs to come": lambda r: r["parts"][OTHERS]["beyond"].update(bound=0.2),
    "a field of a part too few": lambda r: r["parts"][OTHERS].pop("errors"),
}


@pytest.mark.parametrize("forgery", sorted(FORGERIES))
def test_a_certificate_that_was_changed_is_refused(forgery: str, certificate: Certificate) -> None:
    record = copy.deepcopy(certificate.to_record())
    FORGERIES[forgery](record)

    with pytest.raises(InputError, match="certificate cannot be read"):
        Certificate.from_record(record)


def test_a_certificate_names_the_inputs_that_changed(certificate: Certificate) -> None:
    assert certificate.changed_inputs({"classifier": "a"}) == ()
    assert certificate.changed_inputs({"classifier": "b"}) == ("classifier",)
    assert certificate.changed_inputs({}) == ("classifier",)
    assert certificate.changed_inputs({"classifier": "a", "mapping": "d"}) == ("mapping",)


def test_the_wrong_ones_may_all_be_in_the_part_that_is_published(certificate: Certificate) -> None:
    half = certificate.bound_over(certificate.n_published // 2)

    assert certificate.bound_over(certificate.n_published) == certificate.bound
    assert half == pytest.approx(2 * certificate.bound, rel=0.01)
    assert certificate.bound_over(0) == 1.0
    assert certificate.bound_over(1) == 1.0


def test_the_picture_of_the_bound_is_a_png() -> None:
    assert kept_against_bound_png(certified(pairs(sampled=1_600)), 0.05).startswith(b"\x89PNG")
