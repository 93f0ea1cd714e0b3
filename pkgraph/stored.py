"""The tables of a home as the pipeline wrote them, for commands that only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from pkgraph.home import Home
    from pkgraph.tables import Table


def read_table(home: Home, table: Table, where: pl.Expr | None = None) -> pl.DataFrame:
    """The rows of a table, of all its partitions; none where it was never written.

    Args:
        home: The home of the shop.
        table: Which one.
        where: Only rows for which it holds; only they are read into memory.
    """
    whole, cut = home.tables / f"{table.name}.parquet", home.tables / table.name
    parts = [whole] if whole.is_file() else sorted(cut.glob("*.parquet"))
    wanted = pl.lit(value=True) if where is None else where
    rows = [pl.scan_parquet(part).filter(wanted).collect() for part in parts]
    return table.conform(pl.concat([table.empty(), *rows]))
