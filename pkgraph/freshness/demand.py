"""Level-triggered requests: what is wanted and not there is asked for, and again with patience.

Each look compares what is with what should be, so an event that nobody saw costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

FIRST_WAIT_S = 60
# A category that fails for a reason of its own costs four runs a day and is not forgotten.
LONGEST_WAIT_S = 6 * 3600
ALERT_FROM_ATTEMPT = 5
"""A failure is told to a person from this attempt on, a quarter of an hour after the first."""


def wait_s(attempt: int) -> int:
    """Seconds between a failed attempt, from 1, and the next one: 60, 120, 240, ... 6 hours."""
    return min(FIRST_WAIT_S << min(attempt - 1, 20), LONGEST_WAIT_S)


@dataclass(frozen=True, slots=True)
class Asked:
    """The last request for one key.

    Attributes:
        version: What was wanted.
        attempt: From 1.
        at_s: When, Unix seconds.
        run_key: Under which the run is found.
        is_refused: It ended in a way that no further attempt heals; another version is asked for again.
    """

    version: str
    attempt: int
    at_s: float
    run_key: str
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept from one look to the next.

    Attributes:
        sequence: Number of the last request. It stands in every run key, because Dagster remembers run keys
            for good: without it, the third of A, B, A would be taken for the first.
        asked: Key to its last request, for keys that are still wanted.
    """

    sequence: int
    asked: Mapping[str, Asked] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str | None, *, now: datetime) -> Memory:
        """A kept memory; where there is none, one whose numbers nobody used: they begin at the Unix time."""
        fresh = cls(int(now.timestamp()))
        try:
            data = json.loads(text or "")
            asked = {key: Asked(**value) for key, value in data["asked"].items()}
            return cls(int(data["sequence"]), asked)
        except (ValueError, KeyError, TypeError, AttributeError):
            return fresh

    def to_json(self) -> str:
        asked = {key: asdict(value) for key, value in self.asked.items()}
        return json.dumps({"sequence": self.sequence, "asked": asked}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Look:
    """What one look came to.

    Attributes:
        requests: Key to request, in the order of wanting.
        memory: To keep for the next look.
        waiting: Key to why it is not asked for now.
    """

    requests: Mapping[str, Asked]
    memory: Memory
    waiting: Mapping[str, str]


def look(
    wanted: Mapping[str, str],
    memory: Memory,
    *,
    under_way: Collection[str],
    was_refused: Callable[[Asked], bool],
    now: datetime,
    limit: int,
) -> Look:
    """Decide what to ask for.

    Args:
        wanted: Key to the version that is not there yet, most urgent first.
        memory: Of the look before.
        under_way: Keys at work; they are left alone.
        was_refused: Says of an ended request whether asking again is in vain. Called once a failure.
        now: The time, with a zone.
        limit: Requests at most, >= 0.
    """
    asked = {key: memory.asked[key] for key in wanted if key in memory.asked}
    requests: dict[str, Asked] = {}
    waiting: dict[str, str] = {}
    sequence = memory.sequence
    for key, version in wanted.items():
        last = asked.get(key)
        reason = "at work" if key in under_way else _why_wait(last, version, now)
        if not reason and last is not None and last.version == version and was_refused(last):
            asked[key] = replace(last, is_refused=True)
            reason = REFUSED
        if not reason and len(requests) >= limit:
            reason = "its turn comes"
        if reason:
            waiting[key] = reason
            continue
        sequence += 1
        attempt = last.attempt + 1 if last is not None and last.version == version else 1
        asked[key] = requests[key] = Asked(version, attempt, now.timestamp(), f"{key}:{version}:{sequence}")
    return Look(requests, Memory(sequence, asked), waiting)


REFUSED = "refused, until something else is wanted"


def _why_wait(last: Asked | None, version: str, now: datetime) -> str:
    if last is None or last.version != version:
        return ""
    if last.is_refused:
        return REFUSED
    left = last.at_s + wait_s(last.attempt) - now.timestamp()
    return f"attempt {last.attempt} failed, the next in {left:.0f} s" if left > 0 else ""
