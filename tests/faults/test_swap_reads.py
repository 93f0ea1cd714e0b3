"""Reading while graphs are exchanged and old ones removed: every answer belongs wholly to one graph."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pytest

from pkgraph.recommend import Graph
from pkgraph.serving.served import Served
from pkgraph.snapshot import CompiledGraph
from tests.figures import Figure
from tests.published import graph_of, publish_shop
from tests.serving.server import running
from tests.shop import STATEMENTS, Told

N_READERS = 3


def told(version: str) -> list[Told]:
    """The shop's statements, each sentence with the version in it."""
    return [(*statement[:5], f"{statement[5]} Version {version}.") for statement in STATEMENTS]


class Reader(threading.Thread):
    """Asks the served graph again and again, and counts answers that are not those of the graph they name."""

    def __init__(self, served: Served, oracle: dict[str, bytes], is_over: threading.Event) -> None:
        super().__init__()
        self.served, self.oracle, self.is_over = served, oracle, is_over
        self.n_read, self.mixed = 0, 0

    def run(self) -> None:
        while not self.is_over.wait(0.005):  # the publisher of this process gets its turn
            for _ in range(50):
                current = self.served.current
                assert current is not None
                body = current.graph.recommend_json(["f1", "c1"])
                self.mixed += body != self.oracle[body[16:28].decode()]
                self.n_read += 1


def swapped(root: Path, compiled: list[CompiledGraph], n_reads: int, n_swaps: int) -> tuple[int, int]:
    """Readers read while versions are published; reads, and those that were mixed."""
    oracle: dict[str, bytes] = {}

    def publish(n: int) -> None:
        publish_shop(root, compiled[n % len(compiled)], version=str(n))
        graph = Graph.published(root)
        oracle[graph.snapshot_id] = graph.recommend_json(["f1", "c1"])

    publish(0)
    served, is_over = Served(root), threading.Event()
    served.refresh()
    readers = [Reader(served, oracle, is_over) for _ in range(N_READERS)]
    for reader in readers:
        reader.start()
    for n in range(1, n_swaps + 1):
        publish(n)
        assert served.refresh()
    while sum(reader.n_read for reader in readers) < n_reads:
        time.sleep(0.05)
    is_over.set()
    for reader in readers:
        reader.join()
    return sum(reader.n_read for reader in readers), sum(reader.mixed for reader in readers)


@pytest.mark.parametrize(
    ("n_reads", "n_swaps"),
    [(2_000, 4), pytest.param(1_000_000, 200, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])],
)
def test_no_answer_mixes_two_graphs(n_reads: int, n_swaps: int, tmp_path: Path, figure: Figure) -> None:
    compiled = [graph_of(told(str(version))) for version in range(4)]
    read, mixed = swapped(tmp_path, compiled, n_reads, n_swaps)
    figure(f"{read} reads over {n_swaps} swaps, {mixed} mixed")
    assert mixed == 0


def test_the_oracle_finds_a_mixed_answer(tmp_path: Path) -> None:
    """The control: an answer with the name of one graph and the sentences of another."""
    publish_shop(tmp_path / "a", graph_of(told("a")))
    publish_shop(tmp_path / "b", graph_of(told("b")))
    one, other = (Graph.published(tmp_path / name) for name in "ab")
    body = one.recommend_json(["f1"])
    mixed = body.replace(one.snapshot_id.encode(), other.snapshot_id.encode())
    assert mixed != other.recommend_json(["f1"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_that_answers_and_swaps_for_a_minute_grows_in_nothing(
    tmp_path: Path, figure: Figure
) -> None:
    compiled = [graph_of(told(str(version))) for version in range(2)]
    publish_shop(tmp_path, compiled[0], version="0")
    with running(tmp_path) as server, httpx.Client(trust_env=False) as client:
        sizes, n_swaps, n_asked, end = [], 0, 0, time.monotonic() + 60
        while time.monotonic() < end:
            n_swaps += 1
            publish_shop(tmp_path, compiled[n_swaps % 2], version=str(n_swaps))
            for _ in range(300):
                assert client.get(f"{server.url}/v1/items/f1/recommendations").status_code == 200
            n_asked += 300
            sizes.append(_size(server.process.pid))
    early, late = sizes[len(sizes) // 3], sizes[-1]
    figure(f"{n_asked} requests, {n_swaps} publishes: MB and open files {early} -> {late}")
    assert late[0] < early[0] * 1.05 + 1
    assert late[1] <= early[1] + 2


def _size(pid: int) -> tuple[float, int]:
    """Resident megabytes and open files."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6, len(list(Path(f"/proc/{pid}/fd").iterdir()))
