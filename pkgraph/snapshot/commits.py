"""Which snapshot is served: commits are numbered files that name a snapshot, the newest readable one counts.

root/commits/00000000000000000007.json    names snapshots/7-1f0c2b7d9a3e, what the gate saw, and its parent
root/snapshots/7-1f0c2b7d9a3e/            the arrays and their manifest
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkgraph.errors import InputError, SnapshotDamaged, SnapshotMissing
from pkgraph.model import GateReport
from pkgraph.snapshot.manifest import MANIFEST_NAME, unsealed
from pkgraph.snapshot.reader import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMIT = re.compile(r"\d{20}\.json")
_CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,39}")
_FOLDER = re.compile(r"\d+-[0-9a-f]{12}")

MIN_ID = 6
"""Characters of a snapshot's id that name it; fewer could be meant as a number."""


@dataclass(frozen=True, slots=True)
class Record:
    """One commit.

    Attributes:
        sequence: The order of commits, from 1; the time is information only.
        action: "publish", "rollback" or "promote".
        parent: Sequence of the commit that was served before; None for the first.
        manifest_sha256: Digest of the manifest that was committed.
        gate: What the gate saw on the committed bytes.
        path: Folder of the snapshot.
        base: In a channel, the snapshot that the main one served then; None where nothing was, or in the
            main one.
    """

    sequence: int
    action: str
    snapshot_id: str
    parent: int | None
    created_at: str
    manifest_sha256: str
    gate: GateReport
    path: Path
    base: str | None = None

    @property
    def is_present(self) -> bool:
        """Old snapshots are removed, their commits stay as history."""
        return (self.path / MANIFEST_NAME).is_file()


def commits_folder(root: Path) -> Path:
    return root / "commits"


def snapshots_folder(root: Path) -> Path:
    return root / "snapshots"


def channel_root(root: Path, channel: str | None) -> Path:
    """Folder of a channel's own commits and snapshots, which nobody reads who does not name it.

    Args:
        root: Folder of the main channel.
        channel: Lower-case letters, digits and hyphens; None: the main one.

    Raises:
        InputError: It is no name.
    """
    if channel is None:
        return root
    if not _CHANNEL.fullmatch(channel):
        raise InputError(
            f"{channel!r} is no name of a channel.", remedy="Use up to 40 of a-z, 0-9 and hyphens."
        )
    return root / "channels" / channel


def commit_path(root: Path, sequence: int) -> Path:
    return commits_folder(root) / f"{sequence:020d}.json"


def sequences(root: Path) -> list[int]:
    """Numbers of all commit files, readable or not, newest first."""
    folder = commits_folder(root)
    # Names alone: servers look twice a second, and a Path for each of 8 000 commits takes as long again.
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208
    return sorted((int(name[:20]) for name in names if _COMMIT.fullmatch(name)), reverse=True)


def to_json(record: Record) -> dict[str, Any]:
    return {
        "format_version": 1,
        "sequence": record.sequence,
        "action": record.action,
        "snapshot": record.path.name,
        "snapshot_id": record.snapshot_id,
        "parent": record.parent,
        "created_at": record.created_at,
        "manifest_sha256": record.manifest_sha256,
        "gate": {"evaluated": dict(record.gate.evaluated), "broken": dict(record.gate.broken)},
        **({"base": record.base} if record.base else {}),
    }


def read_record(root: Path, sequence: int, *, draft: Path | None = None) -> Record:
    """One commit.

    Args:
        root: Folder of commits and snapshots.
        sequence: Its number.
        draft: File that is to become the commit; None: the commit itself.

    Raises:
        SnapshotDamaged: The file is missing, damaged, or not the commit its name says.
    """
    path = draft or commit_path(root, sequence)
    data = unsealed(path)
    try:
        folder = data["snapshot"]
        if data["sequence"] != sequence or not _FOLDER.fullmatch(folder):  # never a path out of the root
            raise SnapshotDamaged(f"{path} is damaged: it is another commit's.")
        return Record(
            sequence=sequence,
            action=data["action"],
            snapshot_id=data["snapshot_id"],
            parent=data["parent"],
            created_at=data["created_at"],
            manifest_sha256=data["manifest_sha256"],
            gate=GateReport(data["gate"]["evaluated"], data["gate"]["broken"]),
            path=snapshots_folder(root) / folder,
            base=data.get("base"),
        )
    except (KeyError, TypeError) as error:
        raise SnapshotDamaged(f"{path} lacks what a commit holds: {error}.") from error


def readable(root: Path) -> Iterator[Record]:
    """Every readable commit, newest first, read as it is asked for: there may be ten thousand."""
    for sequence in sequences(root):
        try:
            yield read_record(root, sequence)
        except SnapshotDamaged:
            continue


def snapshots(root: Path) -> list[Record]:
    """All readable commits, newest first; `is_present` says whether the snapshot is still there."""
    return list(readable(Path(root)))


def find_record(root: Path, target: int | str) -> Record:
    """The newest commit of a number, or of the beginning of a snapshot's id, whose snapshot is present.

    Raises:
        InputError: There is none; the remedy names those that are present.
    """
    text = str(target)
    if re.fullmatch("[0-9]{1,20}", text):  # a number is never taken for the beginning of an id
        with contextlib.suppress(SnapshotDamaged):
            record = read_record(Path(root), int(text))
            if record.is_present and text == str(record.sequence):
                return record
    present = (record for record in readable(Path(root)) if record.is_present)
    is_id = isinstance(target, str) and len(target) >= MIN_ID
    names = []
    for record in present:
        if is_id and record.snapshot_id.startswith(text):
            return record
        names.append(f"{record.sequence} ({record.snapshot_id})")
    raise InputError(f"There is no snapshot {target}.", remedy=f"Present: {', '.join(names) or 'none'}.")


def manifest_digest(path: Path) -> str:
    try:
        return hashlib.sha256((path / MANIFEST_NAME).read_bytes()).hexdigest()
    except OSError as error:
        raise SnapshotDamaged(f"{path / MANIFEST_NAME} cannot be read: {error.strerror}.") from error


def open_record(record: Record, *, verify: bool = False) -> Snapshot:
    """The snapshot of a commit.

    Raises:
        SnapshotMissing: Its folder was removed.
        SnapshotDamaged: It is not what was committed.
    """
    snapshot = Snapshot.open(record.path, verify=verify)
    if manifest_digest(record.path) != record.manifest_sha256:
        raise SnapshotDamaged(f"{record.path / MANIFEST_NAME} is not the one that was committed.")
    return dataclasses.replace(snapshot, record=record)


def open_published(root: Path, *, verify: bool = False) -> Snapshot:
    """The newest readable snapshot; `skipped` says why newer ones were passed over.

    Raises:
        SnapshotMissing: Nothing was ever published here.
        SnapshotDamaged: No commit leads to a readable snapshot.
    """
    root = Path(root)
    for _ in range(3):  # a publisher may remove old snapshots while this walks down; then look again
        known = sequences(root)
        if not known:
            raise SnapshotMissing(f"Nothing is published at {root}.", remedy="Run `pkgraph build` first.")
        skipped: list[str] = []
        passing: BaseException | None = None
        for sequence in known:
            try:
                snapshot = open_record(read_record(root, sequence), verify=verify)
            except (SnapshotDamaged, SnapshotMissing) as error:
                skipped.append(f"commit {sequence}: {error.what}")
                if isinstance(error, SnapshotDamaged) and error.may_pass:
                    passing = error.__cause__
                continue
            return dataclasses.replace(snapshot, skipped=tuple(skipped), is_stopgap=passing is not None)
        if sequences(root) == known:
            break
    raise SnapshotDamaged(
        f"No snapshot at {root} can be read: {skipped[0]}", remedy="Run `pkgraph build` to publish again."
    ) from passing


def current(root: Path) -> Record | None:
    """The commit that is served; None where nothing readable is published."""
    try:
        return open_published(root).record
    except (SnapshotMissing, SnapshotDamaged):
        return None
