"""An event loop of its own in a thread, whose caller can be interrupted at any moment.

A signal handler raises in the main thread wherever that stands; inside an event loop it would tear it apart.
So the main thread only waits here, and an interrupt becomes a request to the loop to come to an end.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class _End:
    """The last item: the work is over, well or by an error."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Background(Generic[T]):
    """One run of a coroutine that emits items.

    Args:
        work: Gets the function to emit with, and an event that is set when it is to come to an end: it then
            begins nothing new and finishes what it has begun.
    """

    def __init__(
        self, work: Callable[[Callable[[T], None], asyncio.Event], Coroutine[None, None, None]]
    ) -> None:
        self._work = work
        self._items: SimpleQueue[T | _End] = SimpleQueue()
        self._has_begun = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="asking", daemon=True)

    def run(self, on_item: Callable[[T], None]) -> None:
        """Run to the end and hand each item over, in this thread.

        An exception that rises here, an interrupt or one of `on_item`, stops the work gently and is raised
        again once it has ended; a second one meanwhile cancels the work.
        """
        self._thread.start()
        self._has_begun.wait()
        try:
            end = self._hand_over(on_item)
        except BaseException:
            self._tell(self._stop.set)
            try:
                self._hand_over(lambda _: None)
            except BaseException:
                self._tell(self._task.cancel)
                self._hand_over(lambda _: None)
                raise
            raise
        self._thread.join()
        if end.error is not None:
            raise end.error

    def _hand_over(self, on_item: Callable[[T], None]) -> _End:
        while not isinstance(item := self._items.get(), _End):
            on_item(item)
        return item

    def _tell(self, callback: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(callback)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            asyncio.run(self._main())
        except BaseException as raised:  # noqa: BLE001 - handed over to the caller's thread
            error = raised
        self._items.put(_End(error))

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._work(self._items.put, self._stop))
        self._has_begun.set()
        await self._task
