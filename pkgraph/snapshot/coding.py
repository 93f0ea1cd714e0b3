"""Texts of a frame become tables of texts and rows in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pkgraph.kernel import kernel
from pkgraph.snapshot.layout import Array, Strings

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS_AT_ONCE = 500_000
"""Texts that are joined to one run of bytes at a time: about 50 MB of sentences."""


def strings_of(column: pl.Series) -> Strings:
    """The texts of a column without nulls, in its order."""
    offsets = np.zeros(len(column) + 1, dtype="<i8")
    np.cumsum(column.str.len_bytes().to_numpy(), out=offsets[1:])
    data = np.empty(int(offsets[-1]), dtype="<u1")
    for start in range(0, len(column), TEXTS_AT_ONCE):
        run = column.slice(start, TEXTS_AT_ONCE).str.join("").item().encode()
        data[offsets[start] : offsets[start] + len(run)] = np.frombuffer(run, dtype="<u1")
    return Strings(offsets, data)


def place_texts(data: Array, starts: Array, texts: Strings) -> None:
    """Write each text into the data from its start on; compiled where it can be.

    Args:
        data: uint8, large enough.
        starts: int64, one a text.
        texts: What is written.
    """
    compiled = kernel()
    if compiled is not None:
        compiled.place_texts(data, starts, texts.offsets, texts.data)
        return
    for row, start in enumerate(starts.tolist()):
        text = texts.raw(row)
        data[start : start + len(text)] = np.frombuffer(text, dtype="<u1")


def coded(column: pl.Series) -> tuple[Strings, Array]:
    """The distinct texts, sorted, and the row of each value's text (-1 where null)."""
    texts = column.drop_nulls().unique().sort()
    numbered = pl.DataFrame({"text": texts}).with_row_index("row")
    rows = column.to_frame("text").join(numbered, on="text", how="left", maintain_order="left")["row"]
    return strings_of(texts), rows.cast(pl.Int64).fill_null(-1).to_numpy().astype("<i4")


def floats(column: pl.Series, missing: float) -> Array:
    return column.cast(pl.Float64).fill_null(missing).to_numpy().astype("<f8")


def slices(n: int, size: int = TEXTS_AT_ONCE) -> Iterator[slice]:
    """Pieces of `size` that cover n."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
