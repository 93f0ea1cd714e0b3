"""The table store: one Parquet file a table and partition, replaced whole and atomically."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from pkgraph.home import Home
from resources.artifacts import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from pkgraph.tables import Table


class TableStore(dg.ConfigurableResource[None]):
    """Tables as Parquet files below one folder."""

    home: str = Field(description="The home folder of the shop.")

    def path(self, table: str, partition: str | None = None) -> Path:
        folder = Home(Path(self.home)).tables
        return folder / table / f"{partition}.parquet" if partition else folder / f"{table}.parquet"

    def write(self, table: str, frame: pl.DataFrame, partition: str | None = None) -> Path:
        """Replace a table; a reader sees the old one or the new one, whole."""
        path = self.path(table, partition)
        with replacing(path) as temporary:
            frame.write_parquet(temporary)
        return path

    def read(self, table: str, partition: str | None = None) -> pl.DataFrame | None:
        """The table, or None where it was never written."""
        import polars as pl

        path = self.path(table, partition)
        return pl.read_parquet(path) if path.exists() else None

    def read_all(self, table: Table, partitions: Iterable[str]) -> pl.DataFrame:
        """The rows of all these partitions; one that was never written has none."""
        import polars as pl

        parts = [self.read(table.name, partition) for partition in sorted(partitions)]
        return table.conform(pl.concat([table.empty(), *(part for part in parts if part is not None)]))


class TableIO(dg.ConfigurableIOManager):
    """Hands the store's tables to assets and takes them from them."""

    store: TableStore

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        partition = context.partition_key if context.has_partition_key else None
        self.store.write(context.asset_key.path[-1], obj, partition)

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        table = context.asset_key.path[-1]
        partition = context.asset_partition_key if context.has_asset_partitions else None
        frame = self.store.read(table, partition)
        if frame is None:
            where = f"{table}[{partition}]" if partition else table
            raise dg.Failure(f"{where} was never materialized. Materialize it first.", allow_retries=False)
        return frame
