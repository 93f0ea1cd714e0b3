"""Snapshots in an object store: one machine pushes, any number pull, all serve the same bytes.

The store has the layout of a root: snapshots/NAME/FILE and commits/NUMBER.json. An object is written once;
the commit comes last and only where its number is free. What is pulled is compared with its digests before it
gets its name, and is committed here under the same number with the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkgraph.errors import InputError, PublishConflict, SnapshotDamaged, SnapshotError, SnapshotMissing
from pkgraph.snapshot.arrays import read_only
from pkgraph.snapshot.commits import (
    Record,
    commit_path,
    open_published,
    open_record,
    read_record,
    sequences,
    snapshots_folder,
)
from pkgraph.snapshot.manifest import MANIFEST_NAME, MAX_JSON_BYTES, FileFact, read_manifest
from pkgraph.snapshot.publishing import commit_draft, draft_path, only_publisher
from pkgraph.snapshot.reader import Snapshot, file_digest
from pkgraph.snapshot.retention import remove_leftovers, remove_old
from pkgraph.snapshot.writing import sync_folder, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 8 << 20
_FILE = re.compile(r"[a-z_]{1,60}(\.bytes|\.offsets)?\.arr")
"""An array's file of this format or another; never a path out of the folder."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a push or a pull did.

    Attributes:
        n_bytes: Bytes of files that were sent or fetched; what was there already is not counted.
        is_new: False where the other side had it already.
    """

    sequence: int
    snapshot_id: str
    n_bytes: int
    is_new: bool


class Objects:
    """An object store at a URL: s3://bucket/shop, gs://, az://, https:// or file:///."""

    def __init__(self, url: str) -> None:
        try:
            import obstore  # noqa: PLC0415 - an extra
            from obstore.exceptions import BaseError  # noqa: PLC0415
            from obstore.store import from_url  # noqa: PLC0415
        except ModuleNotFoundError as error:
            remedy = "pip install 'pkgraph[object-store]'"
            raise InputError(f"An object store needs {error.name}.", remedy=remedy) from error
        self.url = url
        self._library: Any = obstore
        self._error = BaseError
        with self._reached(url):
            self._store = from_url(url)

    @contextlib.contextmanager
    def _reached(self, what: str) -> Iterator[None]:
        from obstore.exceptions import NotFoundError  # noqa: PLC0415

        try:
            yield
        except (NotFoundError, FileNotFoundError) as error:
            raise SnapshotMissing(f"{what} is not in {self.url}.") from error
        except (self._error, ValueError, OSError) as error:
            said = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
            remedy = "Check the URL and the credentials in the environment, then run it again."
            raise SnapshotError(f"{self.url} cannot be used: {said}", remedy=remedy) from error

    def numbers(self) -> list[int]:
        """Numbers of the commits, newest first."""
        with self._reached("commits"):
            found = [meta["path"] for page in self._library.list(self._store, "commits") for meta in page]
        names = [path.rsplit("/", 1)[-1] for path in found]
        return sorted((int(n[:20]) for n in names if n.endswith(".json") and n[:20].isdigit()), reverse=True)

    def chunks(self, name: str) -> Iterator[bytes]:
        with self._reached(name):
            for chunk in self._library.get(self._store, name).stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    def read(self, name: str) -> bytes:
        """A small object, whole.

        Raises:
            SnapshotDamaged: It is larger than anything small here.
        """
        content = b""
        for chunk in self.chunks(name):
            content += chunk
            if len(content) > MAX_JSON_BYTES:
                raise SnapshotDamaged(f"{name} in {self.url} has more than {MAX_JSON_BYTES} bytes.")
        return content

    def size(self, name: str) -> int | None:
        try:
            with self._reached(name):
                return int(self._library.head(self._store, name)["size"])
        except SnapshotMissing:
            return None

    def write(self, name: str, file: Path) -> None:
        with self._reached(name):
            self._library.put(self._store, name, file)

    def create(self, name: str, content: bytes) -> bool:
        """Write an object that is not there yet; False where it is."""
        from obstore.exceptions import AlreadyExistsError  # noqa: PLC0415

        with self._reached(name):
            try:
                self._library.put(self._store, name, content, mode="create")
            except AlreadyExistsError:
                return False
        return True


def _commit_name(sequence: int) -> str:
    return f"commits/{sequence:020d}.json"


def push(root: Path, url: str) -> Moved:
    """Send the served snapshot and its commit.

    Raises:
        SnapshotError: Nothing readable is published here, or the store cannot be used. Where that happened
            midway, nobody sees what was sent; run it again.
        PublishConflict: The store holds another commit of that number. Nothing was replaced.
    """
    objects, snapshot = Objects(url), open_published(root, verify=True)
    record = snapshot.record
    assert record is not None, "what is published has a commit"  # noqa: S101
    name, content = _commit_name(record.sequence), commit_path(root, record.sequence).read_bytes()
    if record.sequence in objects.numbers():
        _must_be_equal(objects.read(name), content, name, url)
        return Moved(record.sequence, record.snapshot_id, 0, is_new=False)
    sent = 0
    for file in [*sorted(snapshot.manifest.files), MANIFEST_NAME]:
        path, target = record.path / file, f"snapshots/{record.path.name}/{file}"
        if objects.size(target) != path.stat().st_size:
            objects.write(target, path)
            sent += path.stat().st_size
    is_new = objects.create(name, content)
    if not is_new:
        _must_be_equal(objects.read(name), content, name, url)
    return Moved(record.sequence, record.snapshot_id, sent, is_new=is_new)


def _must_be_equal(there: bytes, here: bytes, name: str, url: str) -> None:
    if there != here:
        raise PublishConflict(
            f"{name} in {url} is another commit than the one here.",
            remedy="Two roots publish to one store; give each its own.",
        )


def pull(root: Path, url: str, *, keep: int = 3) -> Moved:
    """Fetch the newest snapshot and commit it here; what was fetched before a fault is used by the next pull.

    Raises:
        SnapshotMissing: The store holds no commit.
        SnapshotDamaged: What was fetched is not what was committed; what is served here stays.
        SnapshotError: The store cannot be used; what is served here stays.
        PublishConflict: Another one is at work here, or this root has commits of its own.
    """
    objects = Objects(url)
    numbers = objects.numbers()
    if not numbers:
        raise SnapshotMissing(
            f"{url} holds no commit.", remedy="Run `pkgraph push` where graphs are published."
        )
    with only_publisher(root):
        return _pulled(root, objects, numbers[0], keep)


def _pulled(root: Path, objects: Objects, newest: int, keep: int) -> Moved:
    here, content = sequences(root), objects.read(_commit_name(newest))
    if newest in here:
        _must_be_equal(content, commit_path(root, newest).read_bytes(), _commit_name(newest), objects.url)
    if here and here[0] > newest:
        raise PublishConflict(
            f"{root} has commit {here[0]}, {objects.url} only {newest}.",
            remedy="It publishes on its own: pull into another home.",
        )
    if here and here[0] == newest:
        return Moved(newest, read_record(root, newest).snapshot_id, 0, is_new=False)
    draft = draft_path(root, newest)
    draft.unlink(missing_ok=True)
    write_file(draft, content)
    record = read_record(root, newest, draft=draft)
    n_bytes = _fetched(root, objects, record)
    commit_draft(root, newest, lambda _: None)
    remove_leftovers(root)
    with contextlib.suppress(OSError):
        remove_old(root, keep=max(3, keep))
    return Moved(newest, record.snapshot_id, n_bytes, is_new=True)


def _fetched(root: Path, objects: Objects, record: Record) -> int:
    """See to it that the snapshot of a record is here; the number of bytes that took."""
    try:
        open_record(record, verify=True)
    except SnapshotError:  # not here, or damaged: fetched again beside it
        pass
    else:
        sync_folder(snapshots_folder(root))
        return 0
    folder = snapshots_folder(root) / f".pull-{record.path.name}"
    folder.mkdir(exist_ok=True)
    n_bytes = _fetch_manifest(objects, record, folder)
    for name, fact in sorted(read_manifest(folder).files.items()):
        if not _FILE.fullmatch(name):
            raise SnapshotDamaged(f"{objects.url} names {name[:80]!r}, which is no file of a snapshot.")
        n_bytes += _fetch_file(objects, f"snapshots/{record.path.name}/{name}", folder / name, fact)
    sync_folder(folder)
    Snapshot.open(folder)
    if record.path.exists():
        shutil.rmtree(record.path)
    folder.rename(record.path)
    sync_folder(record.path.parent)
    return n_bytes


def _fetch_manifest(objects: Objects, record: Record, folder: Path) -> int:
    path = folder / MANIFEST_NAME
    path.unlink(missing_ok=True)
    content = objects.read(f"snapshots/{record.path.name}/{MANIFEST_NAME}")
    if hashlib.sha256(content).hexdigest() != record.manifest_sha256:
        raise SnapshotDamaged(f"The manifest in {objects.url} is not the one that was committed.")
    write_file(path, content)
    return len(content)


def _fetch_file(objects: Objects, name: str, path: Path, fact: FileFact) -> int:
    """Fetch one file, unless it is here; a part of it is fetched again whole."""
    if path.is_file() and path.stat().st_size == fact.size and file_digest(path) == fact.sha256:
        with path.open("rb") as file:  # whoever fetched it may have been killed before it was on the disk
            os.fsync(file.fileno())
        return 0
    path.unlink(missing_ok=True)
    digest, size = hashlib.sha256(), 0
    with open(path, "xb", opener=read_only) as file:
        for chunk in objects.chunks(name):
            digest.update(chunk)
            size += len(chunk)
            if size > fact.size:  # endless, or another file: no reason to fill the disk
                break
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if size != fact.size or digest.hexdigest() != fact.sha256:
        path.unlink()
        raise SnapshotDamaged(f"{name} in {objects.url} is damaged: its checksum does not fit.")
    return size
