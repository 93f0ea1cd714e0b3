"""How fast a provider may be asked: requests and tokens a minute, requests at once, and pauses it asked for.

All callers of one provider share one pace, so a 429 to one slows all of them down.
The number at once grows while answers come and is halved by a 429 (additive increase, multiplicative
decrease).
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# A run starts with so many at once and doubles every round trip up to the maximum or the first 429.
_FIRST_AT_ONCE = 16
# A provider may ask for an hour; past two minutes the prompts are better left to the next run.
MAX_PAUSE_S = 120.0


class Bucket:
    """Lets `per_minute` units a minute pass, evenly spaced; time is an argument, seconds of any clock."""

    def __init__(self, per_minute: float | None) -> None:
        self._seconds_each = 60.0 / per_minute if per_minute else 0.0
        self._free_at = 0.0

    def start(self, now: float, units: float) -> float:
        """When `units` may pass, >= now; their share of the minute is taken."""
        begin = max(now, self._free_at)
        self._free_at = begin + units * self._seconds_each
        return begin

    def give_back(self, units: float) -> None:
        """So many units were taken and not used."""
        self._free_at -= units * self._seconds_each


@dataclass(slots=True)
class AtOnce:
    """How many requests may be in flight.

    Attributes:
        maximum: Never more, >= 1.
        allowed: The present number, 1 to `maximum`; it need not be whole.
    """

    maximum: int
    allowed: float = 0.0
    n_cuts: int = 0
    _is_starting: bool = True
    _cut_at: float = field(default=float("-inf"))

    def __post_init__(self) -> None:
        self.allowed = float(min(self.maximum, _FIRST_AT_ONCE))

    def grow(self) -> None:
        """An answer came: one more at once at the start, later one more a round of answers."""
        step = 1.0 if self._is_starting else 1.0 / self.allowed
        self.allowed = min(float(self.maximum), self.allowed + step)

    def cut(self, now: float, sent_at: float) -> None:
        """A 429 came: half as many. Those of requests that were sent before the last cut say nothing new."""
        if sent_at > self._cut_at:
            self._is_starting, self._cut_at = False, now
            self.allowed = max(1.0, self.allowed / 2)
            self.n_cuts += 1


class Pace:
    """The gate in front of one provider, for one event loop."""

    def __init__(
        self,
        maximum: int,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float],
    ) -> None:
        self.at_once = AtOnce(maximum)
        self._requests, self._tokens = Bucket(requests_per_minute), Bucket(tokens_per_minute)
        self._clock = clock
        self._n_in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until = float("-inf")

    @asynccontextmanager
    async def turn(self, tokens: float) -> AsyncIterator[float]:
        """Wait for one's turn to send `tokens`; gives the moment of sending by the clock."""
        await self._take_a_place()
        try:
            now = self._clock()
            start = max(self._requests.start(now, 1.0), self._tokens.start(now, tokens))
            await self._wait_until(start)
            yield self._clock()
        finally:
            self._n_in_flight -= 1
            self._wake()

    async def _wait_until(self, start: float) -> None:
        # A pause may come, or become longer, while one waits.
        left_s = max(start, self._paused_until) - self._clock()
        if left_s > 0:
            await asyncio.sleep(left_s)
            await self._wait_until(start)

    async def _take_a_place(self) -> None:
        if self._n_in_flight < int(self.at_once.allowed) and not self._waiting:
            self._n_in_flight += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._n_in_flight -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and self._n_in_flight < int(self.at_once.allowed):
            place = self._waiting.popleft()
            if not place.done():
                self._n_in_flight += 1
                place.set_result(None)

    def answered(self, unused_tokens: float) -> None:
        """An answer came, and so many of its tokens were not used."""
        self._tokens.give_back(unused_tokens)
        self.at_once.grow()
        self._wake()

    def slow_down(self, sent_at: float, retry_after_s: float | None) -> None:
        """The provider is overloaded: fewer at once, and nobody before the moment it named."""
        now = self._clock()
        self.at_once.cut(now, sent_at)
        if retry_after_s is not None:
            self._paused_until = max(self._paused_until, now + min(retry_after_s, MAX_PAUSE_S))
