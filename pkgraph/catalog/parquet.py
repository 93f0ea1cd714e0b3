"""Parquet: the footer is judged before the data, and the data is taken in slices against a byte limit."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import IO

import polars as pl

from pkgraph.catalog.rows import refuse_too_many, require_columns
from pkgraph.catalog.sources import Limits
from pkgraph.errors import CatalogError

# 20 kB of Parquet can hold 2 GB of text, one word repeated; a slice of it shares that word's bytes.
_SLICE_ROWS = 100_000


def _refuse_types(schema: pl.Schema, columns: Mapping[str, str], name: str) -> None:
    """Ids and words are text or whole numbers: a float has already lost digits and leading zeros."""
    wrong = []
    for field, column in columns.items():
        kind = schema[column]
        is_text = kind in (pl.String, pl.Categorical, pl.Enum, pl.Null) or kind.is_integer()
        is_time = field == "time" and kind.is_temporal()
        if not (is_text or is_time or (field == "price" and kind.is_numeric())):
            wrong.append(f"{column} ({kind})")
    if wrong:
        raise CatalogError(
            f"{name} has columns of a type that is no text: {', '.join(wrong)}.",
            remedy="Store ids, words and names as strings.",
        )


def _as_text(field: str, column: str, kind: pl.DataType) -> pl.Expr:
    if field == "time" and kind.is_temporal():
        return pl.col(column).cast(pl.Datetime("us")).dt.to_string("iso:strict").alias(field)
    return pl.col(column).cast(pl.String).alias(field)


def _slices(scan: pl.LazyFrame, n_rows: int, limits: Limits, name: str) -> pl.DataFrame:
    slices, n_bytes = [], 0
    for start in range(0, n_rows, _SLICE_ROWS):
        part = scan.slice(start, _SLICE_ROWS).collect()
        n_bytes += int(part.select(pl.all().str.len_bytes().sum()).sum_horizontal()[0] or 0)
        if n_bytes > limits.n_bytes:
            raise CatalogError(f"{name} holds more than {limits.n_bytes:,} bytes of text.")
        slices.append(part)
    return pl.concat(slices)


def parquet_rows(stream: IO[bytes], columns: Mapping[str, str], limits: Limits, name: str) -> pl.DataFrame:
    """Rows of a Parquet file as columns row, fault, detail and the mapped fields.

    Raises:
        CatalogError: It is no Parquet, too large, empty, or lacks columns.
    """
    try:
        scan = pl.scan_parquet(io.BytesIO(stream.read()))
        schema = scan.collect_schema()
        require_columns(columns, schema.names(), name)
        _refuse_types(schema, columns, name)
        n_rows = int(scan.select(pl.len()).collect().item())
        refuse_too_many(n_rows, limits, name)
        if not n_rows:
            raise CatalogError(f"{name} holds no rows.", remedy="Deliver it again.")
        texts = scan.select(_as_text(field, column, schema[column]) for field, column in columns.items())
        rows = _slices(texts, n_rows, limits, name)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise CatalogError(f"{name} cannot be read as Parquet: {str(error)[:300]}.") from error
    fault = pl.lit(None, pl.String)
    numbered = rows.with_row_index("row", offset=1).with_columns(pl.col("row").cast(pl.Int64))
    return numbered.select("row", fault.alias("fault"), fault.alias("detail"), *columns)
