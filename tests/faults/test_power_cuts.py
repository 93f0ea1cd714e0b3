"""Whenever the power goes, the disk holds the old graph or the new one; what was acknowledged is the new one.

With any one of the waits left out, the same search finds a state that breaks this: the controls.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest

from pkgraph.errors import SnapshotDamaged, SnapshotMissing
from pkgraph.snapshot import CompiledGraph, open_published, rollback, verify
from tests.faults.powercut import Disk, Op, Recorder, Tree, digest_of, read_tree, write_tree
from tests.published import CREATED_AT, graph_of, publish_shop

N_CUTS = 3_000
"""Power cuts a scenario; four scenarios."""

BROKEN = "nothing readable"


@dataclass
class Scenario:
    """What a publisher did to a disk, and what may be read afterwards.

    Attributes:
        before: Id that was served; None where nothing was.
        after: Id that is served from then on.
    """

    start: Tree
    ops: list[Op]
    contents: list[bytes]
    before: str | None
    after: str
    folder: Path
    seen: dict[str, str | None] = field(default_factory=dict)

    def _matters(self, path: str) -> bool:
        """Commits, and the two snapshots one of which must be served: what else is there is no excuse."""
        folder = re.match(r"graph/snapshots/\d+-(\w+)", path)
        return (not folder and "/." not in path) or bool(folder and folder[1] in {self.before, self.after})

    @cached_property
    def acknowledged(self) -> int:
        """Number of operations after which the commit is on the disk."""
        last_link = max(i for i, op in enumerate(self.ops) if op[0] == "link")
        syncs = [i for i, op in enumerate(self.ops) if op[:2] == ("fsync", "graph/commits") and i > last_link]
        return syncs[0] + 1

    def read(self, tree: Tree) -> str | None:
        """Id that a reader serves from a disk; looked up where an equal one was read before."""
        shown = {path: content for path, content in tree.items() if self._matters(path)}
        key = digest_of(shown)
        if key not in self.seen:
            base = self.folder / f"state-{len(self.seen)}"
            write_tree(base, shown)
            self.seen[key] = served(base / "graph")
        return self.seen[key]

    def cuts(self, n: int, without: Callable[[Op], bool]) -> Iterator[tuple[int, Tree]]:
        """Power cuts, a third of them after the last operation: how many were done, and what is left."""
        chance = random.Random(n)  # noqa: S311
        last = len(self.ops)
        moments = sorted(
            chance.choice((chance.randrange(last), chance.randrange(last), last)) for _ in range(n)
        )
        disk, done = Disk(self.start), 0
        for moment in moments:
            for op in self.ops[done:moment]:
                if not without(op):
                    disk.apply(op, self.contents)
            done = moment
            yield done, disk.left(chance)

    def violations(self, n: int, without: Callable[[Op], bool] = lambda _: False) -> Iterator[str]:
        for number, (done, tree) in enumerate(self.cuts(n, without)):
            found = self.read(tree)
            allowed = {self.after} if done >= self.acknowledged else {self.before, self.after}
            if found not in allowed:
                yield f"cut {number}, after {done} of {len(self.ops)} operations: {found}"


def served(root: Path) -> str | None:
    try:
        return open_published(root, verify=True).snapshot_id
    except SnapshotMissing:
        return None
    except SnapshotDamaged:
        return BROKEN


def first_publish(graph: Path, compiled: CompiledGraph) -> Callable[[], object]:
    return lambda: publish_shop(graph, compiled, version="new")


def later_publish(graph: Path, compiled: CompiledGraph) -> Callable[[], object]:
    publish_shop(graph, compiled, version="old")
    return lambda: publish_shop(graph, compiled, version="new")


def publish_with_cleaning(graph: Path, compiled: CompiledGraph) -> Callable[[], object]:
    for version in ("1", "2", "3"):
        publish_shop(graph, compiled, version=version)
    (graph / "snapshots" / ".tmp-9").mkdir()  # a dead publisher's
    return lambda: publish_shop(graph, compiled, version="new")


def going_back(graph: Path, compiled: CompiledGraph) -> Callable[[], object]:
    publish_shop(graph, compiled, version="1")
    publish_shop(graph, compiled, version="2")
    return lambda: rollback(graph, 1, created_at=CREATED_AT)


SCENARIOS = (first_publish, later_publish, publish_with_cleaning, going_back)


@pytest.fixture(scope="module", params=SCENARIOS, ids=lambda one: one.__name__)
def scenario(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    base = tmp_path_factory.mktemp("disk")
    work = request.param(base / "graph", graph_of())
    before, start = served(base / "graph"), read_tree(base)
    recorder = Recorder(base)
    with recorder.recording():
        work()
    after = served(base / "graph")
    assert after is not None
    folder = tmp_path_factory.mktemp("states")
    found = Scenario(start, recorder.ops, recorder.contents, before, after, folder)
    _the_record_is_complete(found, base)
    return found


def _the_record_is_complete(scenario: Scenario, base: Path) -> None:
    """Everything applied and everything kept is the disk as it is."""
    disk = Disk(scenario.start)
    for op in scenario.ops:
        disk.apply(op, scenario.contents)
    assert disk.left(random.Random(0), share=1.0) == read_tree(base)  # noqa: S311


def test_no_power_cut_leaves_anything_but_the_old_graph_or_the_new_one(scenario: Scenario) -> None:
    found = list(itertools.islice(scenario.violations(N_CUTS), 3))
    print(f"{N_CUTS} power cuts over {len(scenario.ops)} operations, {len(scenario.seen)} states to read")
    assert found == []


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_hundred_thousand_power_cuts_do_not_either(scenario: Scenario) -> None:
    found = list(itertools.islice(scenario.violations(100_000), 3))
    print(f"100000 power cuts over {len(scenario.ops)} operations, {len(scenario.seen)} states to read")
    assert found == []


def test_a_kill_between_any_two_changes_leaves_the_old_graph_until_the_commit_and_then_the_new_one(
    scenario: Scenario,
) -> None:
    """A kill loses nothing that was done: every beginning of what the publisher did, not drawn but all."""
    disk, committed = Disk(scenario.start), max(i for i, op in enumerate(scenario.ops) if op[0] == "link")
    for done, op in enumerate(scenario.ops):
        disk.apply(op, scenario.contents)
        found = scenario.read(disk.left(random.Random(0), share=1.0))  # noqa: S311
        assert found == (scenario.after if done >= committed else scenario.before), f"killed after {op}"
    print(f"{len(scenario.ops)} kills, {committed} before the commit")


WAITS = {
    "array files": r"graph/snapshots/\.tmp-\d+/.*\.arr",
    "manifest": r"graph/snapshots/\.tmp-\d+/MANIFEST\.json",
    "folder of the snapshot": r"graph/snapshots/\.tmp-\d+",
    "folder of snapshots": r"graph/snapshots",
    "commit": r"graph/commits/\.tmp-\d+",
    "folder of commits": r"graph/commits",
}


@pytest.mark.parametrize("name", sorted(WAITS))
def test_without_one_of_the_waits_a_power_cut_breaks_it(name: str, later: Scenario) -> None:
    pattern = re.compile(WAITS[name])
    left_out = [op for op in later.ops if op[0] == "fsync" and pattern.fullmatch(op[1])]
    found = next(later.violations(500, lambda op: op in left_out), None)
    print(f"without the wait for the {name}: {found}")
    assert left_out
    assert found is not None


def test_without_any_wait_a_power_cut_breaks_it_often(later: Scenario) -> None:
    found = list(later.violations(300, lambda op: op[0] == "fsync"))
    print(f"without any wait: {len(found)} of 300 power cuts leave something else")
    assert len(found) > 30


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    base = tmp_path_factory.mktemp("disk")
    work = later_publish(base / "graph", graph_of())
    before, start = served(base / "graph"), read_tree(base)
    recorder = Recorder(base)
    with recorder.recording():
        work()
    after = served(base / "graph")
    assert after is not None
    return Scenario(start, recorder.ops, recorder.contents, before, after, tmp_path_factory.mktemp("states"))


def test_after_a_power_cut_the_next_publisher_needs_no_help_and_leaves_no_rubbish(
    scenario: Scenario, tmp_path: Path
) -> None:
    compiled = graph_of()
    for number, (_, tree) in enumerate(scenario.cuts(4, lambda _: False)):
        base = tmp_path / str(number)
        write_tree(base, tree)
        done = publish_shop(base / "graph", compiled, version="next")
        assert verify(done.path).snapshot_id == done.snapshot_id == served(base / "graph")
        assert not list(base.rglob(".tmp-*"))
        assert len(list((base / "graph" / "snapshots").iterdir())) <= 3
