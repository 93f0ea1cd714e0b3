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
    commits_folder,
    read_record,
    sequences,
    snapshots_folder,
)
from pkgraph.snapshot.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def remove_leftovers(root: Path) -> None:
    """Remove half-written folders, and snapshots whose publisher died before the commit."""
    for draft in commits_folder(root).glob(".tmp-*"):
        draft.unlink()
    strays = {folder.name: folder for folder in snapshots_folder(root).iterdir()}
    unread = 0
    for sequence, record in _commits(root):  # the newest name all that is there, as a rule: few are read
        if record is None:
            unread = max(unread, sequence)
        else:
            strays.pop(record.path.name, None)
        if all(name.startswith(".tmp-") for name in strays):
            break
    for name, folder in strays.items():
        if name.startswith(".tmp-") or not _may_be_named_by(unread, name):
            shutil.rmtree(folder)


def _commits(root: Path) -> Iterator[tuple[int, Record | None]]:
    """Every commit, newest first; None where it cannot be read now, for one reason or another."""
    for sequence in sequences(root):
        try:
            yield sequence, read_record(root, sequence)
        except SnapshotDamaged:
            yield sequence, None


def _may_be_named_by(sequence: int, name: str) -> bool:
    """Whether a commit that could not be read may name a snapshot: none names one that was made after it.

    A disk that fails to read a commit once must not cost the snapshot.
    """
    number = name.partition("-")[0]
    return number.isdecimal() and int(number) <= sequence


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
    """Remove all but the newest `keep` distinct snapshots and held ones; commits stay as history.

    A commit that cannot be read may name any snapshot: until as many newer ones are there, nothing goes.
    """
    commits = list(_commits(root))
    records = [record for _, record in commits if record is not None]
    staying = kept(records, keep)
    if any(record is None for _, record in _until_named(commits, staying)):
        return
    # A folder without a manifest is one whose removal was interrupted.
    for name in {record.path.name for record in records if record.path.is_dir()} - staying:
        folder = snapshots_folder(root) / name
        if is_held(folder):
            continue
        folder.rename(folder.with_name(f".tmp-{name}"))  # gone at once for new readers
        shutil.rmtree(folder.with_name(f".tmp-{name}"))


def _until_named(
    commits: list[tuple[int, Record | None]], names: set[str]
) -> Iterator[tuple[int, Record | None]]:
    """The newest commits, as many as it takes to name all of these snapshots."""
    missing = set(names)
    for sequence, record in commits:
        if not missing:
            return
        yield sequence, record
        missing -= {record.path.name} if record else set()
