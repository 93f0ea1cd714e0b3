"""One worker: a socket, a loop, the snapshots of a root; it stops when told, with nothing left unanswered."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from pkgraph.serving.connection import Connection
from pkgraph.serving.events import Log
from pkgraph.serving.front import Front, Limits
from pkgraph.serving.metrics import Metrics
from pkgraph.serving.served import Served
from pkgraph.serving.service import Service
from pkgraph.serving.stock import WatchedStock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from typing import Any

SECONDS_BETWEEN_LOOKS = 0.4
"""A commit answers within a second of it, with verifying."""

SWITCH_SECONDS = 0.0005
"""How long the thread that looks for what is new may keep the interpreter while a request waits.

With Python's 5 ms a request took 5.4 ms (p50) while a list of 2 million SKUs was read, with this 0.7 ms.
"""

LISTEN_SECONDS = 0.1
"""After being told to stop, what had come to the socket by then is still taken in."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a worker needs to know.

    Attributes:
        root: Folder of commits and snapshots.
        stock: File of the SKUs that may be served; None: all may.
        pin: Serve this snapshot whatever is committed; None: the newest.
        hosts: Host names that requests may name; empty: any.
        logs_requests: Write a line a request.
    """

    root: Path
    stock: Path | None = None
    pin: str | None = None
    hosts: frozenset[str] = frozenset()
    logs_requests: bool = False
    limits: Limits = field(default_factory=Limits)


def bound_socket(host: str, port: int, *, reuse: bool = False) -> socket.socket:
    """A listening socket; with `reuse`, several share the port and the kernel spreads callers over them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind((host, port))
    found.listen(1024)
    found.setblocking(False)
    return found


class Worker:
    """Answers on one socket.

    Args:
        supervisor: Process to end with; told, because who asks after it was killed hears of another parent.
    """

    def __init__(
        self,
        options: Options,
        listening: socket.socket,
        metrics: Metrics,
        log: Log,
        *,
        supervisor: int | None = None,
    ) -> None:
        self.supervisor = supervisor or os.getppid()
        stock = WatchedStock(options.stock) if options.stock else None
        self.options = options
        self.listening = listening
        self.metrics = metrics
        self.log = log
        self.served = Served(options.root, stock=stock, pin=options.pin)
        hosts = frozenset(name.lower().encode() for name in options.hosts)
        self.service = Service(self.served, metrics, log, hosts)
        self._counted: dict[str, int] = {}

    def run(self) -> None:
        """Answer until SIGTERM or SIGINT."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self.metrics.count("worker_starts_total")
        self._look()
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, told.set)
        front = Front(self.service, self.options.limits, logs_requests=self.options.logs_requests)
        loop.set_exception_handler(self._failed)
        # A copy: closing the last descriptor resets whoever still waits in its queue, see _take_last_callers.
        server = await loop.create_server(lambda: Connection(front), sock=self.listening.dup())
        address, is_ready = self.listening.getsockname()[:2], self.served.current is not None
        self.log.say("listening", address=address, ready=is_ready)
        async with _running(front.tick_for_ever()), _running(self._look_for_ever()):
            await told.wait()
            self.log.say("stopping", connections=len(front.connections))
            self.service.is_draining = True
            await asyncio.sleep(LISTEN_SECONDS)
            server.close()
            await asyncio.sleep(0)
            await self._take_last_callers(front)
            await front.drain()
        self.log.say("stopped")

    async def _take_last_callers(self, front: Front) -> None:
        """Take in who waits, then close at once: who comes in the microsecond between is reset."""
        waiting = []
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting.append(self.listening.accept()[0])
        self.listening.close()
        for caller in waiting:
            caller.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(lambda: Connection(front), caller)

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What the loop caught; a connection that broke is the caller's affair."""
        error = context.get("exception")
        if not isinstance(error, OSError):
            self.log.say("loop_failed", message=context["message"], error=repr(error))

    async def _look_for_ever(self) -> None:
        while os.getppid() == self.supervisor:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            await asyncio.to_thread(self._look)
        os.kill(os.getpid(), signal.SIGTERM)  # the supervisor was killed

    def _look(self) -> None:
        """Look for what is new; whatever goes wrong, what answers goes on answering."""
        before = self.served.faults
        try:
            has_swapped = self.served.refresh()
        except Exception as error:  # noqa: BLE001 - the border: a snapshot that breaks the reader is refused
            self.served.refused(f"A new commit broke the reader: {error!r}.")
            self.log.failed("look_failed", error)
            has_swapped = False
        if has_swapped:
            self._tell("swapped")
        if self.served.faults != before:
            self.log.say("faults", faults=self.served.faults)
        self._show()

    def _tell(self, event: str) -> None:
        current, sequence = self.served.current, self.served.sequence
        if current is not None:
            self.metrics.count("snapshot_swaps_total")
            n_stock = current.in_stock.n_skus if current.in_stock else None
            self.log.say(event, snapshot_id=current.graph.snapshot_id, sequence=sequence, stock=n_stock)

    def _show(self) -> None:
        served, show = self.served, self.metrics.show
        stock, in_stock = served.stock, served.current.in_stock if served.current else None
        show("snapshot_sequence", served.sequence)
        show("faults", len(served.faults))
        show("stock_skus", in_stock.n_skus if in_stock else 0)
        self._count_up("snapshot_load_failures_total", served.n_failures)
        self._count_up("stock_load_failures_total", stock.n_failures if stock else 0)

    def _count_up(self, name: str, total: int) -> None:
        self.metrics.count(name, total - self._counted.get(name, 0))
        self._counted[name] = total


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something on the side while the block lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
