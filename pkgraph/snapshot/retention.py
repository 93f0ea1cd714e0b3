"""Removing what is no longer needed: left-overs of dead publishers, and old snapshots.

Files are unlinked, never cut or rewritten: a reader that has them mapped keeps reading.
Both functions run under the publisher's lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from typing import TYPE_CHECKING

from pkgraph.errors import SnapshotDamaged
from pkgraph.snapshot.commits import (
    Record,
    commit_path,
    commits_folder,
    read_record,
    readable,
    snapshots,
    snapshots_folder,
)
from pkgraph.snapshot.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from pathlib import Path


def remove_leftovers(root: Path) -> None:
    """Remove half-written folders, and snapshots whose publisher died before the commit."""
    for draft in commits_folder(root).glob(".tmp-*"):
        draft.unlink()
    strays = {folder.name: folder for folder in snapshots_folder(root).iterdir()}
    for record in readable(root):  # the newest commits name all that is there, as a rule: few are read
        strays.pop(record.path.name, None)
        if all(name.startswith(".tmp-") for name in strays):
            break
    for name, folder in strays.items():
        if name.startswith(".tmp-") or not _is_of_a_damaged_commit(root, name):
            shutil.rmtree(folder)


def _is_of_a_damaged_commit(root: Path, name: str) -> bool:
    """Whether the commit that it was made for is there and cannot be read: that still protects it."""
    number = name.partition("-")[0]
    if not number.isdecimal() or not commit_path(root, int(number)).exists():
        return False
    try:
        read_record(root, int(number))
    except SnapshotDamaged:
        return True
    return False


def hold(folder: Path) -> None:
    """Keep a snapshot from being removed until this process ends: a pinned reader starts again on it.

    The hold is a shared lock on its manifest, so a reader that was killed holds nothing.
    """
    descriptor = os.open(folder / MANIFEST_NAME, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # the descriptor is left open on purpose


def is_held(folder: Path) -> bool:
    """Whether a reader holds a snapshot."""
    try:
        descriptor = os.open(folder / MANIFEST_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def kept(records: list[Record], keep: int) -> set[str]:
    """Folder names of the newest `keep` distinct snapshots that are present."""
    names = dict.fromkeys(record.path.name for record in records if record.is_present)
    return set(list(names)[:keep])


def remove_old(root: Path, *, keep: int) -> None:
    """Remove all but the newest `keep` distinct snapshots and held ones; commits stay as history."""
    records = snapshots(root)
    staying = kept(records, keep)
    # A folder without a manifest is one whose removal was interrupted.
    for name in {record.path.name for record in records if record.path.is_dir()} - staying:
        folder = snapshots_folder(root) / name
        if is_held(folder):
            continue
        folder.rename(folder.with_name(f".tmp-{name}"))  # gone at once for new readers
        shutil.rmtree(folder.with_name(f".tmp-{name}"))
