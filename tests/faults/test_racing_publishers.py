"""Publishers that race share one history: what was acknowledged is there, under a number of its own.

The control commits by looking whether a number is free and renaming onto it, and loses commits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pkgraph.errors import PublishConflict
from pkgraph.snapshot import CompiledGraph, rollback, snapshots
from pkgraph.snapshot.commits import sequences
from tests.faults.children import ended, start
from tests.figures import Figure
from tests.published import CREATED_AT, graph_of, publish_shop

Work = Callable[[int, int], int | None]
"""Publisher and how many it has done, to the number of its commit; None: another one was first."""


def raced(work: Work, n_publishers: int, n_each: int, folder: Path) -> list[int]:
    """Numbers that were acknowledged to publishers in processes of their own, in order."""

    def publish(publisher: int) -> None:
        numbers: list[int] = []
        while len(numbers) < n_each:
            number = work(publisher, len(numbers))
            if number is None:
                time.sleep(0.005)
            else:
                numbers.append(number)
        (folder / f"acknowledged-{publisher}.json").write_text(json.dumps(numbers))

    children = [start(partial(publish, publisher), 2_500) for publisher in range(n_publishers)]
    assert [ended(child) for child in children] == [0] * n_publishers
    told = [json.loads(file.read_text()) for file in folder.glob("acknowledged-*.json")]
    return sorted(number for numbers in told for number in numbers)


def test_snapshots_of_racing_publishers_are_all_published(memory_path: Path) -> None:
    compiled, root = graph_of(), memory_path / "graph"
    numbers = raced(partial(_publish, root, compiled), 3, 4, memory_path)
    records = snapshots(root)
    assert numbers == list(range(1, 13))
    assert sequences(root) == numbers[::-1]
    assert len({record.snapshot_id for record in records}) == 12
    assert [record.parent for record in records] == [*range(11, 0, -1), None]
    assert len(list((root / "snapshots").iterdir())) == 3


def _publish(root: Path, compiled: CompiledGraph, publisher: int, done: int) -> int | None:
    try:
        return publish_shop(root, compiled, version=f"{publisher}-{done}").sequence
    except PublishConflict:
        return None


@pytest.mark.parametrize(
    "n_each", [3, pytest.param(1_000, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])]
)
def test_commits_of_eight_publishers_have_no_gap_and_none_is_lost(
    n_each: int, memory_path: Path, figure: Figure
) -> None:
    root = memory_path / "graph"
    publish_shop(root, version="1")
    publish_shop(root, version="2")
    numbers = raced(partial(_go_back, root), 8, n_each, memory_path)
    assert numbers == list(range(3, 8 * n_each + 3))
    assert sequences(root) == [*numbers[::-1], 2, 1]
    assert [record.parent for record in snapshots(root)] == [*range(8 * n_each + 1, 0, -1), None]
    figure(f"{len(numbers)} commits by 8 publishers, none lost, no gap")


def _go_back(root: Path, publisher: int, done: int) -> int | None:
    try:
        return rollback(root, 1 + (publisher + done) % 2, created_at=CREATED_AT).sequence
    except PublishConflict:
        return None


@pytest.mark.parametrize(
    "n_each", [5, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])]
)
def test_where_no_lock_holds_what_was_acknowledged_is_there_all_the_same(
    n_each: int, monkeypatch: pytest.MonkeyPatch, memory_path: Path, figure: Figure
) -> None:
    """A share whose locks do nothing: those who go back disturb one another; the exclusive commit decides."""
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    root = memory_path / "graph"
    publish_shop(root, version="1")
    publish_shop(root, version="2")
    numbers = raced(partial(_go_back_without_a_lock, root), 8, n_each, memory_path)
    said = [json.loads(line) for file in root.glob("said-*") for line in file.read_text().splitlines()]
    there = {record.created_at: record.sequence for record in snapshots(root)}
    assert sorted(number for _, number in said) == numbers
    assert [name for name, number in said if there.get(name) != number] == []
    figure(f"{len(numbers)} commits by 8 publishers whose locks do nothing, none lost and none another's")


def _go_back_without_a_lock(root: Path, publisher: int, done: int) -> int | None:
    """As `_go_back`; what was acknowledged under which name is noted as a line."""
    name = f"publisher {publisher}, {done}"
    try:
        number = rollback(root, 1 + (publisher + done) % 2, created_at=name).sequence
    except (PublishConflict, OSError):  # OSError: another one cleaned up under it
        return None
    with (root / f"said-{publisher}").open("a") as file:
        file.write(json.dumps([name, number]) + "\n")
    return number


def test_a_number_that_is_looked_up_and_renamed_onto_is_given_twice(
    memory_path: Path, figure: Figure
) -> None:
    """The control: the race is one that a plainer protocol loses."""
    root = memory_path / "commits"
    root.mkdir()
    numbers = raced(partial(_look_and_rename, root), 8, 25, memory_path)
    lost = len(numbers) - len(set(numbers))
    figure(f"check and rename: of {len(numbers)} acknowledged commits {lost} were overwritten by another")
    assert len(list(root.glob("*.json"))) == len(set(numbers))
    assert lost > 0


def _look_and_rename(root: Path, publisher: int, done: int) -> int | None:
    draft = root / f".tmp-{publisher}"
    draft.write_text(f"{publisher} {done}")
    number = 1 + max((int(path.stem) for path in root.glob("*.json")), default=0)
    if (root / f"{number}.json").exists():
        return None
    time.sleep(0.001)  # a busy machine takes the processor away here sooner or later
    draft.rename(root / f"{number}.json")
    return number
