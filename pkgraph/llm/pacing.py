"""How fast a provider may be asked: requests and tokens a minute, requests at once, and pauses it asked for.

All callers of one provider share one pace, so a 429 to one slows all of them down.
The number at once is halved by a 429 and grows back while answers come (additive increase, multiplicative
decrease).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """How many requests may be in flight: the maximum, until a 429 says otherwise.

    Attributes:
        maximum: Never more, >= 1.
        allowed: The present number, 1 to `maximum`; it need not be whole.
    """

    maximum: int
    allowed: float = field(init=False)
    n_cuts: int = 0
    _cut_at: float = field(default=float("-inf"))

    def __post_init__(self) -> None:
        self.allowed = float(self.maximum)

    def grow(self) -> None:
        """An answer came: one more at once a round of answers."""
        self.allowed = min(float(self.maximum), self.allowed + 1.0 / self.allowed)

    def cut(self, now: float, sent_at: float) -> None:
        """A 429 came: half as many. Those of requests that were sent before the last cut say nothing new."""
        if sent_at > self._cut_at:
            self._cut_at = now
            self.allowed = max(1.0, self.allowed / 2)
            self.n_cuts += 1


class Turn:
    """One request's place among those on the way to a provider; made by `Pace.turn`.

    Attributes:
        sent_at: When it began, by the clock of the pace; None before.
    """

    def __init__(self, pace: Pace, tokens: float, on_begin: Callable[[], None]) -> None:
        self._pace, self.tokens, self._on_begin = pace, tokens, on_begin
        self.has_place = False
        self.sent_at: float | None = None

    async def begin(self) -> None:
        """Wait for the turn; after this the request counts as sent."""
        self.sent_at = await self._pace.begin(self)
        self._on_begin()

    def end(self) -> None:
        """Nothing more will come for this request; twice is as once."""
        self._pace.end(self)


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

    def turn(self, tokens: float, *, on_begin: Callable[[], None] = lambda: None) -> Turn:
        """A turn to send `tokens`; whoever takes it ends it, also when it could not begin.

        Args:
            tokens: In and out, at most.
            on_begin: Called at the moment of sending.
        """
        return Turn(self, tokens, on_begin)

    async def begin(self, turn: Turn) -> float:
        """Wait for the turn; gives the moment of sending by the clock."""
        await self._take_a_place()
        turn.has_place = True
        now = self._clock()
        await self._wait_until(max(self._requests.start(now, 1.0), self._tokens.start(now, turn.tokens)))
        return self._clock()

    def end(self, turn: Turn) -> None:
        """The place of the turn, if it has one, is free for the next."""
        if turn.has_place:
            turn.has_place = False
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
