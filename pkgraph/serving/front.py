"""What the connections of one worker share: limits, a coarse clock, and the way to the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email.utils import format_datetime
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from pkgraph.serving.connection import Connection
    from pkgraph.serving.service import Service

TICK_SECONDS = 0.25
"""How often deadlines are looked at: a timer a request would cost 1 us of each, this costs nothing of any."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a caller may take; sizes in bytes, times in seconds.

    Attributes:
        head_seconds: From the first byte of a request, or from connecting, to the end of its headers.
        request_seconds: From the first byte to the last.
        idle_seconds: Between two requests of a connection; longer than a proxy keeps its own.
        write_seconds: A caller that does not read its answer.
        drain_seconds: From being told to stop to stopping.
    """

    head_bytes: int = 16 << 10
    target_bytes: int = 8 << 10
    body_bytes: int = 1 << 20
    headers: int = 100
    connections: int = 1_000
    head_seconds: float = 5.0
    request_seconds: float = 8.0
    idle_seconds: float = 75.0
    write_seconds: float = 8.0
    linger_seconds: float = 2.0
    drain_seconds: float = 5.0


class Front:
    """The shared part of all connections of a worker.

    Attributes:
        now: Seconds of the loop's clock, at the last tick.
        date: Date header, of the last tick.
        logs_requests: Write a line a request.
    """

    def __init__(self, service: Service, limits: Limits, *, logs_requests: bool = False) -> None:
        self.service = service
        self.limits = limits
        self.logs_requests = logs_requests
        self.connections: set[Connection] = set()
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time() - TICK_SECONDS
        self.date = b""
        self._id_start = uuid4().hex[:12]
        self._numbers = count(1)
        self._tick()

    def request_id(self) -> bytes:
        """A name for a request whose caller gave it none."""
        return f"{self._id_start}-{next(self._numbers):x}".encode()

    def _tick(self) -> None:
        late = self.loop.time() - self.now - TICK_SECONDS
        self.now += TICK_SECONDS + late
        if late > TICK_SECONDS:  # while this process stood still, callers' bytes waited in the kernel
            for connection in self.connections:
                connection.deadline += late
        self.date = f"date: {format_datetime(self.service.log.clock(), usegmt=True)}\r\n".encode()
        for connection in [one for one in self.connections if one.deadline < self.now]:
            connection.out_of_time()
        self.service.metrics.show("http_connections", len(self.connections))
        self.service.log.flush()

    async def tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._tick()

    async def drain(self) -> None:
        """Answer what is under way; then every connection is closed, at the latest after drain_seconds.

        A connection that is silent gets a moment: its next request may be on the wire, and is answered.
        """
        self.service.is_draining = True
        started = self.loop.time()
        silent_from = started + self.limits.drain_seconds / 5
        while self.connections and self.loop.time() < started + self.limits.drain_seconds:
            await asyncio.sleep(0.02)
            if self.loop.time() > silent_from:
                for connection in [one for one in self.connections if one.is_idle]:
                    connection.end()
        for connection in list(self.connections):
            connection.abort()
