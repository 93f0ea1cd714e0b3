"""Publishing on a real disk that is full: it fails aloud, the old graph stays, and nothing gathers."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgraph.snapshot import open_published, verify
from tests.command import Command
from tests.figures import Figure
from tests.published import graph_of, publish_shop

PAGE = 4096
SIZE = 4 << 20
N_ROOMS = 100
"""Sizes of free space from nothing to a page too few."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system of 4 MB is mounted here, which needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def free(disk: Path) -> int:
    return os.statvfs(disk).f_bfree * os.statvfs(disk).f_frsize


@contextlib.contextmanager
def full_but_for(room: int, disk: Path) -> Iterator[None]:
    """All but so many bytes are taken."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free(disk) - room)
    yield
    filler.unlink()


@pytest.mark.parametrize("has_an_old_one", [True, False], ids=["later publish", "first publish"])
def test_whatever_room_is_left_the_old_graph_stays_and_nothing_gathers(
    has_an_old_one: bool, disk: Path, figure: Figure
) -> None:
    compiled, root = graph_of(), disk / "graph"
    old = publish_shop(root, compiled, version="old").snapshot_id if has_an_old_one else None
    before = free(disk)
    publish_shop(disk / "probe", compiled, version="new")
    needed = before - free(disk)
    shutil.rmtree(disk / "probe")
    rooms = sorted({needed * place // N_ROOMS // PAGE * PAGE for place in range(N_ROOMS)} - {needed})
    for room in rooms:
        with full_but_for(room, disk), pytest.raises(OSError, match="No space") as refusal:
            publish_shop(root, compiled, version="new")
        assert refusal.value.errno == errno.ENOSPC
        # Where only the commit found no room, its snapshot waits for the next publisher to remove it.
        assert before - free(disk) <= needed
        if old:
            assert open_published(root, verify=True).snapshot_id == old
    figure(f"{len(rooms)} publishers found the disk full; a snapshot takes {needed} bytes")
    done = publish_shop(root, compiled, version="next")
    assert open_published(root, verify=True).snapshot_id == verify(done.path).snapshot_id
    assert before - free(disk) <= needed + 4 * PAGE
    assert not list(root.rglob(".tmp-*"))


def test_the_command_line_says_it_in_a_sentence(monkeypatch: pytest.MonkeyPatch, disk: Path) -> None:
    root = disk / "graph"
    old = [publish_shop(root, version=version).snapshot_id for version in "12"]
    with full_but_for(0, disk):
        said = Command(disk, monkeypatch)("rollback", "1")
    assert said.code == 8
    assert "No space left on device" in said.err
    assert "Traceback" not in said.err
    assert open_published(root, verify=True).snapshot_id == old[1]
    assert Command(disk, monkeypatch)("rollback", "1").code == 0


def test_where_there_is_room_enough_it_is_published(disk: Path) -> None:
    """The control: it is the missing room that was refused."""
    compiled, before = graph_of(), free(disk)
    publish_shop(disk / "probe", compiled)
    needed = before - free(disk)
    with full_but_for(needed + PAGE, disk):
        assert publish_shop(disk / "graph", compiled).is_new
