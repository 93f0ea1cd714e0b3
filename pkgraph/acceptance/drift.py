"""Is the evidence about a category's new pairs like that about the pairs the certificate was made from?

Categories differ: flowers are not dairy. So pairs are not compared with pairs, which would alarm at every new
category, but the category with the categories: how far it lies from the frame, among how far each category of
the frame lies from the others. If the new category is one more of the same make, it is the strangest of n + 1
with a chance of 1 / (n + 1), whatever the signals and however alike the pairs of a category are: that is the
level of the test (a conformal two-sample test with the energy distance as its score).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pkgraph.evidence import SIGNALS
from pkgraph.labels import answer_keys

if TYPE_CHECKING:
    from collections.abc import Collection

Floats = NDArray[np.float64]

MIN_CATEGORIES = 19
"""With fewer in the frame, the strangest of all is no alarm at a level of 5 %: nothing can be said."""

_MAX_PAIRS = 60


@dataclass(frozen=True, slots=True)
class Drift:
    """Outcome of the test.

    Attributes:
        distance: Energy distance of the new pairs from the frame.
        largest: The largest of a frame's category from the others.
        n_categories: Categories of the frame it was compared with.
        n_pairs: New pairs.
    """

    distance: float
    largest: float
    n_categories: int
    n_pairs: int

    @property
    def level(self) -> float:
        """Chance of an alarm where there is no drift."""
        return 1 / (self.n_categories + 1)

    @property
    def is_like_the_frame(self) -> bool:
        """Unknown is no: with too few categories to compare with, it is not."""
        return self.n_categories >= MIN_CATEGORIES and self.distance <= self.largest

    @property
    def sentence(self) -> str:
        if self.n_categories < MIN_CATEGORIES:
            return f"{self.n_categories} certified categories to compare with, {MIN_CATEGORIES} are needed."
        verdict = "stranger than" if self.distance > self.largest else "within"
        return (
            f"Its evidence lies {self.distance:.3f} from the certified pairs', {verdict} the "
            f"{self.n_categories} categories there (largest {self.largest:.3f}, level {self.level:.1%})."
        )


def drift_of(new: pl.DataFrame, frame: pl.DataFrame, *, seed: int) -> Drift:
    """How strange one category's new pairs are.

    Args:
        new: Rows of `relation_evidence` about pairs of one category outside the frame.
        frame: The same about pairs of the frame, with their `category`, which is another one.
        seed: Draws which pairs of a large category are looked at.
    """
    groups = [new.select(SIGNALS), *_by_category(frame)]
    if new.is_empty() or len(groups) - 1 < MIN_CATEGORIES:
        return Drift(0.0, 0.0, len(groups) - 1, new.height)
    matrix, sizes = _standardised([_thinned(group, seed) for group in groups])
    means = _mean_distances(matrix, sizes)
    others = np.arange(1, len(groups))
    largest = max(_energy(means, one, others[others != one]) for one in others)
    return Drift(_energy(means, 0, others), largest, len(groups) - 1, new.height)


def drift_of_category(
    scored: pl.DataFrame, evidence: pl.DataFrame, mapped: pl.DataFrame, covered: Collection[str], *, seed: int
) -> Drift | None:
    """The test for one category's scored relations; None where it accepts nothing from outside the frame.

    Args:
        scored: Table `scored_relations` of the category.
        evidence: Table `relation_evidence` of all categories.
        mapped: Table `mapped_relations` of all categories.
        covered: Answers of the frame, by the key of their pairs.
        seed: See `drift_of`.
    """
    if scored.filter(pl.col("is_accepted") & ~pl.col("is_covered")).is_empty():
        return None
    key = ["relation_id", "target_kind_id"]
    new = evidence.join(scored.filter(~pl.col("is_covered")), on=key, how="semi")
    category = pl.col("source_category").fill_null("")
    own = scored.select(category)["source_category"].unique().to_list()
    answers = answer_keys(mapped).filter(pl.col("answer").is_in(sorted(covered)))
    is_frame = pl.col("response_id").is_in(answers["response_id"].implode()) & ~category.is_in(own)
    frame = mapped.filter(is_frame).select(*key, category=category)
    return drift_of(new, evidence.join(frame, on=key), seed=seed)


def _by_category(frame: pl.DataFrame) -> list[pl.DataFrame]:
    ordered = frame.sort("category", "relation_id", "target_kind_id")
    return [part.select(SIGNALS) for _, part in ordered.group_by("category", maintain_order=True)]


def _thinned(group: pl.DataFrame, seed: int) -> pl.DataFrame:
    return group if group.height <= _MAX_PAIRS else group.sample(_MAX_PAIRS, seed=seed)


def _standardised(groups: list[pl.DataFrame]) -> tuple[Floats, list[int]]:
    """Rows of all groups: each signal by the mean and spread of what is known, then 1 where it is missing."""
    values = pl.concat(groups).to_numpy().astype(np.float64)
    missing = np.isnan(values)
    known = (~missing).sum(axis=0)
    filled = np.where(missing, 0.0, values)
    mean = filled.sum(axis=0) / np.maximum(known, 1)
    centred = np.where(missing, 0.0, values - mean)
    spread = np.sqrt((centred**2).sum(axis=0) / np.maximum(known, 1))
    z = np.clip(centred / np.where(spread > 0, spread, 1.0), -4.0, 4.0)
    return np.hstack([z, missing.astype(np.float64)]), [group.height for group in groups]


def _mean_distances(matrix: Floats, sizes: list[int]) -> Floats:
    """Mean Euclidean distance between the rows of every two groups, shape (n_groups, n_groups)."""
    squared = (matrix**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squared[:, None] + squared[None, :] - 2 * matrix @ matrix.T, 0.0))
    starts = np.cumsum([0, *sizes[:-1]])
    sums = np.add.reduceat(np.add.reduceat(distances, starts, axis=0), starts, axis=1)
    n = np.array(sizes, dtype=np.float64)
    counted = np.outer(n, n)
    # A pair's distance to itself is none: left out, so that small categories are not near by counting.
    np.fill_diagonal(counted, np.maximum(n * (n - 1), 1.0))
    return np.asarray(sums / counted, dtype=np.float64)


def _energy(means: Floats, one: Any, others: NDArray[np.int64]) -> float:
    """Energy distance of a group from the others taken together, each of equal weight."""
    inside = means[np.ix_(others, others)].mean()
    return float(2 * means[one, others].mean() - means[one, one] - inside)
