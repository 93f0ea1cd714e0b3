"""Learn-then-Test on one ordered set: exact bounds at thresholds, and the loosest one that holds.

Everything here is arrays: certificate, benchmark and the simulation of the guarantee run the same code.

A threshold stands for the set of pairs that score as much or more. Some of these may be *known*: an earlier
sample, one that trained and tuned, found them right. Of the others, N, the random sample holds n, e of them
wrong, so at most U of the N are wrong (exact, hypergeometric). What is published depends on the sample: it
keeps out what it found wrong, and with a statement that does not hold, its other targets. Of r pairs kept
out, at most U - r wrong ones are left among N - r and the known ones.

**Without known pairs** nothing says where to begin. Ten thresholds, at the scores above which a tenth, two
tenths, ... of the pairs stand, each with its bound at level delta / 10: all hold together, and whichever is
chosen, for whatever reason, its bound holds.

**With them** the earlier sample foretells the bounds, and says at which threshold to begin. From there a walk
goes from strict to loose, each bound at full delta, as fixed-sequence testing does; but what is claimed at a
threshold depends on r, which no hypothesis may that stands before the sample. So the walk has two tests. It
*goes on* past a threshold only if U <= alpha (known + N): that hypothesis is fixed. And a threshold that it
reached *holds* if (U - r) / published <= alpha. Let T be the first threshold of the walk at which more than
alpha (known + N) are wrong. Before T no claim can be false. A false claim at T, and going on past T, both
need U to be less than the truth at T: a chance of at most delta. So no more often is any claim false.

What a walk claims is alpha, at whichever threshold of those that hold. More can be said where it reached
its last one, which is fixed: there U is a bound at delta of one threshold that nothing chose, and since a
stricter set is a part of it, no more than U - r wrong pairs are left at any threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pkgraph.acceptance.bounds import clopper_pearson, design_effect, most_wrong

if TYPE_CHECKING:
    from collections.abc import Iterable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

N_THRESHOLDS = 10
N_STEPS = 20
"""Thresholds that a walk may choose its beginning from: a twentieth of the pairs apart."""
LEAST_THRESHOLD = 0.5
"""Below, a pair is rather wrong than right and stays out, however many wrong ones a promise has room for."""
# So that 0.05 * 100 is 5 in floating point too.
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Step:
    """The pairs that score at least a threshold.

    Attributes:
        threshold: Least score of the set.
        size: Pairs in it that are not known (N).
        n: Sampled ones among these.
        errors: Wrong ones among the sampled.
        refused: Pairs of the N that are not published because of what the sample found (r >= errors).
        most_wrong: Upper bound on the wrong pairs among the N (U).
        known: Pairs in the set that are known to be right.
        known_refused: Those of them that the sample keeps out, because it says that their statement is false.
    """

    threshold: float
    size: int
    n: int
    errors: int
    refused: int
    most_wrong: int
    known: int = 0
    known_refused: int = 0

    @property
    def n_published(self) -> int:
        return self.size - self.refused + self.known - self.known_refused

    @property
    def left(self) -> int:
        """Wrong pairs among the published ones, at most."""
        return max(0, self.most_wrong - self.refused)

    @property
    def bound(self) -> float:
        """Upper bound on the wrong share of what is published."""
        return self.left / self.n_published if self.n_published else 1.0

    def holds(self, alpha: float) -> bool:
        """At most alpha of what is published is wrong, as far as this threshold's bound says."""
        # Without it, a claim could be false where no more than alpha of all are wrong: see "before T".
        is_outweighed = alpha * self.known_refused <= (1 - alpha) * self.refused
        return is_outweighed and self.n_published > 0 and self.bound <= alpha + _EPSILON

    def goes_on(self, alpha: float) -> bool:
        """The hypothesis that more than alpha of all pairs of the set are wrong is refuted."""
        return self.most_wrong <= alpha * (self.known + self.size) + _EPSILON


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs in any order; all arrays of shape (n_pairs,).

    Attributes:
        score: Higher is surer.
        is_sampled: The pair is in the random sample.
        is_wrong: The sample says that it is wrong; False where it is not sampled.
        is_refused: It is not published because of what the sample says; a wrong one always is.
        is_known: An earlier sample found it right; then it is not sampled. What that sample found wrong is
            no pair of these: it is not published, whatever the threshold.
    """

    score: Floats
    is_sampled: Bools
    is_wrong: Bools
    is_refused: Bools
    is_known: Bools


@dataclass(frozen=True, slots=True)
class Tuning:
    """The earlier sample, of pairs that nothing but their score speaks against.

    Attributes:
        score: Of each, shape (n,).
        is_wrong: Whether it was found wrong, shape (n,).
        sampled_share: Share of the pairs it left that the random sample holds, 0-1.
    """

    score: Floats
    is_wrong: Bools
    sampled_share: float


def spaced(score: Floats, n: int) -> list[float]:
    """The scores above which one n-th, two n-ths, ... of the pairs stand, strict to loose."""
    ranked = np.sort(score)[::-1]
    places = [ranked.size * part // n for part in range(1, n + 1)]
    return sorted({float(ranked[place - 1]) for place in places if place}, reverse=True)


def step_at(pairs: Pairs, threshold: float, delta: float) -> Step:
    """The set of a threshold, with its bound at level delta."""
    inside = pairs.score >= threshold
    unknown, known = inside & ~pairs.is_known, inside & pairs.is_known
    n, errors, size = (
        int(flag.sum()) for flag in (unknown & pairs.is_sampled, unknown & pairs.is_wrong, unknown)
    )
    return Step(
        threshold,
        size,
        n,
        errors,
        refused=int((unknown & pairs.is_refused).sum()),
        most_wrong=most_wrong(errors, n, size, delta),
        known=int(known.sum()),
        known_refused=int((known & pairs.is_refused).sum()),
    )


def steps_of(pairs: Pairs, delta: float, n_thresholds: int = N_THRESHOLDS) -> list[Step]:
    """The sets from strict to loose, with bounds that hold together with confidence 1 - delta."""
    return [step_at(pairs, one, delta / n_thresholds) for one in spaced(pairs.score, n_thresholds)]


def loosest_that_holds(steps: Iterable[Step], alpha: float) -> Step | None:
    """The step that publishes most while at most alpha of it is wrong; None where none does."""
    held = (step for step in steps if step.threshold >= LEAST_THRESHOLD and step.holds(alpha))
    return max(held, key=lambda step: step.size, default=None)


def planned_walk(pairs: Pairs, tuning: Tuning, delta: float) -> list[float]:
    """The thresholds from that of the least foretold bound on, strict to loose; no sampled label is asked."""
    thresholds = spaced(pairs.score, N_STEPS)
    foretold = [_foretold(pairs, tuning, threshold, delta) for threshold in thresholds]
    return thresholds[int(np.argmin(foretold)) :] if thresholds else []


def _foretold(pairs: Pairs, tuning: Tuning, threshold: float, delta: float) -> float:
    """The bound if the sample is as large as expected and errs as often as the earlier one did."""
    inside, above = pairs.score >= threshold, tuning.score >= threshold
    size, known = int((inside & ~pairs.is_known).sum()), int((inside & pairs.is_known).sum())
    if not (above.any() and size):
        return 1.0
    n = round(tuning.sampled_share * size)
    return most_wrong(round(float(tuning.is_wrong[above].mean()) * n), n, size, delta) / (size + known)


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk came to.

    Attributes:
        reached: Its steps, strict to loose; any of them that holds may be claimed.
        is_whole: It reached the last of its thresholds, and that holds.
        alpha: Share that it claims.
    """

    reached: list[Step]
    is_whole: bool
    alpha: float

    def left_at(self, step: Step) -> int:
        """Wrong pairs among those that are published at a step, at most."""
        claimed = int(self.alpha * step.n_published + _EPSILON)
        return min(claimed, self.reached[-1].left) if self.is_whole else claimed


def walk(pairs: Pairs, thresholds: list[float], *, alpha: float, delta: float) -> Walk:
    """From strict to loose, as far as it may go."""
    reached: list[Step] = []
    for threshold in thresholds:
        reached.append(step_at(pairs, threshold, delta))
        if not reached[-1].goes_on(alpha):
            break
    is_whole = bool(reached) and len(reached) == len(thresholds) and reached[-1].holds(alpha)
    return Walk(reached, is_whole, alpha)


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


@dataclass(frozen=True, slots=True)
class Sample:
    """Sampled pairs; all arrays of shape (n,).

    Attributes:
        score: Higher is surer.
        is_wrong: Whether each of them is wrong.
        clusters: Number of the source each belongs to: pairs of one source are alike.
    """

    score: Floats
    is_wrong: Bools
    clusters: Ints


def rate_at(sample: Sample, threshold: float, delta: float) -> Rate:
    """The rate above a threshold, with its bound at level delta."""
    above = sample.score >= threshold
    wrong, n = sample.is_wrong[above], int(above.sum())
    errors = int(wrong.sum())
    effect = design_effect(wrong, sample.clusters[above])
    return Rate(threshold, n, errors, effect, clopper_pearson(errors / effect, n / effect, delta))


def rates_of(sample: Sample, delta: float) -> list[Rate]:
    """The rates from strict to loose, with bounds that hold together with confidence 1 - delta."""
    thresholds = spaced(sample.score, N_THRESHOLDS)
    return [rate_at(sample, threshold, delta / N_THRESHOLDS) for threshold in thresholds]


def walked_rates(sample: Sample, earlier: Sample, *, alpha: float, delta: float) -> list[Rate]:
    """The rates that hold from the earlier sample's least bound on, by fixed-sequence testing."""
    thresholds = spaced(earlier.score, N_STEPS)
    begin = int(np.argmin([rate_at(earlier, threshold, delta).bound for threshold in thresholds]))
    found = (rate_at(sample, threshold, delta) for threshold in thresholds[begin:])
    return list(takewhile(lambda rate: rate.bound <= alpha, found))


def loosest_rate(rates: Iterable[Rate], alpha: float) -> Rate | None:
    """The rate of most pairs of which at most alpha is wrong; None where there is none."""
    held = (rate for rate in rates if rate.threshold >= LEAST_THRESHOLD and rate.bound <= alpha)
    return max(held, key=lambda rate: rate.n, default=None)
