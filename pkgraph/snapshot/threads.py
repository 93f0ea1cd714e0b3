"""Independent steps beside each other: NumPy, Polars and the kernel let go of the interpreter.

What is little is done by the calling thread alone, step by step: starting threads would take longer.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import ThreadPoolExecutor

Given = TypeVar("Given")
Made = TypeVar("Made")
Arguments = ParamSpec("Arguments")

MANY = 100_000
"""Edges, or kilobytes, from which on there are threads."""

AHEAD = 2
"""Made while another is used."""


@dataclass(frozen=True, slots=True)
class _Done(Generic[Made]):
    made: Made

    def result(self) -> Made:
        return self.made


class ThisThread:
    """Does at once what a pool of threads would do some time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def submit(
        self, make: Callable[Arguments, Made], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> _Done[Made]:
        return _Done(make(*args, **kwargs))


def n_threads(n: int) -> int:
    """A thread a core for n edges, or kilobytes; 1 where they are few."""
    return (os.cpu_count() or 1) if n >= MANY else 1


def threads(n: int) -> ThreadPoolExecutor | ThisThread:
    """Threads for work on n edges, or kilobytes."""
    if n_threads(n) == 1:
        return ThisThread()
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - a reader needs none

    return ThreadPoolExecutor(n_threads(n))


def beside(make: Callable[[Given], Made], given: Iterable[Given], n: int) -> list[Made]:
    """What is made of each, in their order, from n edges, or kilobytes, in all."""
    with threads(n) as pool:
        return [found.result() for found in [pool.submit(make, one) for one in given]]


def made_ahead(makes: Iterable[Callable[[], Made]], pool: ThreadPoolExecutor | ThisThread) -> Iterator[Made]:
    """What each makes, in their order; AHEAD are made while one is used."""
    waiting = deque[Any]()
    for make in makes:
        waiting.append(pool.submit(make))
        if len(waiting) > AHEAD:
            yield waiting.popleft().result()
    yield from (found.result() for found in waiting)


def slices(n: int, size: int) -> Iterator[slice]:
    """Pieces of `size` that cover n."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
