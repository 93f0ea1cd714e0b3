"""Independent steps beside each other: NumPy, Polars and the kernel let go of the interpreter."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import ThreadPoolExecutor

Given = TypeVar("Given")
Made = TypeVar("Made")


def n_cores() -> int:
    return os.cpu_count() or 1


def threads() -> ThreadPoolExecutor:
    """A thread a core."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - a reader needs none

    return ThreadPoolExecutor(n_cores())


def beside(make: Callable[[Given], Made], given: Iterable[Given]) -> list[Made]:
    """What is made of each, in their order; an error is raised when all are done."""
    with threads() as pool:
        return list(pool.map(make, given))


def slices(n: int, size: int) -> Iterator[slice]:
    """Pieces of `size` that cover n."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
