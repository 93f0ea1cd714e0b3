"""A server's look at a new commit, killed at or refused by single system calls: reading harms nothing.

What failed once is tried again: a server that ran out of descriptors for a moment must not stay behind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from pkgraph.serving.served import Served
from pkgraph.snapshot import Snapshot, open_published
from tests.faults.powercut import Tree, digest_of, read_tree
from tests.faults.tracing import KILLED, Point, calls_of, killed_at, points, refused_at, spread
from tests.figures import Figure
from tests.published import graph_of, publish_shop
from tests.shop import STATEMENTS

READING = ("openat", "read", "mmap", "newfstatat", "getdents64", "close")
ERRORS = {
    "EMFILE": ("openat",),
    "EIO": ("openat", "read", "newfstatat", "getdents64"),
    "ENOMEM": ("mmap",),
}
N_LOOKS = 8
"""Looks by which what failed once has to be served; it is the second or the third."""

N_POINTS, N_SLOW = 4, 150
MANY = pytest.param(N_SLOW, marks=[pytest.mark.slow, pytest.mark.timeout(3000)], id="many")


@pytest.fixture
def root(memory_path: Path) -> Path:
    publish_shop(memory_path / "graph", graph_of(STATEMENTS[:1]), version="old")
    return memory_path / "graph"


def looking(root: Path, *, has_served: bool) -> Callable[[], object]:
    """Looks of a server that serves the old graph, or nothing yet, at the new one that is there."""
    served = Served(root)
    if has_served:
        assert served.refresh()
    before = served.current
    new = publish_shop(root, version="new").snapshot_id

    def look() -> None:
        for _ in range(N_LOOKS):
            served.refresh()
            if served.current and (served.current.graph.snapshot_id, served.fault) == (new, None):
                return
            assert served.fault
            assert before is None or served.current is before
        raise AssertionError(served.fault)

    return look


def chosen(calls: dict[str, list[str]], names: tuple[str, ...], n: int) -> list[Point]:
    return spread(points(calls, names), n)


def unchanged(root: Path) -> Callable[[], bool]:
    before: Tree = read_tree(root)
    return lambda: digest_of(read_tree(root)) == digest_of(before)


@pytest.mark.parametrize("n", [pytest.param(N_POINTS, id="some"), MANY])
@pytest.mark.parametrize("has_served", [True, False], ids=["swap", "start"])
def test_a_look_that_fails_at_a_call_is_made_again_and_what_answers_goes_on(
    n: int, has_served: bool, root: Path, figure: Figure
) -> None:
    look = looking(root, has_served=has_served)
    is_unchanged = unchanged(root)
    calls = calls_of(look, set(READING), root.parent / "calls")
    n_done = 0
    for error, names in ERRORS.items():
        for point in chosen(calls, names, n):
            assert refused_at(look, point, error) == 0, f"{error} at {point}"
            n_done += 1
    figure(f"{', '.join(ERRORS)} at {n_done} calls of a look, each made good by a later look")
    assert is_unchanged()


@pytest.mark.parametrize("n", [pytest.param(N_POINTS, id="some"), MANY])
def test_a_server_killed_while_it_loads_leaves_what_the_next_one_serves(
    n: int, root: Path, figure: Figure
) -> None:
    look = looking(root, has_served=False)
    is_unchanged = unchanged(root)
    calls = calls_of(look, set(READING), root.parent / "calls")
    killed = [killed_at(look, point) for point in chosen(calls, READING, n)]
    figure(f"killed at {len(killed)} calls of loading, nothing changed")
    assert set(killed) <= {KILLED, 0}  # 0: it was done before it came to its last call of that kind
    assert killed.count(KILLED) >= 0.8 * len(killed)
    assert is_unchanged()
    look()


def test_what_can_never_be_read_is_tried_ever_less_often(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every try reads a whole snapshot: a disk that always fails must not be asked twice a second."""
    served, tries, real = Served(root), list[int](), open_published
    assert served.refresh()
    new = publish_shop(root, version="new").snapshot_id

    def failing(root: Path, *, verify: bool) -> Snapshot:
        tries.append(len(tries))
        return dataclasses.replace(
            real(root, verify=verify), skipped=("It cannot be read.",), is_stopgap=True
        )

    monkeypatch.setattr("pkgraph.serving.served.open_published", failing)
    monkeypatch.setattr(Served, "_take", lambda *_: False)
    for _ in range(1_000):
        served.refresh()
    assert 8 <= len(tries) <= 12
    monkeypatch.undo()
    for _ in range(1_024):
        served.refresh()
    assert served.current is not None
    assert served.current.graph.snapshot_id == new
