"""A publisher killed at any moment leaves the old graph or the new one, and the next publisher cleans up."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pkgraph.snapshot import snapshots, verify
from pkgraph.snapshot.publishing import MOMENTS
from tests.faults.changes import served
from tests.faults.children import KILLED, ended, start
from tests.published import graph_of, publish_shop

COMMITTED = {"linked", "committed", "cleaned"}
"""From the link on, readers see the new graph."""


def killed_at(moment: str, nth: int = 1) -> Callable[[str], None]:
    passed: list[str] = []

    def kill(name: str) -> None:
        passed.append(name)
        if name == moment and passed.count(moment) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("is_first", [True, False], ids=["first publish", "later publish"])
def test_a_killed_publisher_leaves_the_old_graph_or_the_new_one(
    moment: str, is_first: bool, tmp_path: Path
) -> None:
    compiled, reference = graph_of(), publish_shop(tmp_path / "reference", version="new")
    root = tmp_path / "graph"
    old = None if is_first else publish_shop(root, compiled, version="old").snapshot_id
    kill = killed_at(moment)
    assert ended(start(lambda: publish_shop(root, compiled, version="new", moment=kill))) == KILLED
    assert served(root) == (reference.snapshot_id if moment in COMMITTED else old)
    after = publish_shop(root, compiled, version="new")
    assert after.is_new == (moment not in COMMITTED)
    assert served(root) == reference.snapshot_id
    assert verify(after.path).snapshot_id == reference.snapshot_id
    assert not list(root.rglob(".tmp-*"))
    assert {path.name for path in (root / "snapshots").iterdir()} == {r.path.name for r in snapshots(root)}


@pytest.mark.parametrize("nth", [2, 17, 40])
def test_a_publisher_killed_between_two_files_leaves_the_old_graph(nth: int, tmp_path: Path) -> None:
    compiled = graph_of()
    old = publish_shop(tmp_path, compiled, version="old")
    for _ in range(3):
        kill = killed_at("file_written", nth)
        assert ended(start(partial(publish_shop, tmp_path, compiled, version="new", moment=kill))) == KILLED
    assert served(tmp_path) == old.snapshot_id
    assert len(list((tmp_path / "snapshots").iterdir())) == 2  # the old one and one left-over, not three


def test_what_was_acknowledged_is_served(tmp_path: Path) -> None:
    compiled = graph_of()
    assert ended(start(lambda: publish_shop(tmp_path, compiled))) == 0
    assert served(tmp_path) is not None
