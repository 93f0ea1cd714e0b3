"""Bytes of a file by path or URL, never more than a limit, whatever the file says about itself."""

from __future__ import annotations

import gzip
import io
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from pkgraph.errors import CatalogError

if TYPE_CHECKING:
    from typing_extensions import Buffer

_GZIP_MAGIC = b"\x1f\x8b"
# Text compresses to a tenth, seldom to a thirtieth; a bomb to a thousandth.
_MAX_RATIO = 100
_RATIO_FLOOR_BYTES = 64 * 2**20
_COPY_BYTES = 2**20
# A download stays in memory up to here, then moves to a temporary file.
_SPOOL_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may hold at most; what exceeds it is refused as a whole.

    Attributes:
        n_bytes: After decompression. 1 GiB is a catalog of five million rows of 200 characters.
        n_rows: Rows, good or bad.
    """

    n_bytes: int = 2**30
    n_rows: int = 5_000_000


class _Capped(io.RawIOBase):
    """A stream that refuses to give more than its limit."""

    def __init__(self, source: IO[bytes], n_bytes: int, name: str) -> None:
        self._source = source
        self._left = n_bytes
        self._limit = n_bytes
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = self._source.read(len(view))
        view[: len(data)] = data
        self._left -= len(data)
        if self._left < 0:
            raise CatalogError(
                f"{self._name} holds more than {self._limit:,} bytes of data.",
                remedy="Is it the right file? Deliver less at once, or only the mapped columns.",
            )
        return len(data)


def _downloaded(path: str, limits: Limits) -> IO[bytes]:
    """A copy of a remote file, a little more than the limit at most: reading it then passes the limit too."""
    from upath import UPath  # noqa: PLC0415  (0.1 s that few need)

    with ExitStack() as stack:
        remote = stack.enter_context(UPath(path).open("rb"))
        spool = cast("IO[bytes]", tempfile.SpooledTemporaryFile(_SPOOL_BYTES))  # noqa: SIM115
        on_error = stack.enter_context(ExitStack())
        on_error.callback(spool.close)
        left = limits.n_bytes
        while left >= 0 and (piece := remote.read(_COPY_BYTES)):
            spool.write(piece)
            left -= len(piece)
        spool.seek(0)
        on_error.pop_all()
        return spool


def _found(path: str, limits: Limits) -> IO[bytes]:
    """A seekable file.

    Raises:
        CatalogError: It cannot be opened; every kind of store has its own errors for that.
    """
    try:
        return _downloaded(path, limits) if "://" in path else open(path, "rb")  # noqa: PTH123
    except FileNotFoundError:
        raise CatalogError(f"There is no file {path}.", remedy="Correct `path` in the settings.") from None
    except ImportError as error:
        raise CatalogError(
            f"{path} cannot be opened: {error}.", remedy="Install the package that the message names."
        ) from error
    except Exception as error:
        raise CatalogError(
            f"{path} cannot be opened: {error or type(error).__name__}.",
            remedy="Check path, rights and network.",
        ) from error


@contextmanager
def stored(path: str, limits: Limits) -> Iterator[IO[bytes]]:
    """The bytes of a file as they are stored, from the start, to be hashed.

    Raises:
        CatalogError: It cannot be opened.
    """
    with _found(path, limits) as source:
        yield source


@contextmanager
def opened(path: str, limits: Limits) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where it is gzip (told by content, not by name).

    Raises:
        CatalogError: It cannot be opened or is empty. Reading raises it too, once the limit is passed.
    """
    with _found(path, limits) as source:
        head = source.read(2)
        n_packed = source.seek(0, io.SEEK_END)
        source.seek(0)
        if not head:
            raise CatalogError(f"{path} is empty.", remedy="Deliver it again.")
        if head != _GZIP_MAGIC:
            yield io.BufferedReader(_Capped(source, limits.n_bytes, path))
            return
        cap = min(limits.n_bytes, max(_RATIO_FLOOR_BYTES, n_packed * _MAX_RATIO))
        with gzip.GzipFile(fileobj=source) as unpacked:
            yield io.BufferedReader(_Capped(cast("IO[bytes]", unpacked), cap, path))
