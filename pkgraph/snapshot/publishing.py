"""Publishing: write, re-read, judge, rename, commit. A reader sees exactly the old or exactly the new graph.

The commit is the exclusive creation of a numbered file (`os.link`): only one of two publishers gets it.
The lock in front of it is for manners, and so that left-overs under it are known to belong to the dead.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkgraph.errors import GateRefused, PublishConflict, SnapshotDamaged, SnapshotMissing
from pkgraph.model import GateReport
from pkgraph.snapshot.commits import (
    Record,
    channel_root,
    commit_path,
    commits_folder,
    current,
    find_record,
    manifest_digest,
    open_record,
    read_record,
    sequences,
    snapshots,
    snapshots_folder,
    to_json,
)
from pkgraph.snapshot.layout import CompiledGraph
from pkgraph.snapshot.manifest import Manifest, sealed
from pkgraph.snapshot.reader import Snapshot
from pkgraph.snapshot.retention import remove_leftovers, remove_old
from pkgraph.snapshot.rules import RULES, judge_by_rules
from pkgraph.snapshot.writing import Moment, sync_folder, write_file, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

Judge = Callable[[Snapshot], GateReport]
"""Looks at the snapshot that was written and re-read, and says what it looked at and what is broken."""

MOMENTS = (
    "locked",
    "file_written",
    "manifest_written",
    "folder_synced",
    "judged",
    "renamed",
    "commit_written",
    "linked",
    "committed",
    "cleaned",
)
"""Names that `moment` is called with, in this order; `file_written` once a file."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a publisher gets back.

    Attributes:
        is_new: False where the served graph was the same already; then nothing was committed.
    """

    sequence: int
    snapshot_id: str
    path: Path
    gate: GateReport
    is_new: bool


def publish(
    root: Path,
    compiled: CompiledGraph,
    *,
    inputs: Mapping[str, Any],
    judge: Judge,
    created_at: str,
    keep: int = 3,
    base: str | None = None,
    moment: Moment = lambda _: None,
) -> Published:
    """Publish a graph under the gate.

    Args:
        root: Folder of commits and snapshots; made where it is missing.
        compiled: The graph.
        inputs: What the graph was made from, plain JSON: catalog, prompts, models, answers, labels,
            classifier, code, certificate, override. Part of the snapshot's identity.
        judge: The caller's part of the gate; the rules of the graph itself are always asked.
        created_at: When, as text; information only.
        keep: Distinct snapshots that stay, at least 3 whatever is said here.
        base: For a channel, the snapshot that the main one serves; `promote` asks whether it still does.
        moment: Called with the names of MOMENTS as they pass; tests kill the process there.

    Raises:
        GateRefused: A rule or the judge refused, or evaluated nothing. Nothing was committed.
        PublishConflict: Another publisher is at work or was first. Nothing was committed.
        SnapshotDamaged: What was read back is not what was written. Nothing was committed.
    """
    root = Path(root)
    with only_publisher(root):
        moment("locked")
        remove_leftovers(root)
        served = current(root)
        sequence = next(iter(sequences(root)), 0) + 1
        temporary = snapshots_folder(root) / f".tmp-{sequence}"
        try:
            manifest = write_snapshot(temporary, compiled, inputs, moment)
            del compiled  # where the caller let go of it too, judging takes its room
            gate = _judged(Snapshot.open(temporary, verify=True), judge)
            moment("judged")
            if served is not None and served.base == base and _is_the_same(served, manifest):
                return Published(served.sequence, served.snapshot_id, served.path, served.gate, is_new=False)
            path = _settle(root, temporary, sequence, manifest)
            moment("renamed")
            _check_as_judged(path, manifest)
            record = Record(
                sequence=sequence,
                action="publish",
                snapshot_id=manifest.snapshot_id,
                parent=served.sequence if served else None,
                created_at=created_at,
                manifest_sha256=manifest_digest(path),
                gate=gate,
                path=path,
                base=base,
            )
            _commit(root, record, moment)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):  # what stays now is removed by the next publisher
            remove_old(root, keep=max(3, keep))
        moment("cleaned")
    return Published(sequence, manifest.snapshot_id, path, gate, is_new=True)


def rollback(root: Path, target: int | str, *, created_at: str) -> Record:
    """Serve an old snapshot again, by a new commit that names it.

    Args:
        root: Folder of commits and snapshots.
        target: Sequence number of a commit, or the id of a snapshot, or its first characters.
        created_at: When, as text; information only.

    Raises:
        InputError: No such commit, or its snapshot was removed. Nothing changed.
        SnapshotDamaged: The old snapshot is damaged. Nothing changed.
        PublishConflict: Another publisher is at work or was first. Nothing changed.
    """
    root = Path(root)
    with only_publisher(root):
        remove_leftovers(root)
        found = find_record(root, target)
        open_record(found, verify=True)
        served = current(root)
        record = dataclasses.replace(
            found,
            sequence=sequences(root)[0] + 1,
            action="rollback",
            parent=served.sequence if served else None,
            created_at=created_at,
        )
        _commit(root, record, lambda _: None)
    return record


def promote(root: Path, channel: str, *, created_at: str, keep: int = 3) -> Published:
    """Serve what a channel serves: its files are verified and linked, not copied.

    It was judged against what the main channel served then, and is refused where that is another one now.

    Args:
        root: Folder of the main channel's commits and snapshots.
        channel: Name of the other one.
        created_at: When, as text; information only.
        keep: Distinct snapshots that stay, at least 3 whatever is said here.

    Raises:
        SnapshotMissing: Nothing was published to the channel. Nothing changed.
        SnapshotDamaged: Its newest snapshot is not what was committed. Nothing changed.
        PublishConflict: The main channel moved on since, or a publisher is at work. Nothing changed.
        GateRefused: It breaks a rule of this version. Nothing changed.
    """
    root = Path(root)
    with only_publisher(root):
        remove_leftovers(root)
        served = current(root)
        candidate = _newest_of(channel_root(root, channel), channel)
        if served is not None and _is_the_same(served, candidate.manifest):
            return Published(served.sequence, served.snapshot_id, served.path, served.gate, is_new=False)
        sequence = next(iter(sequences(root)), 0) + 1
        record = _promoted(candidate, served, channel)
        gate = _judged(candidate, lambda _: record.gate)
        temporary = snapshots_folder(root) / f".tmp-{sequence}"
        try:
            _link_files(candidate.path, temporary)
            path = _settle(root, temporary, sequence, candidate.manifest)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        promoted = dataclasses.replace(record, sequence=sequence, created_at=created_at, gate=gate, path=path)
        _commit(root, promoted, lambda _: None)
        with contextlib.suppress(OSError):
            remove_old(root, keep=max(3, keep))
    return Published(sequence, promoted.snapshot_id, path, gate, is_new=True)


def _newest_of(root: Path, channel: str) -> Snapshot:
    """The channel's newest commit, every byte compared; an older one is not what somebody looked at."""
    known = sequences(root)
    if not known:
        raise SnapshotMissing(
            f"Nothing is published to {channel}.", remedy=f"Run `pkgraph build --channel {channel}`."
        )
    return open_record(read_record(root, known[0]), verify=True)


def _promoted(candidate: Snapshot, served: Record | None, channel: str) -> Record:
    """The channel's commit as the next one of the main channel."""
    record = candidate.record
    if record is None or record.base != (served.snapshot_id if served else None):
        raise PublishConflict(
            f"Another snapshot is served than when {channel} was published, and its changes would be lost.",
            remedy=f"Run `pkgraph build --channel {channel}`, compare, and promote again.",
        )
    return dataclasses.replace(
        record, action="promote", parent=served.sequence if served else None, base=None
    )


def _link_files(source: Path, target: Path) -> None:
    target.mkdir()
    for file in source.iterdir():
        os.link(file, target / file.name)
    sync_folder(target)


@contextlib.contextmanager
def only_publisher(root: Path) -> Iterator[None]:
    """Be the only one who changes anything at a root.

    Raises:
        PublishConflict: Another one is at work.
    """
    for folder in (root, snapshots_folder(root), commits_folder(root)):
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)
    with (root / ".lock").open("a") as lock:  # never removed: removing a lock file lets two hold "the" lock
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PublishConflict(
                f"Another publisher is at work at {root}.", remedy="Publish again when it is done."
            ) from None
        # A commit that a killed publisher did not wait for is read like any other; what builds on it, or says
        # that it is published already, must not outlive it.
        sync_folder(commits_folder(root))
        yield


def _judged(candidate: Snapshot, judge: Judge) -> GateReport:
    ours = judge_by_rules(candidate.sections, candidate.manifest.intake)
    theirs = judge(candidate)
    gate = GateReport({**ours.evaluated, **theirs.evaluated}, {**ours.broken, **theirs.broken})
    if not theirs.evaluated:
        raise GateRefused(
            "The judge of the graph evaluated nothing; nothing was published.", broken=dict(gate.broken)
        )
    if not gate.is_open:
        reasons = [f"{name} ({count})" for name, count in gate.broken.items()]
        reasons += [f"{name} looked at nothing" for name, rows in gate.evaluated.items() if not rows]
        sentences = [RULES[name].sentence for name in gate.broken if name in RULES]
        raise GateRefused(
            f"The graph stays unpublished, it breaks {', '.join(reasons)}.",
            broken=dict(gate.broken),
            remedy=" ".join([*sentences, "Correct the accepted relations and publish again."]),
        )
    return gate


def _is_the_same(record: Record, manifest: Manifest) -> bool:
    """Whether a commit leads to this very content; a copy that was damaged on the disk does not."""
    if record.snapshot_id != manifest.snapshot_id:
        return False
    try:
        open_record(record, verify=True)
    except (SnapshotDamaged, SnapshotMissing):
        return False
    return True


def _settle(root: Path, temporary: Path, sequence: int, manifest: Manifest) -> Path:
    """The snapshot under its final name; one that is there already with the same content is used again."""
    for record in snapshots(root):
        if _is_the_same(record, manifest):
            return record.path
    path = snapshots_folder(root) / f"{sequence}-{manifest.snapshot_id}"
    temporary.rename(path)
    sync_folder(path.parent)
    return path


def draft_path(root: Path, sequence: int) -> Path:
    """Where this process writes a commit before it is one.

    A name of its own: where locks do not hold, one of 2 000 commits had another publisher's content else.
    """
    return commits_folder(root) / f".tmp-{sequence}-{os.getpid()}"


def _check_as_judged(path: Path, manifest: Manifest) -> None:
    """What is committed is what the gate looked at; a file that was swapped since then is found here.

    Raises:
        SnapshotDamaged: It is not. Nothing was committed.
    """
    if Snapshot.open(path, verify=True).manifest != manifest:
        raise SnapshotDamaged(f"{path} is not the candidate that was judged.", remedy="Publish again.")


def _commit(root: Path, record: Record, moment: Moment) -> None:
    write_file(draft_path(root, record.sequence), sealed(to_json(record)))
    moment("commit_written")
    commit_draft(root, record.sequence, moment)


def commit_draft(root: Path, sequence: int, moment: Moment) -> None:
    """Give a commit that is written its number, and wait until that is on the disk.

    Raises:
        PublishConflict: The number is taken.
    """
    draft = draft_path(root, sequence)
    try:
        os.link(draft, commit_path(root, sequence))
    except FileExistsError:
        raise PublishConflict(
            f"Another publisher took number {sequence} at {root}.", remedy="Publish again."
        ) from None
    finally:
        draft.unlink(missing_ok=True)
    moment("linked")
    sync_folder(commits_folder(root))
    moment("committed")
