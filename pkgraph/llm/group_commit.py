"""One commit for all that came while the last one ran: a disk that takes 275 commits a second is enough."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

A = TypeVar("A")
R = TypeVar("R")


class _Failure:
    def __init__(self, error: Exception) -> None:
        self.error = error


async def _outcomes(
    write: Callable[[Sequence[A]], Sequence[R]], items: Sequence[A]
) -> Sequence[R | _Failure]:
    """The results, or for each of those who wait the one reason why there are none."""
    try:
        return await asyncio.to_thread(write, items)
    except Exception as error:  # noqa: BLE001 - raised again where the items came from
        return [_Failure(error)] * len(items)


class GroupCommit(Generic[A, R]):
    """Collects what many tasks want written; each gets its result once the write they share is done.

    Args:
        write: Writes several at once, all or none, and returns a result for each; called in a thread.
    """

    def __init__(self, write: Callable[[Sequence[A]], Sequence[R]]) -> None:
        self._write = write
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def __call__(self, item: A) -> R:
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._run())
        return await done

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            results = await _outcomes(self._write, [item for item, _ in batch])
            for (_, done), result in zip(batch, results, strict=True):
                if done.done():  # whoever asked was cancelled meanwhile
                    continue
                if isinstance(result, _Failure):
                    done.set_exception(result.error)
                else:
                    done.set_result(result)
        self._writer = None

    async def drained(self) -> None:
        """Wait until everything that was handed in is written."""
        while self._writer is not None:
            await asyncio.wait([self._writer])
