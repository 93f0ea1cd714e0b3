"""Exact bounds on how many of a finite number of statements are wrong, from a random sample of them."""

from __future__ import annotations


def clopper_pearson(errors: int, n: int, delta: float) -> float:
    """Upper bound on a share that holds with confidence 1 - delta: exact for independent draws.

    (0, 59, 0.05) -> 0.0495
    """
    from scipy.stats import beta  # noqa: PLC0415 - scipy.stats costs 0.5 s

    if n == 0 or errors >= n:
        return 1.0
    return float(beta.ppf(1 - delta, errors + 1, n - errors))


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
    from scipy.stats import hypergeom  # noqa: PLC0415 - scipy.stats costs 0.5 s

    low, high = errors, population - (n - errors)
    while low < high:  # the chance of so few errors falls as more are wrong
        middle = (low + high + 1) // 2
        if float(hypergeom.cdf(errors, population, middle, n)) > delta:
            low = middle
        else:
            high = middle - 1
    return low
