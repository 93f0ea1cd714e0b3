"""What a request costs over HTTP, here and on other servers: `python -m benchmarks.http [--n 20000]`.

CPU time of the server a request, read from the kernel, which the load of a shared machine disturbs least;
eight connections, one request at a time on each. Every server is asked for its empty route and for an item
with ten explained recommendations of the same made-up shop; answers are compared byte by byte.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.measuring import need_kernel
from benchmarks.synthetic import Shop
from benchmarks.tables import Table, machine
from pkgraph.recommend import Graph

OURS = "pkgraph serve"
SERVERS = {
    OURS: "pkgraph",
    "granian RSGI": "granian",
    "granian ASGI": "granian",
    "uvicorn ASGI": "uvicorn",
    "Starlette on uvicorn": "starlette",
    "FastAPI on uvicorn": "fastapi",
}
"""Server to the package it needs; one that is not installed is left out."""
N_SKUS, N_RELATIONS = 10_000, 100_000
CONNECTIONS, ROUNDS, N_COMPARED = 8, 3, 100


@dataclass
class Figures:
    """What the rounds found.

    Attributes:
        cpu: Server and route to microseconds of CPU a request, a round each.
        waits: Server to seconds that each request for an item took.
    """

    cpu: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def published(folder: Path) -> Path:
    """Root of a made-up shop's graph."""
    Shop(N_SKUS, N_RELATIONS).publish(folder / "graph", folder / "relations")
    return folder / "graph"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(server: str, root: Path, port: int) -> subprocess.Popen[bytes]:
    if server == OURS:
        program = (
            "import sys, pathlib; from pkgraph.serving import Log, Options, serve; "
            "serve(Options(root=pathlib.Path(sys.argv[1])), Log(), port=int(sys.argv[2]))"
        )
        command = [sys.executable, "-c", program, str(root), str(port)]
    else:
        command = [sys.executable, "-m", "benchmarks.http_peers", server, str(root), str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return process
    raise SystemExit(f"{server} did not start")


def _cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Time on a core, of all threads of a process."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


class _Caller(asyncio.Protocol):
    """Sends one request after another on one connection."""

    def __init__(self, requests: list[bytes], taken: list[float], done: asyncio.Future[None]) -> None:
        self.requests, self.taken, self.done = requests, taken, done
        self.place, self.buffer, self.started = 0, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._send()

    def _send(self) -> None:
        self.started = time.perf_counter()
        self.transport.write(self.requests[self.place])

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, split, body = self.buffer.partition(b"\r\n\r\n")
        if not split:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) < length:
            return
        self.taken.append(time.perf_counter() - self.started)
        assert head.startswith(b"HTTP/1.1 200"), head
        self.buffer, self.place = b"", self.place + 1
        if self.place < len(self.requests):
            self._send()
        else:
            self.transport.close()
            self.done.set_result(None)


async def _load(port: int, requests: list[bytes]) -> list[float]:
    taken: list[float] = []
    loop = asyncio.get_running_loop()
    dones = []
    for number in range(CONNECTIONS):
        done: asyncio.Future[None] = loop.create_future()
        dones.append(done)
        mine = requests[number::CONNECTIONS]
        await loop.create_connection(lambda m=mine, d=done: _Caller(m, taken, d), "127.0.0.1", port)
    await asyncio.gather(*dones)
    return taken


def _requests(paths: list[str]) -> list[bytes]:
    return [
        f"GET {path} HTTP/1.1\r\nHost: shop\r\nAccept: application/json\r\n\r\n".encode() for path in paths
    ]


def _same_answers(port: int, graph: Graph, skus: list[str]) -> None:
    import httpx

    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for sku in skus:
            found = client.get(f"/v1/items/{sku}/recommendations").content
            assert found == graph.recommend_json([sku]), sku


def _measure(process: subprocess.Popen[bytes], port: int, requests: list[bytes]) -> tuple[float, list[float]]:
    """Microseconds of CPU a request, and seconds each took."""
    before = _cpu_seconds(process)
    taken = asyncio.run(_load(port, requests))
    return (_cpu_seconds(process) - before) / len(requests) * 1e6, taken


def busy_skus(graph: Graph, n: int) -> list[str]:
    """The most popular SKU of each of the first n kinds with many relations."""
    s = graph.snapshot.sections
    full = np.flatnonzero(np.diff(s.row_offsets)[: len(s.kind_ids)] >= 20)
    return [s.sku_ids[int(s.kind_skus[s.kind_sku_offsets[kind]])] for kind in full[:n]]


def _round(server: str, root: Path, skus: list[str], n: int, figures: Figures) -> None:
    """Start a server, compare some answers, ask both routes, stop it."""
    random, port = np.random.default_rng(0), free_port()
    items = _requests([f"/v1/items/{skus[i]}/recommendations" for i in random.integers(0, len(skus), n)])
    process = _start(server, root, port)
    _same_answers(port, Graph.published(root), skus[:N_COMPARED])
    _measure(process, port, items[:1_000])
    for route, requests in (("empty", _requests(["/livez"] * n)), ("item", items)):
        us, taken = _measure(process, port, requests)
        figures.cpu[server, route].append(us)
        if route == "item":
            figures.waits[server] += taken
    process.send_signal(signal.SIGTERM)
    process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20_000, help="requests a round")
    n = parser.parse_args().n
    servers, figures = [server for server, package in SERVERS.items() if find_spec(package)], Figures()
    need_kernel()
    print(f"\n### Over HTTP\n\n{machine()}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root = published(Path(folder))
        graph = Graph.published(root)
        skus = [sku for sku in busy_skus(graph, 2_000) if len(graph.recommend([sku]).items) == 10]
        size = int(np.mean([len(graph.recommend_json([sku])) for sku in skus]))
        for number in range(ROUNDS):
            for server in servers:
                print(f"round {number + 1} of {ROUNDS}: {server}", file=sys.stderr, flush=True)
                _round(server, root, skus, n, figures)
    print(f"{size} bytes an answer; {CONNECTIONS} connections; median of {ROUNDS} rounds of {n:,} requests.")
    print("Microseconds of the server's CPU a request; milliseconds that a caller waits for an item.\n")
    table = Table(["", "empty route", "item", "item / empty", "p50 ms", "p99 ms"], max(map(len, servers)))
    for server in servers:
        floor, item = (float(np.median(figures.cpu[server, route])) for route in ("empty", "item"))
        p50, p99 = (np.percentile(figures.waits[server], [50, 99]) * 1e3).tolist()
        table.row(server, floor, item, item / floor, p50, p99)
    for server in SERVERS.keys() - set(servers):
        print(f"{server}: left out, {SERVERS[server]} is not installed")


if __name__ == "__main__":
    main()
