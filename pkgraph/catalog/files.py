"""Files by path or URL become raw rows: line number, the mapped texts, and a fault where there is one."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import IO

import polars as pl

from pkgraph.catalog.delimited import delimited_rows
from pkgraph.catalog.json_lines import json_rows
from pkgraph.catalog.parquet import parquet_rows
from pkgraph.catalog.rows import frame_of
from pkgraph.catalog.sources import Limits, opened
from pkgraph.errors import CatalogError

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def _format_of(path: str) -> str:
    name = path.split("?", 1)[0].split("#", 1)[0].lower().removesuffix(".gz")
    for suffix, found in _SUFFIXES.items():
        if name.endswith(suffix):
            return found
    raise CatalogError(
        f"The name {path} does not tell its format.", remedy='Set `format` to "csv", "parquet" or "jsonl".'
    )


def _rows(
    stream: IO[bytes], kind: str, columns: Mapping[str, str], limits: Limits, path: str
) -> pl.DataFrame:
    if kind == "parquet":
        return parquet_rows(stream, columns, limits, path)
    read = delimited_rows if kind == "csv" else json_rows
    return frame_of(read(stream, columns, path), list(columns), limits, path)


def read_rows(
    path: str, format_: str | None, columns: Mapping[str, str], limits: Limits | None = None
) -> pl.DataFrame:
    """Raw rows of a CSV, Parquet or JSON Lines file, gzip or not.

    Args:
        path: Path or URL.
        format_: "csv", "parquet" or "jsonl"; told by the name where it is None.
        columns: Field -> column of the file.
        limits: What the file may hold at most.

    Returns:
        Columns row (line from 1), fault, detail, and a text column for each field.

    Raises:
        CatalogError: The file as a whole cannot be used.
    """
    limits = limits or Limits()
    kind = format_ or _format_of(path)
    with opened(path, limits) as stream:
        try:
            return _rows(stream, kind, columns, limits, path)
        except (OSError, EOFError, zlib.error) as error:
            raise CatalogError(
                f"{path} breaks off or is damaged: {error}.", remedy="Deliver it again."
            ) from error
