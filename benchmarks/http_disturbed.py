"""What a caller notices of swaps, stock lists and slow callers: `python -m benchmarks.http_disturbed`.

One caller asks for an item with ten explained recommendations, a thousand times a second at most, while
nothing else happens, while graphs and stock lists are replaced twice a second, and beside 500 callers that
never finish their headers. Time is what the caller waits, so a busy machine shows: compare within one run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.http import _free_port, _published
from pkgraph.recommend import Graph
from pkgraph.snapshot import rollback

PAUSE_SECONDS = 0.001
SLOW_CALLERS = 500
CREATED_AT = "2026-11-25T12:00:00Z"
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
        self.root, self.stock, self.port = _published(folder), folder / "stock.txt", _free_port()
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
        sections = self.graph.snapshot.sections
        full = np.flatnonzero(np.diff(sections.row_offsets)[: len(sections.kind_ids)] >= 20)[:500]
        skus = [self.skus[int(sections.kind_skus[sections.kind_sku_offsets[kind]])] for kind in full]
        return [f"GET /v1/items/{sku}/recommendations HTTP/1.1\r\nhost: a\r\n\r\n".encode() for sku in skus]


@contextlib.contextmanager
def _running(place: Place) -> Iterator[None]:
    command = [sys.executable, "-c", PROGRAM, str(place.root), str(place.stock), str(place.port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", place.port)):
                break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _waits(place: Place, seconds: float) -> list[float]:
    """Seconds that each request of one caller took."""
    requests, taken = place.asked(), []
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
    return taken


@contextlib.contextmanager
def _again_and_again(happens: Callable[[], None] | None) -> Iterator[None]:
    """Something happens twice a second while the block lasts."""
    is_over = threading.Event()

    def work() -> None:
        while happens and not is_over.wait(0.5):
            happens()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    is_over.set()
    thread.join()


def _slow_callers(place: Place, stack: contextlib.ExitStack) -> None:
    for _ in range(SLOW_CALLERS):
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", place.port)))
        connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nx-half: 1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each row")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        rows: dict[str, list[float]] = {}
        with _running(place):
            _waits(place, 1)
            for name, happens in (
                ("nothing", None),
                ("a new graph, twice a second", place.swap),
                ("a new stock list, twice a second", place.replace_stock),
            ):
                with _again_and_again(happens):
                    rows[name] = _waits(place, seconds)
            with contextlib.ExitStack() as stack:
                _slow_callers(place, stack)
                rows[f"{SLOW_CALLERS} slow callers"] = _waits(place, seconds)
            rows["nothing, again"] = _waits(place, seconds)
    machine = f"{platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores"
    print(f"{machine}; {len(place.skus)} SKUs; load {os.getloadavg()[0]:.1f}\n")
    print(f"{'ms a request beside':<36}{'p50':>8}{'p99':>8}{'p99.9':>8}{'n':>8}")
    for name, taken in rows.items():
        p50, p99, p999 = np.percentile(taken, [50, 99, 99.9]) * 1e3
        print(f"{name:<36}{p50:>8.2f}{p99:>8.2f}{p999:>8.2f}{len(taken):>8}")


if __name__ == "__main__":
    main()
