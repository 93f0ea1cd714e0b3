"""What the readers of all formats share: a raw row, its faults, and the columns that have to be there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice

import polars as pl

from pkgraph.catalog.sources import Limits
from pkgraph.errors import CatalogError

FAULTS: dict[str, str] = {
    "wrong_encoding": "A file is UTF-8.",
    "ragged_row": "A row has as many fields as the header.",
    "bad_quoting": "A quote that opens a field closes it, within 100 lines and 131 072 characters.",
    "line_too_long": "A line has at most 200 000 characters.",
    "not_json": "A line of JSON Lines is JSON.",
    "not_an_object": "A line of JSON Lines is an object.",
    "not_text": "A value is text or a number.",
}
"""Reason -> the rule it breaks, for rows that cannot be split into fields."""

RawRow = tuple[int, str | None, str | None, tuple[str | None, ...]]
"""Line number, fault, detail of the fault, values in the order of the mapped columns."""

# Rows that are Python objects at one time; the rest is already columns.
_CHUNK_ROWS = 50_000


def faulty(line: int, fault: str, detail: str, n_values: int) -> RawRow:
    shown = detail[:200].encode(errors="backslashreplace").decode()
    return line, fault, shown, (None,) * n_values


def require_columns(columns: Mapping[str, str], found: Collection[str], name: str) -> None:
    """One error names everything that is missing.

    Raises:
        CatalogError: A mapped column is not among those found.
    """
    missing = [f"{column!r} (for {field})" for field, column in columns.items() if column not in found]
    if missing:
        listed = ", ".join(map(repr, list(found)[:50])) or "none"
        raise CatalogError(
            f"{name} lacks {'column' if len(missing) == 1 else 'columns'} {', '.join(missing)}; "
            f"it has {listed[:2000]}.",
            remedy="Correct the column mapping in the settings file.",
        )


def _chunk(rows: list[RawRow], fields: list[str]) -> pl.DataFrame:
    lines, faults, details, values = zip(*rows, strict=True)
    columns = dict(zip(fields, zip(*values, strict=True), strict=True))
    texts = {"fault": faults, "detail": details, **columns}
    schema = {"row": pl.Int64, **dict.fromkeys(texts, pl.String)}
    return pl.DataFrame({"row": lines, **texts}, schema=schema)


def frame_of(rows: Iterable[RawRow], fields: list[str], limits: Limits, name: str) -> pl.DataFrame:
    """All rows as columns row, fault, detail and the fields.

    Raises:
        CatalogError: There are none, or more than the limit.
    """
    source: Iterator[RawRow] = iter(rows)
    chunks: list[pl.DataFrame] = []
    while chunk := list(islice(source, _CHUNK_ROWS)):
        chunks.append(_chunk(chunk, fields))
        refuse_too_many(sum(c.height for c in chunks), limits, name)
    if not chunks:
        raise CatalogError(f"{name} holds no rows.", remedy="Deliver it again.")
    return pl.concat(chunks)


def refuse_too_many(n_rows: int, limits: Limits, name: str) -> None:
    if n_rows > limits.n_rows:
        raise CatalogError(
            f"{name} holds more than {limits.n_rows:,} rows.", remedy="Is it the right file? Split it."
        )
