"""What the gate made of each model's statements, for the last lines of a build."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import polars as pl

from pkgraph.home import Home
from pkgraph.tables import SCORED_RELATIONS
from resources.table_store import TableStore


def let_in(home: Home, keys: Collection[str]) -> Iterator[str]:
    """A line a model: "gpt-5-mini: 812 of 1,034 mapped statements let in"."""
    scored = TableStore(home=str(home.root)).read_all(SCORED_RELATIONS, keys)
    counted = scored.group_by("model").agg(n_in=pl.col("is_accepted").sum(), n=pl.len())
    for model, n_in, n in counted.sort("model").iter_rows():
        yield f"{model}: {n_in:,} of {n:,} mapped statements let in"
