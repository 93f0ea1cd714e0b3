"""The graph store: where snapshots are published and read again."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import Field

from pkgraph.home import Home


class GraphStore(dg.ConfigurableResource[None]):
    home: str = Field(description="The home folder of the shop.")

    @property
    def root(self) -> Path:
        return Home(Path(self.home)).graph
