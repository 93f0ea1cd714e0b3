"""How fast a provider is asked, and how often again: rules of numbers, without a clock."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgraph.errors import CallFailed, ProviderGone
from pkgraph.llm.pacing import MAX_PAUSE_S, AtOnce, Bucket, Pace
from pkgraph.llm.prices import most_tokens
from pkgraph.llm.retrying import Backoff
from pkgraph.model import Message


class Clock:
    """A clock that is set by whoever sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0.1, 200)), min_size=1, max_size=40))
def test_never_more_a_minute_than_the_bucket_lets_pass(asked: list[tuple[float, float]]) -> None:
    bucket, now, passed = Bucket(600), 0.0, []
    for wait_s, units in asked:
        now += wait_s
        passed.append((bucket.start(now, units), units))
        assert passed[-1][0] >= now
    for start, first in passed:
        # What began within a minute before the last of it, its own units apart.
        within = sum(units for moment, units in passed if start <= moment < start + 60)
        largest = max(units for _, units in passed)
        assert within <= 600 + largest + first + 1e-6


def test_units_that_were_not_used_pass_somebody_else() -> None:
    bucket = Bucket(60)
    bucket.start(0.0, 30)
    bucket.give_back(20)

    assert bucket.start(0.0, 1) == pytest.approx(10.0)


def test_without_a_limit_everything_passes_at_once() -> None:
    assert [Bucket(None).start(5.0, 1e9) for _ in range(3)] == [5.0] * 3


def test_a_run_starts_with_as_many_as_are_allowed_and_never_sends_more() -> None:
    at_once = AtOnce(64)
    at_once.grow()

    assert at_once.allowed == 64


def test_a_429_halves_once_a_round_and_answers_bring_it_back_slowly() -> None:
    at_once = AtOnce(64)
    for sent_at in (1.0, 1.1, 1.2):  # three of one round
        at_once.cut(2.0, sent_at)
    assert (at_once.allowed, at_once.n_cuts) == (32, 1)
    at_once.cut(3.0, 2.5)
    assert (at_once.allowed, at_once.n_cuts) == (16, 2)
    for _ in range(16):
        at_once.grow()

    assert 16.5 < at_once.allowed <= 17
    for moment in range(10, 30):
        at_once.cut(float(moment), moment - 0.5)
    assert at_once.allowed == 1


def test_after_a_slow_down_nobody_is_sent_before_the_moment_and_fewer_are() -> None:
    clock = Clock()
    pace = Pace(4, clock=clock)

    async def run() -> list[float]:
        first, second = pace.turn(1), pace.turn(1)
        await first.begin()
        pace.slow_down(clock.now, 7200)
        first.end()
        waited: list[float] = []

        async def sleep(seconds: float) -> None:
            waited.append(seconds)
            clock.now += seconds

        real, asyncio.sleep = asyncio.sleep, sleep  # type: ignore[assignment]
        try:
            await second.begin()
            waited.append(second.sent_at or 0)
        finally:
            asyncio.sleep = real
        return waited

    assert asyncio.run(run()) == [MAX_PAUSE_S, MAX_PAUSE_S]
    assert pace.at_once.allowed == 2


def test_no_more_are_in_flight_than_allowed() -> None:
    pace, most, now = Pace(3, clock=Clock()), 0, 0

    async def one() -> None:
        nonlocal most, now
        turn = pace.turn(1)
        try:
            await turn.begin()
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
        finally:
            now -= turn.sent_at is not None
            turn.end()
            turn.end()  # as the wire and the caller may both do

    async def run() -> None:
        tasks = [asyncio.create_task(one()) for _ in range(20)]
        await asyncio.sleep(0)
        tasks[5].cancel()  # one that waits
        tasks[0].cancel()  # one that is sent
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(one(), 1)

    asyncio.run(run())
    assert most == 3


def test_the_wait_is_full_jitter_and_grows_to_a_minute() -> None:
    highest = Backoff(1.0, lambda low, high: high, lambda: True)
    lowest = Backoff(1.0, lambda low, high: low, lambda: True)
    busy = CallFailed("busy", is_transient=True)

    assert [highest(busy) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [lowest(busy) for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    "error", [CallFailed("context too long"), ProviderGone("wrong key"), ValueError("a fault of ours")]
)
def test_what_cannot_pass_is_not_sent_again(error: Exception) -> None:
    assert Backoff(1.0, lambda low, high: high, lambda: True)(error) is False


def test_nothing_is_sent_again_once_a_run_is_stopped() -> None:
    assert Backoff(1.0, lambda low, high: high, lambda: False)(CallFailed("x", is_transient=True)) is False


@given(st.text(max_size=300), st.text(max_size=100))
def test_what_is_set_aside_is_a_token_for_every_byte_and_more(text: str, schema: str) -> None:
    """No tokenizer makes a token of less than a byte."""
    n_bytes = len(text.encode("utf-8", "surrogatepass")) + len(schema.encode())

    assert most_tokens([Message("user", text)], schema) > n_bytes
