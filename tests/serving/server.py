"""A real server in its own process, with its log read line by line."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from pkgraph.serving import Options
from pkgraph.serving.supervisor import as_text

PROGRAM = """
import sys
from pkgraph.serving import Log, serve
from pkgraph.serving.supervisor import from_text
serve(from_text(sys.argv[1]), Log(), port=0, workers=int(sys.argv[2]))
"""
SECONDS = 20.0
"""How long a test waits for what must come; on a good day it comes at once."""


def _client() -> httpx.Client:
    """A caller that connects anew for each question."""
    return httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


@dataclass
class Server:
    """A running server.

    Attributes:
        events: Everything its processes have logged so far.
    """

    process: subprocess.Popen[str]
    port: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    client: httpx.Client = field(default_factory=_client)
    _new: queue.Queue[dict[str, Any] | None] = field(default_factory=queue.Queue)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            event = json.loads(line)
            self.events.append(event)
            self._new.put(event)
        self._new.put(None)

    def wait_for(self, name: str) -> dict[str, Any]:
        """The next event of that name."""
        end = time.monotonic() + SECONDS
        while True:
            event = self._new.get(timeout=max(0.01, end - time.monotonic()))
            assert event is not None, f"the server ended before {name}: {self.events}"
            if event["event"] == name:
                return event

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(self.url + path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.client.post(self.url + path, **more)

    def until(self, path: str, is_so: Callable[[httpx.Response], bool]) -> httpx.Response:
        """The first answer that is so."""
        end = time.monotonic() + SECONDS
        while True:
            answer = self.get(path)
            if is_so(answer):
                return answer
            assert time.monotonic() < end, f"{path} did not come to it: {answer.text}"
            time.sleep(0.02)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)

    def metric(self, line: str) -> float:
        """The value behind the beginning of a line of /metrics; 0 where there is none."""
        lines = self.get("/metrics").text.splitlines()
        return sum(float(one.rsplit(" ", 1)[1]) for one in lines if one.rsplit(" ", 1)[0] == line)


@contextlib.contextmanager
def running(root: Path, *, workers: int = 1, first: str = "", **options: Any) -> Iterator[Server]:
    """A server on a free port, after some code of the test's; killed at the end where it still runs."""
    text = as_text(Options(root=root, **options))
    command = [sys.executable, "-c", f"{first}\n{PROGRAM}", text, str(workers)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    server = Server(process)
    reader = threading.Thread(target=server.read)
    reader.start()
    try:
        for _ in range(workers):
            server.port = server.wait_for("listening")["address"][1]
        yield server
    finally:
        server.client.close()
        with contextlib.suppress(ProcessLookupError):  # workers that outlived their supervisor, too
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(SECONDS)
        assert process.stderr is not None
        process.stderr.close()
