"""One array, one file: a checked header of 64 bytes, then the values, little-endian."""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from pkgraph.errors import SnapshotDamaged
from pkgraph.snapshot.format import FORMAT_VERSION, MIN_READER_VERSION, ArraySpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from pkgraph.snapshot.layout import Array
    from pkgraph.snapshot.texts import Buffer

MAGIC = b"PKGRAPH\x00"
HEADER_SIZE = 64
"""One cache line, so that the values behind it are aligned."""

_HEADER = struct.Struct("<8sHH4x8sQ28x")  # magic, format version, min reader version, dtype, count
_CHECKSUM = struct.Struct("<I")
_FORMATS: Mapping[str, Any] = {
    "<i8": "q",
    "<i4": "i",
    "<u8": "Q",
    "<u4": "I",
    "<u1": "B",
    "<f8": "d",
    "<f4": "f",
}
"""What a memoryview calls the values."""


def header_of(spec: ArraySpec, count: int, *, min_reader: int = MIN_READER_VERSION) -> bytes:
    body = _HEADER.pack(MAGIC, FORMAT_VERSION, min_reader, spec.dtype.encode().ljust(8, b"\x00"), count)
    return body + _CHECKSUM.pack(zlib.crc32(body))


def read_only(path: str, flags: int) -> int:
    """An opener for files that no one writes again."""
    return os.open(path, flags, 0o444)


def write_array(path: Path, spec: ArraySpec, count: int, parts: Iterable[Array]) -> None:
    """Write the values of one array, part by part, and wait until they are on the disk.

    Raises:
        FileExistsError: There is such a file already. Nothing is changed.
    """
    with open(path, "xb", opener=read_only) as file:
        file.write(header_of(spec, count))
        file.writelines(values.astype(spec.dtype, order="C", copy=False).view("<u1").data for values in parts)
        file.flush()
        os.fsync(file.fileno())


def _count_in(header: bytes, spec: ArraySpec, path: Path) -> int:
    if len(header) < HEADER_SIZE or not header.startswith(MAGIC):
        raise SnapshotDamaged(f"{path} is not an array of a snapshot.")
    body, checksum = header[: _HEADER.size], header[_HEADER.size :]
    if _CHECKSUM.unpack(checksum)[0] != zlib.crc32(body):
        raise SnapshotDamaged(f"{path} has a damaged header.")
    _, _, min_reader, dtype, count = _HEADER.unpack(body)
    if min_reader > FORMAT_VERSION:
        raise SnapshotDamaged(
            f"{path} needs a reader of format {min_reader} or later, this one reads up to {FORMAT_VERSION}.",
            remedy="Update pkgraph.",
        )
    if dtype.rstrip(b"\x00") != spec.dtype.encode():
        raise SnapshotDamaged(f"{path} holds {dtype.rstrip(bytes(1))!r} where {spec.dtype} belongs.")
    return int(count)


def map_array(path: Path, spec: ArraySpec) -> memoryview[Any]:
    """The values of one file, read-only over its memory map; NumPy and the kernel read them where they lie.

    The size is checked before anything is mapped: reading behind a file's end kills the process (SIGBUS).

    Raises:
        SnapshotDamaged: The file is missing, cut, too long, or not what belongs there.
    """
    try:
        with path.open("rb") as file:
            count = _count_in(file.read(HEADER_SIZE), spec, path)
            size = os.fstat(file.fileno()).st_size
            expected = HEADER_SIZE + count * spec.width
            if size != expected:
                raise SnapshotDamaged(f"{path} has {size} bytes where {expected} belong.")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise SnapshotDamaged(f"{path} cannot be read: {error.strerror}.") from error
    return memoryview(mapped)[HEADER_SIZE:].cast(_FORMATS[spec.dtype])


_POPULATE_READ = 22
"""MADV_POPULATE_READ of Linux 5.14, which Python has no name for."""

READ_AT_ONCE = 4 << 20
"""Bytes. Python holds on to its interpreter while the system reads, so a server's answers wait for a piece:
0.2 ms where it is cached, 4 ms from a disk of 1 GB/s. The widest array of 30 million edges has 2 GB."""


def read_in(values: Buffer) -> None:
    """Read what was mapped into memory, in pages of 2 MB where the file's system has them.

    An answer reads some hundred far places: with pages of 4 kB, finding each is a wait of its own, and at
    2 million SKUs answers took a fifth longer. Pages are that large only where they are first read like
    this. Where the system knows no such advice, nothing happens.
    """
    mapped = values.obj if isinstance(values, memoryview) else None
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            mapped.madvise(mmap.MADV_HUGEPAGE)
        with suppress(OSError):
            for start in range(0, len(mapped), READ_AT_ONCE):
                mapped.madvise(_POPULATE_READ, start, READ_AT_ONCE)
