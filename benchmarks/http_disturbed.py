"""What a caller notices of swaps, stock lists and slow callers: `python -m benchmarks.http_disturbed`.

One caller asks for an item with ten explained recommendations, some thousand times a second at most, while
graphs or stock lists are replaced twice a second, and beside 500 callers that never finish their headers.
Before and after each of these is a round of the same length in which nothing happens: the ratio of a round to
its two neighbours is what the server adds, the ratio of such rounds to each other is what the machine does.

The server has a core of its own. On the caller's core publishes, only when the caller waits, a process of the
lowest class: what is measured is that the server takes a graph in, not that somebody makes one.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.http import busy_skus, free_port, published
from benchmarks.tables import machine
from pkgraph.recommend import Graph
from pkgraph.snapshot import rollback

PAUSE_SECONDS = 0.0003
SLOW_CALLERS = 500
CREATED_AT = "2026-11-25T12:00:00Z"
SWAPS = "pkgraph_snapshot_swaps_total "
SERVERS_CORE, CALLERS_CORE = 0, 1
PROGRAM = """
import pathlib, sys
from pkgraph.serving import Limits, Log, Options, serve
root, stock, port = sys.argv[1:]
# Slow callers stay for the whole round: with the shipped 5 s they would have to come back all the time.
limits = Limits(head_seconds=600, request_seconds=600, connections=1_000)
serve(Options(root=pathlib.Path(root), stock=pathlib.Path(stock), limits=limits), Log(), port=int(port))
"""


class Place:
    """A served graph and its stock list, and what can happen to them."""

    def __init__(self, folder: Path) -> None:
        self.root, self.stock, self.port = published(folder), folder / "stock.txt", free_port()
        self.graph = Graph.published(self.root)
        self.skus = list(self.graph.snapshot.sections.sku_ids)
        self.n_swaps = 0
        self.replace_stock()

    def swap(self) -> None:
        """The same graph under a new commit: all that a swap costs, and no answer changes."""
        rollback(self.root, 1, created_at=CREATED_AT)

    def replace_stock(self) -> None:
        """All SKUs but one, another one each time."""
        self.n_swaps += 1
        draft = self.stock.with_suffix(".new")
        draft.write_text("\n".join(self.skus[: -(1 + self.n_swaps % 2)]))
        draft.replace(self.stock)

    def asked(self) -> list[bytes]:
        skus = busy_skus(self.graph, 500)
        return [f"GET /v1/items/{sku}/recommendations HTTP/1.1\r\nhost: a\r\n\r\n".encode() for sku in skus]


def _move_to(core: int) -> None:
    """Run on this core from now on, with the processes that are started; or on the only one there is."""
    os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})


@contextlib.contextmanager
def _running(place: Place) -> Iterator[None]:
    command = [sys.executable, "-c", PROGRAM, str(place.root), str(place.stock), str(place.port)]
    _move_to(SERVERS_CORE)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", place.port)):
                break
            time.sleep(0.05)
        _move_to(CALLERS_CORE)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _waits(place: Place, seconds: float) -> np.ndarray:
    """Milliseconds that each request of one caller took."""
    requests, taken = place.asked(), list[float]()
    with socket.create_connection(("127.0.0.1", place.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            started = time.perf_counter()
            connection.sendall(requests[len(taken) % len(requests)])
            answer = connection.recv(1 << 16)
            head, _, body = answer.partition(b"\r\n\r\n")
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(1 << 16)
            taken.append(time.perf_counter() - started)
            time.sleep(PAUSE_SECONDS)
    return np.array(taken) * 1e3


@contextlib.contextmanager
def _again_and_again(happens: Callable[[], None]) -> Iterator[None]:
    """Something happens twice a second meanwhile, in a process that the caller never waits for."""
    child = os.fork()
    if child == 0:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        while True:
            time.sleep(0.5)
            happens()
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@contextlib.contextmanager
def _slow_callers(place: Place) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW_CALLERS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", place.port)))
            connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nx-half: 1")
        yield


def _rows(place: Place, seconds: float) -> Iterator[tuple[str, np.ndarray]]:
    """Name of a round and the milliseconds that its requests took; every other round is one of nothing."""
    disturbances = {
        "a new graph, twice a second": lambda: _again_and_again(place.swap),
        "a new stock list, twice a second": lambda: _again_and_again(place.replace_stock),
        f"{SLOW_CALLERS} slow callers": lambda: _slow_callers(place),
    }
    _waits(place, 2)
    yield "nothing", _waits(place, seconds)
    for name, disturbed in disturbances.items():
        with disturbed():
            taken = _waits(place, seconds)
        yield name, taken
        yield "nothing", _waits(place, seconds)


def _swaps(place: Place) -> int:
    """Graphs and stock lists that the server took in, the first among them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{place.port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return int(next(float(line.split()[1]) for line in lines if line.startswith(SWAPS)))


def _ratios(found: np.ndarray, before: np.ndarray, after: np.ndarray) -> str:
    """p99 and p99.9 of a round over those of its two neighbours together."""
    quiet = np.concatenate([before, after])
    ratios = [float(np.percentile(found, p) / np.percentile(quiet, p)) for p in (99, 99.9)]
    return "".join(f"{ratio:>8.1f}" for ratio in ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0, help="of each of seven rounds")
    seconds = parser.parse_args().seconds
    gc.disable()  # the caller's own pauses are not what is measured
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        with _running(place):
            rows = list(_rows(place, seconds))
            n_swaps = _swaps(place)
    print(f"{machine()}; {len(place.skus)} SKUs; {seconds:.0f} s a round\n")
    print(f"{'ms a request beside':<36}{'p50':>8}{'p99':>8}{'p99.9':>8}{'n':>9}{'p99 x':>8}{'p99.9 x':>8}")
    for number, (name, taken) in enumerate(rows):
        p50, p99, p999 = np.percentile(taken, [50, 99, 99.9])
        ratios = _ratios(taken, rows[number - 1][1], rows[number + 1][1]) if number % 2 else ""
        print(f"{name:<36}{p50:>8.2f}{p99:>8.2f}{p999:>8.2f}{len(taken):>9}{ratios}")
    worst = [float(np.percentile(taken, 99.9)) for _, taken in rows[::2]]
    print(f"\n{n_swaps} graphs and stock lists were taken in while it answered")
    print(f"rounds of nothing differ among themselves by {max(worst) / min(worst):.1f} at p99.9")


if __name__ == "__main__":
    main()
