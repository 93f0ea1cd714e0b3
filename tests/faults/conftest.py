"""Folders in memory, for tests that wait for the disk thousands of times and never for its sake."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the file system, not a name in it
BYTES_NEEDED = 200 << 20


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """In memory where there is room: an fsync on a busy disk took 100 times as long as the rest of a test."""
    has_room = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > BYTES_NEEDED
    folder = tempfile.mkdtemp(prefix="faults-", dir=SHARED_MEMORY if has_room else None)
    try:
        yield Path(os.path.realpath(folder))
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """Like `tmp_path`."""
    with _folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def module_memory_path() -> Iterator[Path]:
    """Like `memory_path`, for all tests of a module."""
    with _folder() as folder:
        yield folder
