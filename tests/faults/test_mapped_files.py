"""A mapped file that somebody cuts is no promise: its reader dies, and the next one serves the graph before.

What we do promise is that we never do it: files are read-only, and no code of ours opens one to change it.
"""

from __future__ import annotations

import ast
import mmap
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import pkgraph
from pkgraph.errors import SnapshotDamaged
from pkgraph.snapshot import Snapshot
from pkgraph.snapshot.arrays import READ_AT_ONCE, read_in
from tests.published import publish_shop
from tests.serving.server import Server, running

ITEM = "/v1/items/f1/recommendations"
ROOMS = ("snapshot", "recommend", "serving", "cli")
SOURCES = [path for room in ROOMS for path in sorted((Path(pkgraph.__file__).parent / room).rglob("*.py"))]


def until_it_died(server: Server) -> int:
    """Ask until the reader of the cut file is gone; how it went."""
    while True:
        try:
            server.get(ITEM)
        except httpx.TransportError:
            return int(server.wait_for("worker_died")["code"])


def test_a_worker_whose_file_was_cut_is_followed_by_one_that_serves_the_graph_before(tmp_path: Path) -> None:
    first, second = publish_shop(tmp_path, version="1"), publish_shop(tmp_path, version="2")
    with running(tmp_path, workers=2) as server:
        server.until("/readyz", lambda answer: answer.json()["snapshot_id"] == second.snapshot_id)
        for file in second.path.glob("*.arr"):
            os.truncate(file, 0)
        deaths = [until_it_died(server) for _ in range(2)]
        ready = server.until("/readyz", lambda answer: answer.json()["sequence"] == 1).json()
        answers = {server.get(ITEM).json()["snapshot_id"] for _ in range(20)}
    assert deaths == [-signal.SIGBUS] * 2
    assert answers == {first.snapshot_id}
    assert ".arr" in ready["faults"][0]


def test_files_of_a_snapshot_are_read_only(tmp_path: Path) -> None:
    folder = publish_shop(tmp_path).path
    modes = {path.stat().st_mode & 0o777 for path in [*folder.iterdir(), *(tmp_path / "commits").iterdir()]}
    assert modes == {0o444}


def changing(source: str) -> Iterator[str]:
    """Calls that could change a file that is there: modes with a plus, cutting, writable maps."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
        if name in {"truncate", "ftruncate", "pwrite", "memmap"}:
            yield ast.unparse(node)
        if name == "open" and any(isinstance(text, str) and "+" in text for text in texts):
            yield ast.unparse(node)


@pytest.mark.parametrize(
    "source",
    ["open(path, 'r+b')", "path.open(mode='ab+')", "os.truncate(path, 0)", "np.memmap(path, mode='r+')"],
)
def test_the_search_finds_what_changes_a_file(source: str) -> None:
    assert list(changing(source)) == [ast.unparse(ast.parse(source))]


def test_no_code_of_ours_changes_a_file_that_is_there() -> None:
    """But for the page of counters, which has no name."""
    found = {path.name: list(changing(path.read_text())) for path in SOURCES}
    assert {name: calls for name, calls in found.items() if calls} == {
        "metrics.py": ["file.truncate(8 * N_CELLS * n_workers)"]
    }


def test_a_large_file_is_read_in_pieces_between_which_others_are_answered(tmp_path: Path) -> None:
    asked: list[tuple[int, ...]] = []

    class Mapped(mmap.mmap):
        def madvise(self, *advice: int) -> None:
            asked.append(advice)
            super().madvise(*advice)

    path, size = tmp_path / "large", 2 * READ_AT_ONCE + 5
    path.write_bytes(bytes(size))
    with path.open("rb") as file:
        mapped = Mapped(file.fileno(), 0, access=mmap.ACCESS_READ)
    read_in(memoryview(mapped)[64:])
    [_, *pieces] = asked
    assert [piece[1:] for piece in pieces] == [
        (start, READ_AT_ONCE) for start in range(0, size, READ_AT_ONCE)
    ]


def test_reading_in_a_file_that_was_cut_meanwhile_ends_nothing(tmp_path: Path) -> None:
    published = publish_shop(tmp_path)
    snapshot = Snapshot.open(published.path)
    path = published.path / "edge_explanations.bytes.arr"
    path.chmod(0o644)
    os.truncate(path, 0)
    read_in(snapshot.buffers["edge_explanations.bytes"])
    with pytest.raises(SnapshotDamaged, match="edge_explanations"):
        Snapshot.open(published.path, verify=True)
