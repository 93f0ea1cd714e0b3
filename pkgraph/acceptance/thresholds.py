"""Learn-then-Test on one ordered set: exact bounds at ten thresholds at once, and the loosest that holds.

Everything here is arrays: certificate, benchmark and the simulation of the guarantee run the same code.

The thresholds are the scores at which a tenth, two tenths, ... of the pairs stand: fixed by the scores,
before a label is seen. A threshold stands for the set A of pairs that score as much or more: N pairs, of
which the sample holds n, e of them wrong. Each gets the exact hypergeometric bound U on its wrong pairs at
level delta / 10, so all ten hold together with confidence 1 - delta, and whichever is chosen, for whatever
reason, its bound holds.

That is needed because what is published depends on the sample: what it found wrong is kept out, and with a
statement that does not hold, its other targets. Of r pairs kept out, at most U - r wrong ones are left among
N - r.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pkgraph.acceptance.bounds import clopper_pearson, design_effect, most_wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

N_THRESHOLDS = 10
# So that 0.05 * 100 is 5 in floating point too.
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Step:
    """The pairs that score at least a threshold.

    Attributes:
        threshold: Least score of the set.
        size: Pairs in it (N).
        n: Sampled ones.
        errors: Wrong ones among these.
        refused: Pairs in it that are not published because of what the sample found (r >= errors).
        most_wrong: Upper bound on the wrong pairs in it (U).
    """

    threshold: float
    size: int
    n: int
    errors: int
    refused: int
    most_wrong: int

    @property
    def n_published(self) -> int:
        return self.size - self.refused

    @property
    def left(self) -> int:
        """Wrong pairs among the published ones, at most."""
        return max(0, self.most_wrong - self.refused)

    @property
    def bound(self) -> float:
        """Upper bound on the wrong share of what is published."""
        return self.left / self.n_published if self.n_published else 1.0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs in any order; all arrays of shape (n_pairs,).

    Attributes:
        score: Higher is surer.
        is_sampled: The pair is in the random sample.
        is_wrong: The sample says that it is wrong; False where it is not sampled.
        is_refused: It is not published because of what the sample says; a wrong one always is.
    """

    score: Floats
    is_sampled: Bools
    is_wrong: Bools
    is_refused: Bools


def steps_of(pairs: Pairs, delta: float, n_thresholds: int = N_THRESHOLDS) -> list[Step]:
    """The sets from strict to loose, with bounds that hold together with confidence 1 - delta."""
    order = np.argsort(-pairs.score, kind="stable")
    ranked = pairs.score[order]
    n, errors, refused = (
        np.cumsum(flag[order]) for flag in (pairs.is_sampled, pairs.is_wrong, pairs.is_refused)
    )
    steps = []
    for row in _rows(ranked, n_thresholds):
        counts = int(n[row]), int(errors[row])
        most = most_wrong(counts[1], counts[0], row + 1, delta / n_thresholds)
        steps.append(Step(float(ranked[row]), row + 1, *counts, int(refused[row]), most))
    return steps


def _rows(ranked: Floats, n_thresholds: int) -> list[int]:
    """Last row of each set, of scores in descending order; pairs of equal score stand on one side."""
    places = [ranked.size * part // n_thresholds for part in range(1, n_thresholds + 1)]
    ends = {int(np.searchsorted(-ranked, -ranked[place - 1], side="right")) for place in places if place}
    return [end - 1 for end in sorted(ends)]


def loosest_that_holds(steps: list[Step], alpha: float) -> Step | None:
    """The step that publishes most while at most alpha of it is wrong; None where none does."""
    held = [step for step in steps if step.n_published > 0 and step.bound <= alpha + _EPSILON]
    return max(held, key=lambda step: step.size, default=None)


@dataclass(frozen=True, slots=True)
class Rate:
    """What the sample says of pairs yet to come that score at least the threshold.

    Attributes:
        threshold: Least score.
        n, errors: Sampled pairs at or above it, and the wrong ones.
        effect: Alike draws that count as one independent draw, >= 1.
        bound: Clopper and Pearson's upper bound on the long-run share of wrong ones, of n / effect draws.
    """

    threshold: float
    n: int
    errors: int
    effect: float
    bound: float


def rates(score: Floats, is_wrong: Bools, clusters: Ints, delta: float) -> Iterator[Rate]:
    """The sampled pairs' rates from strict to loose, with bounds that hold together.

    Args:
        score: Of the sampled pairs, shape (n,); higher is surer.
        is_wrong: Whether each of them is wrong, shape (n,).
        clusters: Number of the source each belongs to, shape (n,): pairs of one source are alike.
        delta: Chance that one of the bounds is exceeded.
    """
    order = np.argsort(-score, kind="stable")
    ranked, wrong, cluster = score[order], is_wrong[order], clusters[order]
    for row in _rows(ranked, N_THRESHOLDS):
        n, errors = row + 1, int(wrong[: row + 1].sum())
        effect = design_effect(wrong[: row + 1], cluster[: row + 1])
        bound = clopper_pearson(errors / effect, n / effect, delta / N_THRESHOLDS)
        yield Rate(float(ranked[row]), n, errors, effect, bound)


def loosest_rate(score: Floats, is_wrong: Bools, clusters: Ints, alpha: float, delta: float) -> Rate | None:
    """The rate of most pairs of which at most alpha is wrong; None where there is none."""
    held = [rate for rate in rates(score, is_wrong, clusters, delta) if rate.bound <= alpha]
    return max(held, key=lambda rate: rate.n, default=None)
