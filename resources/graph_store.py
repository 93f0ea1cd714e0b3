"""The graph store: where snapshots are published and read again."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import Field

from pkgraph.errors import SnapshotError
from pkgraph.home import Home


class GraphStore(dg.ConfigurableResource[None]):
    home: str = Field(description="The home folder of the shop.")

    @property
    def root(self) -> Path:
        return Home(Path(self.home)).graph

    def served_skus(self) -> frozenset[str]:
        """SKUs of the snapshot that is served now; none where nothing is."""
        from pkgraph.snapshot import open_published

        try:
            ids = open_published(self.root).sections.sku_ids
        except SnapshotError:
            return frozenset()
        return frozenset(ids[row] for row in range(len(ids)))
