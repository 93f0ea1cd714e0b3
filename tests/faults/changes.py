"""What can change a published graph, each as a test may do it again and again in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pkgraph.errors import SnapshotDamaged, SnapshotMissing
from pkgraph.snapshot import CompiledGraph, open_published, promote, rollback
from pkgraph.snapshot.commits import channel_root
from pkgraph.snapshot.remote import pull, push
from tests.published import CREATED_AT, publish_shop

BROKEN = "nothing readable"


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Attributes:
        prepare: Makes what was there before it.
        work: The change itself.
    """

    name: str
    prepare: Callable[[Path, CompiledGraph], object]
    work: Callable[[Path, CompiledGraph], object]


def _publish(root: Path, compiled: CompiledGraph) -> object:
    return publish_shop(root, compiled, version="new")


def _nothing(root: Path, compiled: CompiledGraph) -> None:
    pass


def _one(root: Path, compiled: CompiledGraph) -> None:
    publish_shop(root, compiled, version="1")


def _two(root: Path, compiled: CompiledGraph) -> None:
    _one(root, compiled)
    publish_shop(root, compiled, version="2")


def _three_and_a_dead_publisher(root: Path, compiled: CompiledGraph) -> None:
    _two(root, compiled)
    publish_shop(root, compiled, version="3")
    (root / "snapshots" / ".tmp-9").mkdir()
    (root / "snapshots" / ".tmp-9" / "x.arr").write_bytes(b"x")


def _one_and_a_candidate(root: Path, compiled: CompiledGraph) -> None:
    first = publish_shop(root, compiled, version="1")
    publish_shop(channel_root(root, "next"), compiled, version="new", base=first.snapshot_id)


def _store(root: Path) -> Path:
    return root.parent / "store"


def _one_and_a_store(root: Path, compiled: CompiledGraph) -> None:
    elsewhere = root.parent / "elsewhere"
    _one(elsewhere, compiled)
    _store(root).mkdir()
    push(elsewhere, _store(root).as_uri())
    pull(root, _store(root).as_uri())
    publish_shop(elsewhere, compiled, version="new")
    push(elsewhere, _store(root).as_uri())
    shutil.rmtree(elsewhere)


FIRST = Change("first publish", _nothing, _publish)
LATER = Change("later publish", _one, _publish)
CLEANING = Change("publish with clean-up", _three_and_a_dead_publisher, _publish)
GOING_BACK = Change("going back", _two, lambda root, _: rollback(root, 1, created_at=CREATED_AT))
PROMOTING = Change(
    "promoting", _one_and_a_candidate, lambda root, _: promote(root, "next", created_at=CREATED_AT)
)
PULLING = Change("pulling", _one_and_a_store, lambda root, _: pull(root, _store(root).as_uri()))
CHANGES = (FIRST, LATER, CLEANING, GOING_BACK, PROMOTING, PULLING)


def served(root: Path) -> str | None:
    """Id of what a reader that checks every byte would serve; None where nothing was published."""
    try:
        return open_published(root, verify=True).snapshot_id
    except SnapshotMissing:
        return None
    except SnapshotDamaged:
        return BROKEN
