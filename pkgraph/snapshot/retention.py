"""Removing what is no longer needed: left-overs of dead publishers, and old snapshots.

Files are unlinked, never cut or rewritten: a reader that has them mapped keeps reading.
Both functions run under the publisher's lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from typing import TYPE_CHECKING

from pkgraph.snapshot.commits import Record, commits_folder, sequences, snapshots, snapshots_folder
from pkgraph.snapshot.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from pathlib import Path


def remove_leftovers(root: Path) -> None:
    """Remove half-written folders, and snapshots whose publisher died before the commit."""
    for draft in commits_folder(root).glob(".tmp-*"):
        draft.unlink()
    readable = snapshots(root)
    named = {record.path.name for record in readable}
    # A commit that cannot be read still protects the snapshot that was made for it.
    unreadable = {str(number) for number in sequences(root)} - {str(record.sequence) for record in readable}
    for folder in list(snapshots_folder(root).iterdir()):
        is_committed = folder.name in named or folder.name.partition("-")[0] in unreadable
        if folder.name.startswith(".tmp-") or not is_committed:
            shutil.rmtree(folder)


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
