"""What the random audits say of the published pairs, at any time and as often as one looks.

A gambler who bets that more than a share m is wrong, at fair odds, cannot be expected to gain where it is not
so: the chance that the capital ever reaches 1 / delta is at most delta, however long one watches (Ville). The
stake is spread evenly over fixed fractions of what may be lost, so the capital follows from the counts alone
(Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_FRACTIONS = np.linspace(0.05, 0.95, 19)
_PRECISION = 1e-4


@dataclass(frozen=True, slots=True)
class Audit:
    """Verdicts on pairs that were drawn uniformly at random from what was published.

    Attributes:
        n, errors: Audited pairs, and the wrong ones.
        alpha: Share that is promised.
        delta: Chance of a false alarm, ever.
        capital: What a stake of 1 on "more than alpha is wrong" has become.
        low, high: At any time the wrong share lies between them, each with confidence 1 - delta.
    """

    n: int
    errors: int
    alpha: float
    delta: float
    capital: float
    low: float
    high: float

    @property
    def contradicts(self) -> bool:
        """The audits refute that at most alpha is wrong."""
        return self.capital >= 1 / self.delta

    @property
    def sentence(self) -> str:
        if not self.n:
            return "Nothing was audited."
        verdict = "contradict" if self.contradicts else "do not contradict"
        return (
            f"{self.errors} of {self.n} audited pairs are wrong (between {self.low:.1%} and "
            f"{self.high:.1%}): they {verdict} the {self.alpha:.1%} that is promised."
        )


def audit(n: int, errors: int, *, alpha: float, delta: float) -> Audit:
    """The audits of a certificate so far.

    Args:
        n: Pairs audited, 0 <= errors <= n.
        errors: How many of them are wrong.
        alpha: Wrong share that is promised, 0-1.
        delta: Chance of a false alarm.
    """
    capital = math.exp(min(_log_capital(n, errors, alpha), 700.0))
    return Audit(n, errors, alpha, delta, capital, _low(n, errors, delta), 1 - _low(n, n - errors, delta))


def _log_capital(n: int, errors: int, share: float) -> float:
    """Log of what a stake of 1 on "more than `share` is wrong" has become."""
    if share <= 0:
        return math.inf if errors else 0.0
    stakes = _FRACTIONS / share
    logs = errors * np.log1p(stakes * (1 - share)) + (n - errors) * np.log1p(-stakes * share)
    return float(np.logaddexp.reduce(logs) - math.log(stakes.size))


def _low(n: int, errors: int, delta: float) -> float:
    """The smallest share that the audits have never refuted."""
    low, high = 0.0, errors / n if n else 0.0
    while high - low > _PRECISION:  # the less is claimed to be wrong, the more a bet on more has gained
        middle = (low + high) / 2
        if _log_capital(n, errors, middle) >= math.log(1 / delta):
            low = middle
        else:
            high = middle
    return low
