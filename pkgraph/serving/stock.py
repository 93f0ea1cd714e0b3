"""Which SKUs may be served now: a small file that the shop replaces as often as it likes.

One SKU a line; in a file named *.jsonl, one JSON object a line: {"sku": "1082185", "available": true}.
The snapshot says what belongs together, this says what is on the shelf; it takes effect without a rebuild.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from pkgraph.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1 << 30
MAX_SKU = 400
"""Characters of a SKU; a longer line is no SKU."""

Mark = tuple[int, int, int]
"""Inode, time of the last change and size: what differs when a file was replaced or rewritten."""


@dataclass(frozen=True, slots=True)
class Stock:
    """The SKUs that may be served, kept as text: every graph that is opened looks them up anew.

    Attributes:
        lines: A SKU a line, in UTF-8.
        digest: First 12 hex characters of the SHA-256 of the file; part of every ETag.
    """

    lines: bytes
    digest: str

    def skus(self) -> Iterator[str]:
        """One SKU after another: a list of 2 million would leave 120 MB behind."""
        return (line[:-1].decode(errors="surrogatepass") for line in BytesIO(self.lines))


def mark_of(path: Path) -> Mark:
    found = path.stat()
    return found.st_ino, found.st_ctime_ns, found.st_size


def _sku_of(line: str, number: int, path: Path) -> str | None:
    """The SKU of one line of JSON; None where it is not available."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(f"{path} line {number} is no JSON.") from None
    sku = row.get("sku") if isinstance(row, dict) else None
    is_available = row.get("available", True) if isinstance(row, dict) else None
    if not isinstance(sku, str) or not isinstance(is_available, bool):
        raise InputError(f'{path} line {number} is not like {{"sku": "123", "available": true}}.')
    return sku if is_available else None


def _lines(text: str, path: Path) -> bytes:
    """A SKU a line, whatever the file's own format."""
    is_json, lines = path.suffix == ".jsonl", bytearray()
    for number, line in enumerate(StringIO(text, newline="\n"), start=1):
        stripped = line.strip()
        sku = _sku_of(stripped, number, path) if stripped and is_json else stripped
        if sku and (len(sku) > MAX_SKU or "\n" in sku):
            raise InputError(
                f"{path} line {number} is no SKU: it has at most {MAX_SKU} characters on one line."
            )
        if sku:
            lines += sku.encode(errors="surrogatepass") + b"\n"
    return bytes(lines)


def read_stock(path: Path) -> Stock:
    """The stock list in a file.

    Raises:
        InputError: It cannot be read, changed while it was read, is no list of SKUs, or names none.
            An empty file is more often a writer's accident than an empty shop.
    """
    try:
        before = mark_of(path)
        if before[2] > MAX_BYTES:
            raise InputError(f"{path} has {before[2]} bytes, a stock list has {MAX_BYTES} at most.")
        raw = path.read_bytes()
        after = mark_of(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {os.strerror(error.errno or 0)}.") from error
    if before != after:
        raise InputError(f"{path} changed while it was read.", remedy="Write a new file and rename it over.")
    try:
        lines = _lines(raw.decode("utf-8-sig"), path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 at byte {error.start}.") from error
    if not lines:
        raise InputError(f"{path} names no SKU; the list before it stays.")
    return Stock(lines, hashlib.sha256(raw).hexdigest()[:12])


class WatchedStock:
    """The newest readable list of a file.

    Attributes:
        stock: What may be served; None before anything could be read.
        fault: Why the file as it is now is not what counts; None on a good day.
        n_failures: How often a list was refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.stock: Stock | None = None
        self.fault: str | None = None
        self.n_failures = 0
        self._seen: Mark | None = None

    def refresh(self) -> bool:
        """Read the file where it changed; a list that cannot be read leaves the one before it.

        Returns:
            Whether another list counts now.
        """
        try:
            mark = mark_of(self.path)
        except OSError as error:
            self._seen = None
            return self._failed(f"{self.path} cannot be read: {os.strerror(error.errno or 0)}.")
        if mark == self._seen:
            return False
        self._seen = mark
        try:
            found = read_stock(self.path)
        except InputError as error:
            return self._failed(str(error))
        self.fault = None
        is_other = self.stock is None or found.digest != self.stock.digest
        self.stock = found
        return is_other

    def _failed(self, fault: str) -> bool:
        """Remember what is wrong; the same fault at the next look is no new failure."""
        self.n_failures += fault != self.fault
        self.fault = fault
        return False
