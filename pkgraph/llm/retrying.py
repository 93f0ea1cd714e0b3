"""The one retry layer: which failed requests are sent again, and after how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pkgraph.errors import CallFailed
from pkgraph.llm.pacing import MAX_PAUSE_S

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAIT_S = 60.0


@dataclass(slots=True)
class Backoff:
    """Full jitter: a wait of 0 to `first_wait_s`, then to twice as much, unless the provider names one.

    Attributes:
        uniform: A random number between its two arguments.
        may_go_on: Whether anything new may be sent at all.
    """

    first_wait_s: float
    uniform: Callable[[float, float], float]
    may_go_on: Callable[[], bool]
    n_failed: int = 0

    def __call__(self, error: Exception) -> bool | float:
        """As `stamina` asks: False for no other attempt, else the wait, seconds."""
        if not isinstance(error, CallFailed) or not error.is_transient or not self.may_go_on():
            return False
        self.n_failed += 1
        if error.retry_after_s is not None:
            return min(error.retry_after_s, MAX_PAUSE_S)
        return self.uniform(0.0, min(MAX_WAIT_S, self.first_wait_s * 2.0 ** (self.n_failed - 1)))
