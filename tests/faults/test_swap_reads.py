"""Reading while graphs are exchanged and old ones removed: every answer belongs wholly to one graph."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from pkgraph.recommend import Graph
from pkgraph.serving.served import Served
from tests.faults.children import ended, start
from tests.figures import Figure
from tests.published import graph_of, publish_shop
from tests.serving.server import Server, running
from tests.shop import STATEMENTS, Told

N_THREADS, N_PROCESSES = 2, 2
SEEDS = ["f1", "c1"]
ID = slice(16, 28)
"""Where an answer names its snapshot."""

Ask = Callable[[Served], bytes]


def told(version: str) -> list[Told]:
    """The shop's statements, each sentence with the version in it."""
    return [(*statement[:5], f"{statement[5]} Version {version}.") for statement in STATEMENTS]


def answer(served: Served) -> bytes:
    assert served.current is not None
    return served.current.graph.recommend_json(SEEDS)


def answer_of_two(served: Served) -> bytes:
    """As a server would answer that looked at what is served twice in one request."""
    first = served.current
    assert first is not None
    time.sleep(0.001)
    body = answer(served)
    return body[: ID.start] + first.graph.snapshot_id.encode() + body[ID.stop :]


@dataclass
class Oracle:
    """What every snapshot answers, for readers of this and of other processes."""

    folder: Path
    known: dict[bytes, bytes] = field(default_factory=dict)

    def tell(self, graph: Graph) -> None:
        draft = self.folder / f".{graph.snapshot_id}"
        draft.write_bytes(graph.recommend_json(SEEDS))
        draft.rename(self.folder / graph.snapshot_id)

    def is_mixed(self, body: bytes) -> bool:
        """Whether it is another answer than that of the snapshot that it names."""
        name = body[ID]
        while name not in self.known:
            file = self.folder / name.decode()
            if file.exists():  # it is served before the publisher has told
                self.known[name] = file.read_bytes()
        return body != self.known[name]


@dataclass
class Reader:
    """Asks what is served again and again."""

    served: Served
    oracle: Oracle
    ask: Ask
    n_read: int = 0
    n_mixed: int = 0

    def read_some(self) -> None:
        for _ in range(50):
            self.n_mixed += self.oracle.is_mixed(self.ask(self.served))
            self.n_read += 1

    def read_until(self, is_over: threading.Event) -> None:
        while not is_over.wait(0.005):  # the publisher of this process gets its turn
            self.read_some()


def _read_apart(root: Path, oracle: Path, sign: Path, report: Path) -> None:
    """A reader in a process of its own, which looks for new graphs itself."""
    reader = Reader(Served(root), Oracle(oracle), answer)
    while not sign.exists():
        reader.served.refresh()
        reader.read_some()
    assert reader.served.fault is None
    report.write_text(json.dumps([reader.n_read, reader.n_mixed]))


def swapped(folder: Path, n_reads: int, n_swaps: int, ask: Ask = answer) -> tuple[int, int]:
    """Threads and processes read while versions are published; reads, and those that were mixed."""
    compiled = [graph_of(told(str(version))) for version in range(4)]
    root, oracle, sign = folder / "graph", Oracle(folder / "oracle"), folder / "over"
    oracle.folder.mkdir()

    def publish(n: int) -> None:
        publish_shop(root, compiled[n % len(compiled)], version=str(n))
        oracle.tell(Graph.published(root))

    publish(0)
    served, is_over = Served(root), threading.Event()
    served.refresh()
    reports = [folder / f"report-{n}" for n in range(N_PROCESSES)]
    children = [start(partial(_read_apart, root, oracle.folder, sign, one), 2_500) for one in reports]
    readers = [Reader(served, Oracle(oracle.folder), ask) for _ in range(N_THREADS)]
    threads = [threading.Thread(target=one.read_until, args=(is_over,)) for one in readers]
    for thread in threads:
        thread.start()
    for n in range(1, n_swaps + 1):
        publish(n)
        assert served.refresh()
    while sum(reader.n_read for reader in readers) < n_reads // 2:
        time.sleep(0.05)
    is_over.set()
    sign.touch()
    for thread in threads:
        thread.join()
    assert [ended(child) for child in children] == [0] * N_PROCESSES
    assert len(list((root / "snapshots").iterdir())) == min(3, n_swaps + 1)
    counts = [(one.n_read, one.n_mixed) for one in readers] + [json.loads(r.read_text()) for r in reports]
    return sum(read for read, _ in counts), sum(mixed for _, mixed in counts)


@pytest.mark.parametrize(
    ("n_reads", "n_swaps"),
    [(2_000, 8), pytest.param(1_000_000, 200, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])],
)
def test_no_answer_mixes_two_graphs(n_reads: int, n_swaps: int, memory_path: Path, figure: Figure) -> None:
    read, mixed = swapped(memory_path, n_reads, n_swaps)
    figure(
        f"{read} reads by {N_THREADS} threads and {N_PROCESSES} processes over {n_swaps} swaps, {mixed} mixed"
    )
    assert read >= n_reads
    assert mixed == 0


def test_a_reader_that_looks_twice_mixes_two_graphs_and_is_found(memory_path: Path, figure: Figure) -> None:
    """The control."""
    read, mixed = swapped(memory_path, 200, 8, answer_of_two)
    figure(f"control, readers that look twice a request: {mixed} of {read} reads mixed")
    assert mixed > 0


REQUEST = b"GET /v1/items/f1/recommendations?limit=1 HTTP/1.1\r\nhost: a\r\nx-request-id: soak\r\n\r\n"
GOOD = b"HTTP/1.1 200 "
N_AT_ONCE = 100
"""Requests in one packet, so that the caller is not slower than the server."""


def ask_until(connection: socket.socket, n_requests: int, sign: Path, report: Path) -> None:
    """Ask over one connection until there is a sign and it was often enough.

    Another answer than 200 is never counted, and this waits for it.
    """
    n_good = 0
    while n_good < n_requests or not sign.exists():
        connection.sendall(REQUEST * N_AT_ONCE)
        wanted, rest = n_good + N_AT_ONCE, b""
        while n_good < wanted:
            part = rest + connection.recv(1 << 18)
            n_good += part.count(GOOD)
            rest = part[-len(GOOD) + 1 :]
    report.write_text(str(n_good))


@pytest.mark.parametrize(
    ("n_requests", "n_swaps"),
    [(10_000, 8), pytest.param(10_000_000, 1_000, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])],
)
def test_a_server_that_answers_and_swaps_grows_in_nothing(
    n_requests: int, n_swaps: int, memory_path: Path, figure: Figure
) -> None:
    compiled = [graph_of(told(str(version))) for version in range(2)]
    root, sign, report = memory_path / "graph", memory_path / "over", memory_path / "report"
    publish_shop(root, compiled[0], version="0")
    with running(root) as server, server.connect() as connection:
        connection.settimeout(60)
        child = start(lambda: ask_until(connection, n_requests, sign, report), 2_500)
        sizes = []
        for n in range(1, n_swaps + 1):
            done = publish_shop(root, compiled[n % 2], version=str(n))
            _until_served(server, done.snapshot_id)
            sizes.append(_size(server))
        sign.touch()
        assert ended(child) == 0
        sizes.append(_size(server))
    early, late = sizes[len(sizes) // 3], sizes[-1]
    figure(f"{report.read_text()} requests, {n_swaps} swaps: MB and open files {early} -> {late}")
    assert late[0] < early[0] * 1.05 + 1
    assert late[1] <= early[1] + 2


def _until_served(server: Server, snapshot_id: str) -> None:
    server.until("/readyz", lambda found: found.json()["snapshot_id"] == snapshot_id)


def _size(server: Server) -> tuple[float, int]:
    """Resident megabytes and open files."""
    folder = Path(f"/proc/{server.process.pid}")
    pages = int((folder / "statm").read_text().split()[1])
    return round(pages * 4096 / 1e6, 1), len(list((folder / "fd").iterdir()))
