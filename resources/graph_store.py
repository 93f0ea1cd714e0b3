"""The graph store: where snapshots are published and read again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from pkgraph.errors import SnapshotError
from pkgraph.home import Home

if TYPE_CHECKING:
    from pkgraph.snapshot import Snapshot


class GraphStore(dg.ConfigurableResource[None]):
    home: str = Field(description="The home folder of the shop.")

    @property
    def root(self) -> Path:
        return Home(Path(self.home)).graph

    def channel(self, name: str | None) -> Path:
        """Root of a channel; None: the main one."""
        from pkgraph.snapshot import channel_root

        return channel_root(self.root, name)

    def served(self) -> Snapshot | None:
        """The snapshot that the main channel serves; None where nothing readable is."""
        from pkgraph.snapshot import open_published

        try:
            return open_published(self.root)
        except SnapshotError:
            return None

    def served_skus(self) -> frozenset[str]:
        """SKUs of the snapshot that is served now; none where nothing is."""
        served = self.served()
        return frozenset(served.sections.sku_ids if served else ())
