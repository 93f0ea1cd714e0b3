"""What a request costs over HTTP, here and on other servers: `python -m benchmarks.http [--n 20000]`.

CPU time of the server a request, read from the kernel, which the load of a shared machine disturbs least;
eight connections, one request at a time on each. Every server is asked for its empty route and for an item
with ten explained recommendations of the same made-up shop; answers are compared byte by byte.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.synthetic import Shop
from pkgraph.model import GateReport
from pkgraph.recommend import Graph
from pkgraph.snapshot import publish
from pkgraph.snapshot.compile import compile_graph

OURS = "ours"
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
CONNECTIONS, ROUNDS = 8, 3


def _published(folder: Path) -> Path:
    shop = Shop(N_SKUS, N_RELATIONS)
    compiled = compile_graph(shop.products(), shop.write_relations(folder / "relations"))
    content = GateReport({"made_up": N_RELATIONS})
    publish(folder / "graph", compiled, inputs={}, judge=lambda _: content, created_at="2026-11-25T12:00:00Z")
    return folder / "graph"


def _free_port() -> int:
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

    for sku in skus:
        found = httpx.get(f"http://127.0.0.1:{port}/v1/items/{sku}/recommendations").content
        assert found == graph.recommend_json([sku]), sku


def _measure(process: subprocess.Popen[bytes], port: int, requests: list[bytes]) -> tuple[float, list[float]]:
    """Microseconds of CPU a request, and seconds each took."""
    before = _cpu_seconds(process)
    taken = asyncio.run(_load(port, requests))
    return (_cpu_seconds(process) - before) / len(requests) * 1e6, taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20_000, help="requests a round")
    n = parser.parse_args().n
    servers = [server for server, package in SERVERS.items() if find_spec(package)]
    with tempfile.TemporaryDirectory() as folder:
        root = _published(Path(folder))
        graph = Graph.published(root)
        s = graph.snapshot.sections
        full = np.flatnonzero(np.diff(s.row_offsets)[: len(s.kind_ids)] >= 20)
        skus = [s.sku_ids[int(s.kind_skus[s.kind_sku_offsets[kind]])] for kind in full[:2_000]]
        skus = [sku for sku in skus if len(graph.recommend([sku]).items) == 10]
        size = int(np.mean([len(graph.recommend_json([sku])) for sku in skus]))
        random = np.random.default_rng(0)
        items = _requests([f"/v1/items/{skus[i]}/recommendations" for i in random.integers(0, len(skus), n)])
        empty = _requests(["/livez"] * n)
        cpu: dict[tuple[str, str], list[float]] = defaultdict(list)
        waits: dict[str, list[float]] = defaultdict(list)
        for _ in range(ROUNDS):
            for server in servers:
                port = _free_port()
                process = _start(server, root, port)
                _same_answers(port, graph, skus[:5])
                _measure(process, port, items[:1_000])
                for route, requests in (("empty", empty), ("item", items)):
                    us, taken = _measure(process, port, requests)
                    cpu[server, route].append(us)
                    if route == "item":
                        waits[server] += taken
                process.send_signal(signal.SIGTERM)
                process.wait(20)
    machine = f"{platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores"
    print(f"{machine}; {size} bytes an answer; {n} requests a round,")
    print(f"{CONNECTIONS} connections, median of {ROUNDS} rounds; load {os.getloadavg()[0]:.1f}\n")
    print(f"{'us of CPU a request':<24}{'empty':>8}{'item':>8}{'x empty':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for server in servers:
        floor, item = (float(np.median(cpu[server, route])) for route in ("empty", "item"))
        p50, p99 = np.percentile(waits[server], [50, 99]) * 1e3
        print(f"{server:<24}{floor:>8.1f}{item:>8.1f}{item / floor:>9.2f}{p50:>9.2f}{p99:>9.2f}")


if __name__ == "__main__":
    main()
