"""Stage `hallucination_classifier`, second half: the random sample certifies thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from pkgraph.acceptance.certificate import OTHERS, Beyond, Certificate, Part
from pkgraph.acceptance.thresholds import (
    Pairs,
    Rate,
    Sample,
    Step,
    Tuning,
    loosest_rate,
    loosest_that_holds,
    planned_walk,
    rates_of,
    steps_of,
    walk,
    walked_rates,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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
        curve: The thresholds of all pairs of the frame that were tried, each with the bound that it has by
            itself: columns threshold, n, errors, n_published, most_wrong, bound, kept_share.
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
    sample: str = "",
) -> Certification:
    """The loosest threshold of each part at which its promise holds.

    Args:
        pairs: Every pair as the classifier judges it: relation_id, source, relation_type, probability,
            is_open (nothing but threshold and reviewers may be against it), is_publishable (nor is a
            reviewer), is_in_frame, is_right (null: not judged), holds (null: the same), tunes (the verdict is
            of the part of the random sample that trained and tuned; the rest of it certifies).
        promises: What is promised of which relation types.
        label_source: Where the labels come from, in words.
        fingerprints: Inputs whose change voids the certificate.
        sample: Key of the verdicts that certify.
    """
    frame = _judged(pairs.filter("is_in_frame"))
    n_labels = int(frame["is_sampled"].sum())
    if not n_labels:
        return Certification(None, "There are no calibration labels.", pl.DataFrame(schema=_CURVE))
    own = pl.col("relation_type").is_in(list(promises.by_type))
    parts = {OTHERS: _part(frame.filter(~own), promises.others)}
    for name, promise in sorted(promises.by_type.items()):
        parts[name] = _part(frame.filter(pl.col("relation_type") == name), promise)
    inputs = dict(fingerprints or {})
    n_tuning = int(frame["is_tuning"].sum())
    certificate = Certificate(
        parts,
        n_labels,
        frame.height,
        label_source,
        fingerprints=inputs,
        n_tuning=n_tuning,
        sample=sample,
    )
    curve = _curve(frame, promises.others)
    if not certificate.held:
        wanted = promises.others
        reason = (
            f"With {n_labels} calibration labels no threshold keeps the wrong share under {wanted.alpha:.1%} "
            f"at confidence {1 - wanted.delta:.1%}."
        )
        return Certification(None, reason, curve)
    return Certification(certificate, "", curve)


def _judged(frame: pl.DataFrame) -> pl.DataFrame:
    """The pairs with what either part of the sample says of them.

    is_tuning, is_sampled: it is in the one part, or in the other. is_out: the tuning part found it wrong, or
    its statement false, so it is never published. is_refused: the certifying part did; a pair that was judged
    right with a statement that was judged false elsewhere counts as wrong.
    """
    is_judged = pl.col("is_right").is_not_null()
    frame = frame.with_columns(is_tuning=is_judged & pl.col("tunes"), is_sampled=is_judged & ~pl.col("tunes"))
    return frame.with_columns(is_out=_is_wrong_by("is_tuning"), is_refused=_is_wrong_by("is_sampled"))


def _is_wrong_by(part: str) -> pl.Expr:
    """The pair was found wrong, or another pair of its statement was because the statement does not hold."""
    is_false = (pl.col(part) & ~pl.col("holds")).fill_null(value=False).any().over("relation_id")
    return is_false | (pl.col(part) & ~pl.col("is_right")).fill_null(value=False)


def _part(pairs: pl.DataFrame, promise: Promise) -> Part:
    # Pairs yet to come have no reviewer: those that one kept out of the frame count among their errors.
    beyond = _beyond(pairs.filter("is_open"), promise)
    tried = _tried(pairs, promise)
    found = loosest_that_holds(tried.steps, promise.alpha)
    if found is None:
        return Part(promise.alpha, promise.delta, None, 0, 0, 0, 0, 0, 0.0, beyond=None)
    return Part(
        alpha=promise.alpha,
        delta=promise.delta,
        threshold=found.threshold,
        n=found.n,
        errors=found.errors,
        n_refused=found.refused + found.known_refused,
        n_published=found.n_published,
        most_wrong=tried.left_at(found),
        kept_share=_kept(found, pairs),
        beyond=beyond,
        n_known=found.known - found.known_refused,
    )


@dataclass(frozen=True, slots=True)
class _Tried:
    """The thresholds that were tried, and how many wrong ones may be left at one of them."""

    steps: list[Step]
    left_at: Callable[[Step], int]


def _tried(pairs: pl.DataFrame, promise: Promise) -> _Tried:
    """A walk where an earlier sample says from where, else ten thresholds at once."""
    published = pairs.filter("is_publishable")
    arrays = _arrays(published.filter(~pl.col("is_out")))
    earlier = published.filter("is_tuning")
    if earlier.is_empty():
        return _Tried(steps_of(arrays, promise.delta), lambda step: step.left)
    left = pairs.height - int(pairs["is_tuning"].sum())
    tuning = Tuning(
        earlier["probability"].to_numpy(),
        earlier["is_out"].to_numpy(),
        sampled_share=int(pairs["is_sampled"].sum()) / max(left, 1),
    )
    thresholds = planned_walk(arrays, tuning, promise.delta)
    walked = walk(arrays, thresholds, alpha=promise.alpha, delta=promise.delta)
    return _Tried(walked.reached, walked.left_at)


def _kept(step: Step, pairs: pl.DataFrame) -> float:
    """Share of the certifying part's right pairs that is published."""
    n_right = int((pairs["is_sampled"] & pairs["is_right"]).sum())
    return (step.n - step.errors) / n_right if n_right else 0.0


def _arrays(published: pl.DataFrame) -> Pairs:
    is_sampled, is_refused = published["is_sampled"].to_numpy(), published["is_refused"].to_numpy()
    return Pairs(
        published["probability"].to_numpy(),
        is_sampled,
        is_sampled & is_refused,
        is_refused,
        published["is_tuning"].to_numpy(),
    )


def _beyond(pairs: pl.DataFrame, promise: Promise) -> Beyond | None:
    sample, earlier = (_sample(pairs.filter(part)) for part in ("is_sampled", "is_tuning"))
    if earlier.score.size:
        rates = walked_rates(sample, earlier, alpha=promise.alpha, delta=promise.delta)
    else:
        rates = rates_of(sample, promise.delta)
    rate = loosest_rate(rates, promise.alpha)
    return _as_claim(rate) if rate else None


def _sample(pairs: pl.DataFrame) -> Sample:
    ordered = pairs.sort("relation_id", "probability")
    clusters = (ordered["source"].rank("dense").cast(pl.Int64) - 1).to_numpy()
    wrong = (~ordered["is_right"] | ordered["is_refused"] | ordered["is_out"]).to_numpy()
    return Sample(ordered["probability"].to_numpy(), wrong, clusters)


def _as_claim(rate: Rate) -> Beyond:
    return Beyond(rate.threshold, rate.n, rate.errors, round(rate.effect, 6), rate.bound)


def _curve(frame: pl.DataFrame, promise: Promise) -> pl.DataFrame:
    rows: list[dict[str, Any]] = [
        {
            "threshold": step.threshold,
            "n": step.n,
            "errors": step.errors,
            "n_published": step.n_published,
            "most_wrong": step.left,
            "bound": step.bound,
            "kept_share": _kept(step, frame),
        }
        for step in _tried(frame, promise).steps
    ]
    return pl.DataFrame(rows, schema=_CURVE)
