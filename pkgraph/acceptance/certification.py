"""Stage `hallucination_classifier`, second half: the random sample certifies thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from pkgraph.acceptance.certificate import OTHERS, Beyond, Certificate, Part
from pkgraph.acceptance.thresholds import Pairs, Rate, Step, loosest_rate, loosest_that_holds, steps_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Promise:
    """At most alpha of what is published is wrong, with confidence 1 - delta."""

    alpha: float = 0.05
    delta: float = 0.05


@dataclass(frozen=True, slots=True)
class Promises:
    """What is promised of all relations, and of relation types with a promise of their own."""

    others: Promise = Promise()
    by_type: Mapping[str, Promise] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Certification:
    """The outcome of testing.

    Attributes:
        certificate: None where no threshold holds.
        reason: Why there is none; "" where there is one.
        curve: The thresholds of all pairs of the frame, with bounds that hold together: columns threshold, n,
            errors, n_published, most_wrong, bound (on what is published there), kept_share.
    """

    certificate: Certificate | None
    reason: str
    curve: pl.DataFrame


_CURVE = {
    "threshold": pl.Float64,
    "n": pl.Int64,
    "errors": pl.Int64,
    "n_published": pl.Int64,
    "most_wrong": pl.Int64,
    "bound": pl.Float64,
    "kept_share": pl.Float64,
}


def certify(
    pairs: pl.DataFrame,
    *,
    promises: Promises,
    label_source: str,
    fingerprints: Mapping[str, str] | None = None,
) -> Certification:
    """The loosest threshold of each part at which its promise holds.

    Args:
        pairs: Every pair as the classifier judges it: relation_id, source, relation_type, probability,
            is_open (nothing but threshold and reviewers may be against it), is_publishable (nor is a
            reviewer), is_in_frame, is_right (null: not in the random sample), holds (null: not in it).
        promises: What is promised of which relation types.
        label_source: Where the labels come from, in words.
        fingerprints: Inputs whose change voids the certificate.
    """
    frame = pairs.filter("is_in_frame").with_columns(is_refused=_is_refused())
    n_labels = int(frame["is_right"].count())
    if not n_labels:
        return Certification(None, "There are no calibration labels.", pl.DataFrame(schema=_CURVE))
    own = pl.col("relation_type").is_in(list(promises.by_type))
    parts = {OTHERS: _part(frame.filter(~own), promises.others)}
    for name, promise in sorted(promises.by_type.items()):
        parts[name] = _part(frame.filter(pl.col("relation_type") == name), promise)
    inputs = dict(fingerprints or {})
    certificate = Certificate(parts, n_labels, frame.height, label_source, fingerprints=inputs)
    curve = _curve(frame, promises.others.delta)
    if not certificate.held:
        wanted = promises.others
        reason = (
            f"With {n_labels} calibration labels no threshold keeps the wrong share under {wanted.alpha:.1%} "
            f"at confidence {1 - wanted.delta:.1%}."
        )
        return Certification(None, reason, curve)
    return Certification(certificate, "", curve)


def _is_refused() -> pl.Expr:
    """The pair was found wrong, or another pair of its statement was because the statement does not hold."""
    is_false = (~pl.col("holds")).fill_null(value=False).any().over("relation_id")
    return is_false | (~pl.col("is_right")).fill_null(value=False)


def _part(pairs: pl.DataFrame, promise: Promise) -> Part:
    n_right = int(pairs["is_right"].sum())
    steps = steps_of(_arrays(pairs.filter("is_publishable")), promise.delta)
    # Pairs yet to come have no reviewer: those that one kept out of the frame count among their errors.
    beyond = _beyond(pairs.filter("is_open"), promise)
    found = loosest_that_holds(steps, promise.alpha)
    if found is None:
        return Part(promise.alpha, promise.delta, None, 0, 0, 0, 0, 0, 0.0, beyond=None)
    return Part(
        alpha=promise.alpha,
        delta=promise.delta,
        threshold=found.threshold,
        n=found.n,
        errors=found.errors,
        n_refused=found.refused,
        n_published=found.n_published,
        most_wrong=found.left,
        kept_share=_kept(found, n_right),
        beyond=beyond,
    )


def _kept(step: Step, n_right: int) -> float:
    return (step.n - step.errors) / n_right if n_right else 0.0


def _arrays(published: pl.DataFrame) -> Pairs:
    is_right = published["is_right"]
    return Pairs(
        published["probability"].to_numpy(),
        is_right.is_not_null().to_numpy(),
        (~is_right).fill_null(value=False).to_numpy(),
        published["is_refused"].to_numpy(),
    )


def _beyond(pairs: pl.DataFrame, promise: Promise) -> Beyond | None:
    sample = pairs.filter(pl.col("is_right").is_not_null()).sort("relation_id", "probability")
    if sample.is_empty():
        return None
    clusters = (sample["source"].rank("dense").cast(pl.Int64) - 1).to_numpy()
    wrong = (~sample["is_right"]).to_numpy()
    rate = loosest_rate(sample["probability"].to_numpy(), wrong, clusters, promise.alpha, promise.delta)
    return _as_claim(rate) if rate else None


def _as_claim(rate: Rate) -> Beyond:
    return Beyond(rate.threshold, rate.n, rate.errors, round(rate.effect, 6), rate.bound)


def _curve(frame: pl.DataFrame, delta: float) -> pl.DataFrame:
    n_right = int(frame["is_right"].sum())
    rows: list[dict[str, Any]] = [
        {
            "threshold": step.threshold,
            "n": step.n,
            "errors": step.errors,
            "n_published": step.n_published,
            "most_wrong": step.left,
            "bound": step.bound,
            "kept_share": _kept(step, n_right),
        }
        for step in steps_of(_arrays(frame.filter("is_publishable")), delta)
    ]
    return pl.DataFrame(rows, schema=_CURVE)
