"""Exact bounds on how many of a finite number of pairs are wrong, from a random sample of them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def clopper_pearson(errors: float, n: float, delta: float) -> float:
    """Upper bound on a share that holds with confidence 1 - delta: exact for independent draws.

    Counts may be fractions: a sample of alike pairs counts as a smaller one (`design_effect`).

    (0, 59, 0.05) -> 0.0495
    """
    from scipy.stats import beta  # noqa: PLC0415 - scipy.stats costs 0.5 s

    if n <= 0 or errors >= n:
        return 1.0
    return float(beta.ppf(1 - delta, errors + 1, n - errors))


def chance_of_so_few(errors: int, n: int, population: int, wrong: int) -> float:
    """Chance of at most so many errors in a random sample where so many of the population are wrong.

    Summed term by term, a tenth of the time of `scipy.stats.hypergeom.cdf` and equal to it within 1e-10.

    Args:
        errors: Wrong ones in the sample.
        n: Size of the sample, 0 <= errors <= n <= population.
        population: All there are, the sample included.
        wrong: Wrong ones in the population, as a claim, 0 <= wrong <= population.
    """
    right = population - wrong
    found = max(0, n - right)
    if found > errors:
        return 0.0
    logarithm = _log_ways(wrong, found) + _log_ways(right, n - found) - _log_ways(population, n)
    term = total = math.exp(logarithm)
    for k in range(found, min(errors, wrong, n)):
        term *= (wrong - k) * (n - k) / ((k + 1) * (right - n + k + 1))
        total += term
    return min(1.0, total)


def _log_ways(n: int, k: int) -> float:
    """Logarithm of the number of ways to draw k of n."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


@lru_cache(maxsize=65_536)  # draws of a simulation meet the same counts again and again
def most_wrong(errors: int, n: int, population: int, delta: float) -> int:
    """The largest number of wrong ones in the population that the sample does not refute at level delta.

    The sample is drawn at random without replacement, so the count of wrong ones in it is hypergeometric.
    With a small sample of a large population this is Clopper and Pearson's bound times the population.

    Args:
        errors: Wrong ones in the sample.
        n: Size of the sample, 0 <= errors <= n <= population.
        population: All there are, the sample included.
        delta: Chance that more are wrong than is said.
    """
    low, high = errors, population - (n - errors)
    while low < high:  # the chance of so few errors falls as more are wrong
        middle = (low + high + 1) // 2
        if chance_of_so_few(errors, n, population, middle) <= delta:
            high = middle - 1
        else:
            low = middle
    return low


def design_effect(errors: NDArray[np.bool_], clusters: NDArray[np.int64]) -> float:
    """How many alike draws count as one independent draw, >= 1 (Kish; the ratio estimator's variance).

    Args:
        errors: Whether each draw is wrong, shape (n,).
        clusters: Number of the prompt it belongs to, shape (n,).
    """
    n, share = errors.size, float(errors.mean()) if errors.size else 0.0
    sizes = np.bincount(clusters)
    present = sizes > 0
    k = int(present.sum())
    if k <= 1 or share in {0.0, 1.0}:
        return 1.0
    excess = np.bincount(clusters, weights=errors)[present] - share * sizes[present]
    variance = float((excess**2).sum()) * k / (k - 1) / n**2
    return max(1.0, variance / (share * (1 - share) / n))
