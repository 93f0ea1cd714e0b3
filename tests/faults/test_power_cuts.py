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

from pkgraph.snapshot import verify
from tests.faults.changes import CHANGES, LATER, PULLING, Change, served
from tests.faults.powercut import Disk, Op, Recorder, Tree, digest_of, read_tree, write_tree
from tests.figures import Figure
from tests.published import graph_of, publish_shop

N_CUTS = 2_000
"""Power cuts a change; six changes."""

N_CUTS_SLOW = 170_000
"""A million in all."""


@dataclass
class Recorded:
    """What a publisher did to a disk, and what may be read afterwards.

    Attributes:
        before: Id that was served; None where nothing was.
        after: Id that is served from then on.
    """

    name: str
    start: Tree
    ops: list[Op]
    contents: list[bytes]
    before: str | None
    after: str
    folder: Path
    seen: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, change: Change, folder: Path) -> Recorded:
        base, compiled = folder / "disk", graph_of()
        base.mkdir()
        change.prepare(base / "graph", compiled)
        before, start = served(base / "graph"), read_tree(base)
        recorder = Recorder(base)
        with recorder.recording():
            change.work(base / "graph", compiled)
        after = served(base / "graph")
        assert after is not None
        found = cls(change.name, start, recorder.ops, recorder.contents, before, after, folder)
        # The record is complete: everything applied and everything kept is the disk as it is.
        assert found.killed_after(len(found.ops)) == read_tree(base)
        return found

    def killed_after(self, n: int) -> Tree:
        """A kill loses nothing that was done: the disk after so many operations."""
        disk = Disk(self.start)
        for op in self.ops[:n]:
            disk.apply(op, self.contents)
        return disk.left(random.Random(0), share=1.0)  # noqa: S311

    def _matters(self, path: str) -> bool:
        """Commits, and the two snapshots one of which must be served: what else is there is no excuse."""
        folder = re.match(r"graph/snapshots/\d+-(\w+)", path)
        return (not folder and "/." not in path) or bool(folder and folder[1] in {self.before, self.after})

    @cached_property
    def committed(self) -> int:
        """The operation from which on readers see the new graph."""
        return max(i for i, op in enumerate(self.ops) if op[0] == "link")

    @cached_property
    def acknowledged(self) -> int:
        """Number of operations after which the commit is on the disk."""
        syncs = [i for i, op in enumerate(self.ops) if op[:2] == ("fsync", "graph/commits")]
        return min(i for i in syncs if i > self.committed) + 1

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


@pytest.fixture(scope="module", params=CHANGES, ids=lambda one: one.name)
def recorded(request: pytest.FixtureRequest, module_memory_path: Path) -> Recorded:
    folder = module_memory_path / request.param.name
    folder.mkdir()
    return Recorded.of(request.param, folder)


@pytest.fixture(scope="module")
def later(module_memory_path: Path) -> Recorded:
    folder = module_memory_path / "later"
    folder.mkdir()
    return Recorded.of(LATER, folder)


@pytest.mark.parametrize(
    "n", [N_CUTS, pytest.param(N_CUTS_SLOW, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])]
)
def test_no_power_cut_leaves_anything_but_the_old_graph_or_the_new_one(
    n: int, recorded: Recorded, figure: Figure
) -> None:
    found = list(itertools.islice(recorded.violations(n), 3))
    n_ops, n_states = len(recorded.ops), len(recorded.seen)
    figure(f"{recorded.name}: {n} power cuts, {n_ops} operations, {n_states} states, {len(found)} violations")
    assert found == []


def test_a_kill_between_any_two_changes_leaves_the_old_graph_until_the_commit_and_then_the_new_one(
    recorded: Recorded, figure: Figure
) -> None:
    """Every beginning of what the publisher did, not drawn but all."""
    disk = Disk(recorded.start)
    for done, op in enumerate(recorded.ops):
        disk.apply(op, recorded.contents)
        found = recorded.read(disk.left(random.Random(0), share=1.0))  # noqa: S311
        expected = recorded.after if done >= recorded.committed else recorded.before
        assert found == expected, f"killed after {op}"
    n_ops = len(recorded.ops)
    figure(
        f"{recorded.name}: killed after each of {n_ops} operations, {recorded.committed} before the commit"
    )


WAITS = {
    "array files": r"graph/snapshots/\.tmp-\d+/.*\.arr",
    "manifest": r"graph/snapshots/\.tmp-\d+/MANIFEST\.json",
    "folder of the snapshot": r"graph/snapshots/\.tmp-\d+",
    "folder of snapshots": r"graph/snapshots",
    "commit": r"graph/commits/\.tmp-\d+-\d+",
    "folder of commits": r"graph/commits",
}


@pytest.mark.parametrize("name", sorted(WAITS))
def test_without_one_of_the_waits_a_power_cut_breaks_it(name: str, later: Recorded, figure: Figure) -> None:
    pattern = re.compile(WAITS[name])
    left_out = [op for op in later.ops if op[0] == "fsync" and pattern.fullmatch(op[1])]
    found = next(later.violations(500, lambda op: op in left_out), None)
    figure(f"control, without the wait for the {name}: {found}")
    assert left_out
    assert found is not None


def test_without_any_wait_a_power_cut_breaks_it_often(later: Recorded, figure: Figure) -> None:
    found = list(later.violations(300, lambda op: op[0] == "fsync"))
    figure(f"control, without any wait: {len(found)} of 300 power cuts leave something else")
    assert len(found) > 30


def test_after_a_power_cut_the_next_publisher_needs_no_help_and_leaves_no_rubbish(
    recorded: Recorded, memory_path: Path
) -> None:
    compiled = graph_of()
    for number, (_, tree) in enumerate(recorded.cuts(4, lambda _: False)):
        base = memory_path / str(number)
        write_tree(base, tree)
        done = publish_shop(base / "graph", compiled, version="next")
        assert verify(done.path).snapshot_id == done.snapshot_id == served(base / "graph")
        assert not list((base / "graph").glob("*/.tmp-*"))
        assert len(list((base / "graph" / "snapshots").iterdir())) <= 3


def taken_up(first: Recorded, n: int, change: Change, folder: Path) -> Recorded:
    """One was killed after so many operations, and another one did the same again."""
    folder.mkdir()
    base, compiled = folder / "disk", graph_of()
    write_tree(base, first.killed_after(n))
    recorder = Recorder(base, ops=first.ops[:n], contents=list(first.contents))
    with recorder.recording():
        change.work(base / "graph", compiled)
    ops, contents = recorder.ops, recorder.contents
    return Recorded(first.name, first.start, ops, contents, first.before, first.after, folder)


@pytest.mark.parametrize("change", [LATER, PULLING], ids=lambda one: one.name)
def test_what_is_taken_up_from_a_killed_publisher_is_on_the_disk_when_it_is_said_to_be(
    change: Change, memory_path: Path, figure: Figure
) -> None:
    """What was written and never waited for looks like what is safe, until the power goes."""
    first = Recorded.of(change, memory_path)
    around = range(first.committed - 6, len(first.ops) + 1)
    places = (*range(1, first.committed - 6, 40), *around)
    for n in places:
        both = taken_up(first, n, change, memory_path / str(n))
        disk, chance = Disk(both.start), random.Random(n)  # noqa: S311
        for op in both.ops:
            disk.apply(op, both.contents)
        for _ in range(20):
            assert both.read(disk.left(chance)) == first.after, f"killed after {first.ops[:n][-1:]}"
    figure(f"{change.name}: killed at {len(places)} places and done again, 20 power cuts each, 0 violations")
