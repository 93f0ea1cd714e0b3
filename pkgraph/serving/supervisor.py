"""Several workers on one port: started, watched, started again, and stopped together.

Every worker has its own listening socket on the shared port, and the supervisor keeps all of them open:
callers of a worker that died wait in its queue for the next one instead of being reset.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pkgraph.serving.front import Limits
from pkgraph.serving.metrics import Metrics, shared_page
from pkgraph.serving.worker import Options, Worker, bound_socket

if TYPE_CHECKING:
    from pkgraph.serving.events import Log

_WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGALRM}
STEADY_SECONDS = 5.0
"""A worker that lived this long is started again at once; one that did not, a second later."""
SECONDS_TO_STOP = 8.0
"""Draining takes five; who needs longer is killed."""


def as_text(options: Options) -> str:
    """Options for another process."""
    data = asdict(options)
    data |= {"root": str(options.root), "hosts": sorted(options.hosts)}
    return json.dumps(data | {"stock": str(options.stock) if options.stock else None})


def from_text(text: str) -> Options:
    data = json.loads(text)
    limits = Limits(**data.pop("limits"))
    stock, root, hosts = data.pop("stock"), Path(data.pop("root")), frozenset(data.pop("hosts"))
    return Options(root=root, stock=Path(stock) if stock else None, hosts=hosts, limits=limits, **data)


@dataclass(slots=True)
class Supervisor:
    """Keeps one worker alive a socket."""

    options: Options
    sockets: list[socket.socket]
    log: Log
    _page: int = 0
    _workers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    _started: dict[int, float] = field(default_factory=dict)
    _is_stopping: bool = False

    def run(self) -> int:
        """Work until SIGTERM or SIGINT; the number of workers that had to be killed."""
        self._page = shared_page(len(self.sockets))
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        for number in range(len(self.sockets)):
            self._start(number)
        while not self._is_stopping:
            self._heard(signal.sigwait(_WATCHED))
        return self._stop()

    def _start(self, number: int) -> None:
        listening = self.sockets[number].fileno()
        command = [sys.executable, "-m", "pkgraph.serving", as_text(self.options)]
        numbers = [str(one) for one in (number, listening, self._page, os.getpid())]
        self._started[number] = time.monotonic()
        self._workers[number] = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, *numbers], pass_fds=(listening, self._page)
        )

    def _heard(self, sign: int) -> None:
        if sign in {signal.SIGTERM, signal.SIGINT}:
            self._is_stopping = True
            return
        for number, worker in self._workers.items():
            code = worker.poll()
            if code is None:
                continue
            lived = time.monotonic() - self._started[number]
            if sign == signal.SIGCHLD:
                self.log.say("worker_died", worker=number, died=worker.pid, code=code, lived_s=lived)
            if lived >= STEADY_SECONDS or sign == signal.SIGALRM:
                self._start(number)
            else:
                signal.alarm(1)

    def _stop(self) -> int:
        for one in self.sockets:  # the workers' are the last now: what they close is closed
            one.close()
        for worker in self._workers.values():
            worker.terminate()
        end, killed = time.monotonic() + SECONDS_TO_STOP, 0
        for worker in self._workers.values():
            try:
                worker.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
                killed += 1
        return killed


def serve(options: Options, log: Log, *, host: str = "127.0.0.1", port: int = 8080, workers: int = 1) -> None:
    """Answer until SIGTERM or SIGINT; requests in flight are answered first.

    Args:
        options: What to serve.
        log: Where events go.
        host: Address to listen on.
        port: 0: any that is free; the log names it.
        workers: Processes; they share the mapped pages of a snapshot.

    Raises:
        OSError: The address cannot be had.
    """
    if workers == 1:
        Worker(options, bound_socket(host, port), Metrics(shared_page(1)), log).run()
        return
    first = bound_socket(host, port, reuse=True)
    port = first.getsockname()[1]
    others = [bound_socket(host, port, reuse=True) for _ in range(workers - 1)]
    Supervisor(options, [first, *others], log).run()


def run_worker(text: str, number: int, listening: int, page: int, supervisor: int, log: Log) -> None:
    """A worker of a supervisor, in its own process."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    for descriptor in (listening, page):
        os.set_inheritable(descriptor, False)
    listener = socket.socket(fileno=listening)
    Worker(from_text(text), listener, Metrics(page, number), log, supervisor=supervisor).run()
