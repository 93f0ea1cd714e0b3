"""A disk that loses its power: what may be left of file operations that were not all waited for.

A publisher runs for real; its file operations are recorded in order. From the record, states of the disk
after a power cut are drawn. What POSIX does not promise may be lost: of data that was not fsynced each sector
for itself, of a folder that was not fsynced every change of a name for itself, whatever their order.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

SECTOR = 512

Op = tuple[str, str, str]
"""What happened, to which path, with which other path, relative to the base; of a write, which content."""

Tree = dict[str, bytes | None]
"""Path to content; None: a folder."""


@dataclass
class Recorder:
    """Hears of every file operation under a base, through Python's audit events and os.fsync."""

    base: Path
    ops: list[Op] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    _written: dict[str, bytes] = field(default_factory=dict)
    _is_on: bool = False

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        real: Any = os.fsync

        def fsync(descriptor: Any) -> None:
            path = self._inside(Path(f"/proc/self/fd/{descriptor}").readlink())
            if path is not None:
                self._note_writes(path)
                self.ops.append(("fsync", path, ""))
            real(descriptor)

        sys.addaudithook(self._heard)  # there is no way back: it falls silent instead
        os.fsync, self._is_on = cast("Any", fsync), True
        try:
            yield
        finally:
            os.fsync, self._is_on = real, False

    def mark(self, name: str) -> None:
        self.ops.append(("mark", name, ""))

    def _inside(self, path: object, folder: object = -1) -> str | None:
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        at = (
            Path(f"/proc/self/fd/{folder}").readlink()
            if isinstance(folder, int) and folder >= 0
            else Path.cwd()
        )
        whole = at / os.fsdecode(path)
        return str(whole.relative_to(self.base)) if whole.is_relative_to(self.base) else None

    def _note_writes(self, path: str) -> None:
        file = self.base / path
        if file.is_file():
            content = file.read_bytes()
            if self._written.get(path) != content:
                self._written[path] = content
                self.contents.append(content)
                self.ops.append(("write", path, str(len(self.contents) - 1)))

    def _heard(self, event: str, args: tuple[object, ...]) -> None:
        if self._is_on and (event == "open" or event.startswith("os.")):
            self._is_on = False  # what is done here is not heard
            try:
                self._note(event, args)
            finally:
                self._is_on = True

    def _note(self, event: str, args: tuple[object, ...]) -> None:
        match event, args:
            case "open", (path, _, int(flags)) if flags & os.O_CREAT:
                self._note_new("create", self._inside(path))
            case "os.mkdir", (path, _, folder):
                self._note_new("mkdir", self._inside(path, folder))
            case "os.remove" | "os.rmdir", (path, folder):
                self._note_two("remove", self._inside(path, folder), "")
            case "os.rename" | "os.link", (source, target, from_folder, to_folder):
                other = self._inside(target, to_folder)
                self._note_two(event[3:], self._inside(source, from_folder), other)

    def _note_new(self, what: str, path: str | None) -> None:
        op = (what, path or "", "")
        if path is not None and not (self.base / path).exists() and self.ops[-1:] != [op]:
            self.ops.append(op)

    def _note_two(self, what: str, path: str | None, other: str | None) -> None:
        if path is not None and other is not None:
            self.ops.append((what, path, other))


class Node:
    """A file or a folder of the disk: what is safe, and what was done since."""

    def __init__(self, content: bytes | None = b"") -> None:
        self.is_folder = content is None
        self.content = content or b""
        self.pending: bytes | None = None
        self.names: dict[str, Node] = {}
        self.changes: list[tuple[str, str, Node | None]] = []
        self.live: dict[str, Node] = {}

    def change(self, name: str, other: str, node: Node | None) -> None:
        """A name comes to a node, or becomes another name, or goes."""
        self.changes.append((name, other, node))
        self.live = _changed(self.live, self.changes[-1:])

    def sync(self) -> None:
        if self.pending is not None:
            self.content, self.pending = self.pending, None
        self.names, self.changes = dict(self.live), []


def _changed(names: dict[str, Node], changes: list[tuple[str, str, Node | None]]) -> dict[str, Node]:
    found = dict(names)
    for name, other, node in changes:
        if node is not None:
            found[name] = node
        elif other:
            moved = found.pop(name, None)
            if moved is not None:
                found[other] = moved
        else:
            found.pop(name, None)
    return found


class Disk:
    """Folders and files, after some operations."""

    def __init__(self, start: Tree) -> None:
        self.root = Node(None)
        for path in sorted(start):
            folder, name = self._at(path)
            folder.change(name, "", Node(start[path]))
            folder.sync()

    def _at(self, path: str) -> tuple[Node, str]:
        *folders, name = path.split("/")
        node = self.root
        for one in folders:
            node = node.live[one]
        return node, name

    def apply(self, op: Op, contents: list[bytes]) -> None:
        what, path, other = op
        if what == "mark":
            return
        if what == "fsync" and path == ".":
            self.root.sync()
            return
        folder, name = self._at(path)
        match what:
            case "create" | "mkdir":
                folder.change(name, "", Node(None if what == "mkdir" else b""))
            case "write":
                folder.live[name].pending = contents[int(other)]
            case "fsync":
                folder.live[name].sync()
            case "remove":
                folder.change(name, "", None)
            case "rename":
                target, new = self._at(other)
                assert target is folder, "only names of one folder are exchanged"
                folder.change(name, new, None)
            case "link":
                target, new = self._at(other)
                target.change(new, "", folder.live[name])

    def left(self, chance: random.Random, share: float | None = None) -> Tree:
        """What a power cut leaves: of all that is pending, this share or another."""
        if share is None:
            share = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        return dict(_left(self.root, "", chance, share))


def _left(folder: Node, at: str, chance: random.Random, share: float) -> Iterator[tuple[str, bytes | None]]:
    kept = [change for change in folder.changes if chance.random() < share]
    for name, node in sorted(_changed(folder.names, kept).items()):
        path = f"{at}{name}"
        if node.is_folder:
            yield path, None
            yield from _left(node, f"{path}/", chance, share)
        else:
            yield path, _torn(node, chance, share)


def _torn(node: Node, chance: random.Random, share: float) -> bytes:
    if node.pending is None:
        return node.content
    whole, safe = node.pending, node.content
    parts = []
    for start in range(0, len(whole), SECTOR):
        old = safe[start : start + SECTOR].ljust(min(SECTOR, len(whole) - start), b"\x00")
        parts.append(whole[start : start + SECTOR] if chance.random() < share else old)
    torn = b"".join(parts)
    return torn if chance.random() < share else torn[: chance.randrange(len(torn) + 1)]


def read_tree(base: Path) -> Tree:
    return {
        str(path.relative_to(base)): None if path.is_dir() else path.read_bytes() for path in base.rglob("*")
    }


def write_tree(base: Path, tree: Tree) -> None:
    base.mkdir()
    for path in sorted(tree):
        content = tree[path]
        if content is None:
            (base / path).mkdir()
        else:
            (base / path).write_bytes(content)


def digest_of(tree: Tree) -> str:
    found = hashlib.sha256()
    for path in sorted(tree):
        content = tree[path]
        found.update(f"{path}\0{-1 if content is None else len(content)}\0".encode() + (content or b""))
    return found.hexdigest()
