"""The certificate: at most alpha of the published statements are wrong, with confidence 1 - delta.

Learn-then-Test: thresholds are tried from strict to loose, each by an exact bound, until the first that does
not hold; the last that held is used. Trying in a fixed order is what makes the many tries cost nothing.

**Why the statements of one prompt may all be counted.** Statements of one prompt are alike, so they are no
independent draws from all prompts one might ask. The bound does not speak of those. It speaks of the
statements that were judged, a finite number, of which the labelled ones are a random sample; how alike they
are does not matter then. And since each is judged by a member that has not seen the labels of its source, the
labels of a member's own sources are to its scores as if they had been drawn afterwards. The members share
delta (union bound).

A statement that a reviewer refused is not published. So the wrong ones that remain are among those that
nobody looked at, and the bound counts them over all that is published; over the unreviewed alone it is given
apart.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pkgraph.acceptance.bounds import most_wrong
from pkgraph.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

GRID: tuple[float, ...] = tuple(round(0.99 - 0.01 * step, 2) for step in range(60))
"""Thresholds on the probability that a statement holds, strict to loose; fixed before any label is seen."""

ASSUMPTIONS = (
    "Labelled statements are a uniformly random sample of the judged ones of each model.",
    "The labels are right: their annotators are the yardstick, and their errors are not in the bound.",
    "Only the statement is certified: errors of the mapping from phrases to kinds are not in the bound.",
    "It holds for the statements it was computed on; new answers are outside until they are sampled.",
    "The scales of the training recipe were set before; on the demo shop they were set knowing its labels.",
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a snapshot may claim.

    Attributes:
        alpha, delta: At most alpha of the published statements are wrong, with confidence 1 - delta.
        threshold: Least probability that is published.
        n: Labelled statements at or above the threshold that the bound rests on.
        errors: How many of them do not hold. They are not published.
        bound: Upper bound on the wrong share of what is published, <= alpha.
        unreviewed_bound: The same over the published statements that no reviewer looked at.
        n_published: Statements the bound speaks of.
        most_wrong: How many of them are wrong at most; `bound` is this share.
        label_source: Where the labels come from.
        fingerprints: Name of an input (classifier, labels, mapping, models, templates) to its key; a change
            of one voids the certificate.
    """

    alpha: float
    delta: float
    threshold: float
    n: int
    errors: int
    bound: float
    unreviewed_bound: float
    n_published: int
    most_wrong: int
    label_source: str
    assumptions: tuple[str, ...] = ASSUMPTIONS
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values for the manifest."""
        record: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Certificate:
        """The certificate in plain JSON values.

        Raises:
            InputError: A number is missing or impossible.
        """
        try:
            found = cls(**{**record, "assumptions": tuple(record["assumptions"])})
            numbers = (found.alpha, found.delta, found.bound, found.unreviewed_bound, found.threshold)
            is_sound = all(math.isfinite(number) and 0 <= number <= 1 for number in numbers)
            is_sound = is_sound and math.isclose(found.bound, found.bound_over(found.n_published))
            if not (is_sound and found.bound <= found.alpha and found.n >= 1):
                raise ValueError("its numbers contradict each other")  # noqa: TRY301
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"The certificate cannot be read: {error}.") from error
        return found

    def bound_over(self, n: int) -> float:
        """The bound where only n of the statements are published: all the wrong ones may be among them.

        A category that was held back, or rows without products, can leave fewer than were tested.
        """
        return min(1.0, self.most_wrong / n) if n > 0 else 1.0

    def is_void(self, fingerprints: Mapping[str, str]) -> tuple[str, ...]:
        """Names of the inputs that are not those it was made for; none: it stands."""
        names = {*self.fingerprints, *fingerprints}
        return tuple(sorted(n for n in names if self.fingerprints.get(n) != fingerprints.get(n)))


@dataclass(frozen=True, slots=True)
class Certification:
    """The outcome of testing.

    Attributes:
        certificate: None where no threshold holds.
        reason: Why there is none; "" where there is one.
        curve: Every threshold, tried or not: columns threshold, n, errors, n_published, most_wrong, bound,
            unreviewed_bound, kept_share (of the labelled statements that hold), is_tried, holds.
    """

    certificate: Certificate | None
    reason: str
    curve: pl.DataFrame


def certify(
    judged: pl.DataFrame,
    *,
    alpha: float,
    delta: float,
    label_source: str,
    seed: int,
    fingerprints: Mapping[str, str] | None = None,
) -> Certification:
    """The loosest threshold at which the bound holds.

    Args:
        judged: As `Training.judged`; only mapped statements can be published, so only they count.
        alpha: Largest wrong share that may be published.
        delta: Chance that the claim is false.
        label_source: Where the labels come from, in words.
        seed: Draws which labels are set aside where one model has been labelled more densely than another.
        fingerprints: Inputs whose change voids the certificate.
    """
    sample = _even_sample(judged.filter("is_mapped"), seed)
    n_labels = int(sample["holds"].count())
    if not n_labels:
        return Certification(None, "There are no labels to certify with.", pl.DataFrame(schema=_CURVE))
    curve = _curve(sample, alpha, delta)
    held = curve.filter("holds")
    if held.is_empty():
        reason = (
            f"With {n_labels} labels no threshold keeps the wrong share under {alpha:.1%} at confidence "
            f"{1 - delta:.1%}."
        )
        return Certification(None, reason, curve)
    at = held.row(-1, named=True)
    certificate = Certificate(
        alpha=alpha,
        delta=delta,
        threshold=at["threshold"],
        n=at["n"],
        errors=at["errors"],
        bound=at["bound"],
        unreviewed_bound=at["unreviewed_bound"],
        n_published=at["n_published"],
        most_wrong=at["most_wrong"],
        label_source=label_source,
        fingerprints=dict(fingerprints or {}),
    )
    return Certification(certificate, "", curve)


def _even_sample(judged: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Each model's labels thinned to the rate of the model labelled least, as if all had been drawn alike.

    A statement whose label is set aside counts as not reviewed, which can only raise the bound.
    """
    labelled = judged.filter(pl.col("holds").is_not_null())
    if labelled.is_empty():
        return labelled
    sizes = judged.group_by("model").len().join(labelled.group_by("model").agg(n=pl.len()), on="model")
    rate = float((sizes["n"] / sizes["len"]).min() or 0.0)  # type: ignore[arg-type]
    keep = {str(model): int(rate * size) for model, size, _ in sizes.iter_rows()}
    order = labelled.sort("relation_id").with_columns(draw=pl.Series(_draws(labelled.height, seed)))
    rank = pl.col("draw").rank("ordinal").over("model")
    limit = pl.col("model").replace_strict(keep, return_dtype=pl.Int64)
    kept = order.filter(rank <= limit).select("relation_id", is_kept=pl.lit(value=True))
    # A model without any label is no part of the population: nothing is known of it.
    part = judged.filter(pl.col("model").is_in(list(keep))).join(kept, on="relation_id", how="left")
    return part.with_columns(holds=pl.when("is_kept").then("holds")).drop("is_kept").sort("relation_id")


def _draws(n: int, seed: int) -> Any:
    return np.random.default_rng(seed).random(n)


_CURVE = {
    "threshold": pl.Float64,
    "n": pl.Int64,
    "errors": pl.Int64,
    "n_published": pl.Int64,
    "most_wrong": pl.Int64,
    "bound": pl.Float64,
    "unreviewed_bound": pl.Float64,
    "kept_share": pl.Float64,
    "is_tried": pl.Boolean,
    "holds": pl.Boolean,
}


def _curve(sample: pl.DataFrame, alpha: float, delta: float) -> pl.DataFrame:
    n_true = int(sample["holds"].sum())
    rows: list[dict[str, Any]] = []
    is_open = True
    for threshold in GRID:
        above = sample.filter(pl.col("holds_probability") >= threshold)
        parts = [part for _, part in above.group_by("member")]
        share = delta / sample["member"].n_unique()
        row = _at(parts, n_true, share)
        is_tried = is_open and _can_pass(parts, sample, alpha, share)
        holds = is_tried and row["bound"] <= alpha
        is_open = is_open and (holds or not is_tried)
        rows.append({"threshold": threshold, **row, "is_tried": is_tried, "holds": holds})
    return pl.DataFrame(rows, schema=_CURVE)


def _at(parts: list[pl.DataFrame], n_true: int, delta: float) -> dict[str, Any]:
    n = errors = n_judged = left = 0
    for part in parts:
        n_here = int(part["holds"].count())
        wrong = n_here - int(part["holds"].sum())
        left += most_wrong(wrong, n_here, part.height, delta) - wrong
        n, errors, n_judged = n + n_here, errors + wrong, n_judged + part.height
    n_published, n_unreviewed = n_judged - errors, n_judged - n
    return {
        "n": n,
        "errors": errors,
        "n_published": n_published,
        "most_wrong": left,
        "bound": left / n_published if n_published else 1.0,
        "unreviewed_bound": left / n_unreviewed if n_unreviewed else 0.0,
        "kept_share": (n - errors) / n_true if n_true else 0.0,
    }


def _can_pass(parts: list[pl.DataFrame], sample: pl.DataFrame, alpha: float, delta: float) -> bool:
    """Whether the threshold would hold if half of alpha were wrong: stricter ones have too few labels.

    Only counts and the overall rate of labelling enter, no verdict, so the order of tests stays fixed.
    """
    rate = sample["holds"].count() / sample.height
    left = published = 0
    for part in parts:
        n = int(rate * part.height)
        errors = round(n * alpha / 2)
        left += most_wrong(errors, n, part.height, delta) - errors
        published += part.height - errors
    return published > 0 and left <= alpha * published
