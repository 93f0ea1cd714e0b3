"""The label store: what reviewers said since the shop was opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from pkgraph.home import Home

if TYPE_CHECKING:
    from pkgraph.labels.store import LabelStore


class ReviewersLabels(dg.ConfigurableResource[None]):
    home: str = Field(description="The home folder of the shop.")

    def open(self) -> LabelStore:
        from pkgraph.labels.store import LabelStore

        return LabelStore.open(Home(Path(self.home)).labels)
