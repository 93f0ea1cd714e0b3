"""Kinds out of titles, for a shop that has no column of kinds."""

from __future__ import annotations

import polars as pl


def derived_kind(title: str, brand: str | None = None) -> str:
    frame = pl.DataFrame(
        {"title": [title], "brand": [brand]}, schema={"title": pl.String, "brand": pl.String}
    )
    return str(with_derived_kind(frame)["kind"][0])


def with_derived_kind(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(kind=pl.col("title").str.to_lowercase())
