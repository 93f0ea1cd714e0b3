"""Level-triggered requests: no wish is lost, nothing is asked for twice at once, nobody is hammered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.freshness import Asked, Look, Memory
from pkgraph.freshness.demand import LONGEST_WAIT_S, look, wait_s

NOW = datetime(2026, 11, 23, tzinfo=UTC)
EMPTY = Memory(100)


def looked(
    wanted: Mapping[str, str],
    memory: Memory = EMPTY,
    *,
    under_way: Collection[str] = (),
    was_refused: Callable[[Asked], bool] = lambda _: False,
    after_s: float = 0,
    limit: int = 10,
) -> Look:
    now = NOW + timedelta(seconds=after_s)
    return look(wanted, memory, under_way=under_way, was_refused=was_refused, now=now, limit=limit)


def test_what_is_wanted_is_asked_for_once_while_it_is_at_work() -> None:
    first = looked({"pasta": "A"})
    second = looked({"pasta": "A"}, first.memory, under_way={"pasta"}, after_s=3600)

    assert first.requests["pasta"].run_key == "pasta:A:101"
    assert second.requests == {}
    assert second.waiting == {"pasta": "at work"}


def test_a_then_b_then_a_again_is_asked_for_each_time_under_another_key() -> None:
    memory, keys = EMPTY, []
    for version in ("A", "B", "A"):
        found = looked({"pasta": version}, memory)
        keys.append(found.requests["pasta"].run_key)
        memory = looked({}, found.memory).memory  # it was done, so nothing is wanted any more

    assert keys == ["pasta:A:101", "pasta:B:102", "pasta:A:103"]
    assert memory.asked == {}


def test_a_change_while_a_run_is_at_work_is_asked_for_when_that_run_is_done() -> None:
    first = looked({"pasta": "A"})
    during = looked({"pasta": "B"}, first.memory, under_way={"pasta"})
    after = looked({"pasta": "B"}, during.memory)

    assert during.requests == {}
    assert (after.requests["pasta"].version, after.requests["pasta"].attempt) == ("B", 1)


def test_a_failure_is_asked_for_again_after_waits_that_double_up_to_six_hours() -> None:
    memory = looked({"pasta": "A"}).memory
    at = 0
    times: list[int] = []
    while len(times) < 11:
        at += 30
        found = looked({"pasta": "A"}, memory, after_s=at)
        memory = found.memory
        times += [at] if found.requests else []
    waits = [later - earlier for earlier, later in zip([0, *times], times, strict=False)]

    assert waits == [60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 21600, 21600]
    assert wait_s(10_000) == LONGEST_WAIT_S


def test_a_refusal_is_looked_up_once_and_stays_until_something_else_is_wanted() -> None:
    looked_up: list[Asked] = []

    def refused(last: Asked) -> bool:
        looked_up.append(last)
        return True

    memory = looked({"graph": "A"}).memory
    for hour in range(1, 5):
        found = looked({"graph": "A"}, memory, was_refused=refused, after_s=3600 * hour)
        memory = found.memory
        assert found.requests == {}
        assert found.waiting["graph"].startswith("refused")
    other = looked({"graph": "B"}, memory, was_refused=refused, after_s=5 * 3600)

    assert len(looked_up) == 1
    assert other.requests["graph"].attempt == 1


def test_one_look_asks_for_a_bounded_number_in_the_order_of_wanting() -> None:
    wanted = {f"c{n}": "A" for n in range(3000)}
    first = looked(wanted, limit=20)
    second = looked(wanted, first.memory, under_way=set(first.requests), limit=20)

    assert list(first.requests) == [f"c{n}" for n in range(20)]
    assert list(second.requests) == [f"c{n}" for n in range(20, 40)]
    assert len(first.memory.asked) == 20


def test_one_that_fails_does_not_keep_the_others_from_their_turn() -> None:
    memory = looked({"bad": "A"}, limit=1).memory
    found = looked({"bad": "A", "good": "A"}, memory, limit=1, after_s=30)

    assert list(found.requests) == ["good"]


@pytest.mark.parametrize(
    "kept", [None, "", "no json", "[]", '{"sequence": 1}', '{"sequence": 1, "asked": {"a": {}}}']
)
def test_a_lost_memory_begins_with_numbers_that_nobody_used(kept: str | None) -> None:
    assert Memory.from_json(kept, now=NOW) == Memory(int(NOW.timestamp()))


def test_a_memory_survives_being_kept() -> None:
    memory = looked({"pasta": "A", "\u7dca 'quotes' / ok": "B"}).memory

    assert Memory.from_json(memory.to_json(), now=NOW) == memory


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["want A", "want B", "done", "fail", "tick"]), max_size=40))
def test_whatever_happens_the_last_wish_is_fulfilled_and_no_run_key_repeats(events: list[str]) -> None:
    """A world that does what it is asked for, or fails; after it calms down, what is wanted is there."""
    there, wish, running = "", "A", None
    memory, run_keys, at = EMPTY, [], 0.0
    for event in [*events, *["done", "tick"] * 20]:
        at += LONGEST_WAIT_S
        if event.startswith("want"):
            wish = event[-1]
        elif event in {"done", "fail"} and running is not None:
            there, running = (running if event == "done" else there), None
        found = looked(
            {} if there == wish else {"k": wish}, memory, under_way={"k"} if running else (), after_s=at
        )
        memory = found.memory
        for asked in found.requests.values():
            assert running is None
            running = asked.version
            run_keys.append(asked.run_key)

    assert there == wish
    assert len(set(run_keys)) == len(run_keys)
