"""The graph store: where snapshots are published and read again."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import Field


class GraphStore(dg.ConfigurableResource[None]):
    root: str = Field(description="Folder of snapshots and commits.")

    @property
    def path(self) -> Path:
        return Path(self.root)
