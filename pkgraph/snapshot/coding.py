"""Texts of a frame become tables of texts and rows in them; compiled where it can be."""

from __future__ import annotations

import numpy as np
import polars as pl

from pkgraph.kernel import kernel
from pkgraph.snapshot.layout import Array, Strings
from pkgraph.snapshot.threads import slices

TEXTS_AT_ONCE = 500_000
"""Texts that are joined to one run of bytes at a time without a kernel: about 50 MB of sentences."""


def strings_of(column: pl.Series) -> Strings:
    """The texts of a column without nulls, in its order."""
    table = table_for(column.str.len_bytes().to_numpy())
    place_texts(table, np.arange(len(column), dtype="<i4"), column)
    return table


def table_for(lengths: Array) -> Strings:
    """A table with room for texts of these lengths in UTF-8."""
    offsets = np.zeros(len(lengths) + 1, dtype="<i8")
    np.cumsum(lengths, out=offsets[1:])
    return Strings(offsets, np.empty(int(offsets[-1]), dtype="<u1"))


def place_texts(table: Strings, rows: Array, column: pl.Series) -> None:
    """Write each text of a column to its row of a table.

    Args:
        table: With room for texts of just these lengths.
        rows: int32, one a text; nothing is written where it is negative.
        column: The texts.

    Raises:
        ValueError: A text is of another length than its room, or its row does not exist.
    """
    compiled = kernel()
    if compiled is not None:
        compiled.place_texts(table.data, table.offsets, rows, column.__arrow_c_stream__())
        return
    places = np.flatnonzero(rows >= 0)
    for part in slices(len(places), TEXTS_AT_ONCE):
        _place_run(table, rows[places[part]], column.gather(places[part]))


def _place_run(table: Strings, rows: Array, texts: pl.Series) -> None:
    lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    if rows.max() >= len(table) or (np.diff(table.offsets)[rows] != lengths).any():
        raise ValueError("the texts do not fit where they belong")
    run = np.frombuffer(texts.str.join("").item().encode(), dtype="<u1")
    in_run = np.cumsum(lengths) - lengths
    table.data[np.repeat(table.offsets[rows] - in_run, lengths) + np.arange(len(run))] = run


def numbered(column: pl.Series) -> tuple[pl.Series, Array]:
    """The distinct texts, sorted, and the place of each value's text among them (int32, -1 where null)."""
    compiled = kernel()
    if compiled is None:
        texts = column.drop_nulls().unique().sort()
        places = column.cast(pl.Enum(texts)).to_physical().cast(pl.Int32).fill_null(-1)
        return texts, places.to_numpy().astype("<i4")
    codes = np.empty(len(column), dtype="<i4")
    first = np.frombuffer(compiled.number_texts(column.__arrow_c_stream__(), codes), dtype="<i8")
    texts = column.gather(first)
    order = texts.arg_sort().to_numpy()
    place = np.full(len(texts) + 1, -1, dtype="<i4")  # the last is found where the code is -1
    place[order] = np.arange(len(texts))
    return texts.gather(order), np.take(place, codes)


def coded(column: pl.Series) -> tuple[Strings, Array]:
    """The distinct texts, sorted, and the row of each value's text (-1 where null)."""
    texts, rows = numbered(column)
    return strings_of(texts), rows


def floats(column: pl.Series, missing: float) -> Array:
    return column.cast(pl.Float64).fill_null(missing).to_numpy().astype("<f8")
