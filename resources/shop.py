"""The shop's own side: its settings, and through them its catalog, baskets and labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from pkgraph.home import Home

if TYPE_CHECKING:
    from pkgraph.settings import Settings


class Shop(dg.ConfigurableResource[None]):
    """A shop, described by the settings that its last build kept in the home folder."""

    home: str = Field(description="The home folder of the shop.")

    def settings(self) -> Settings:
        from pkgraph.settings import read_settings

        return read_settings(Home(Path(self.home)).settings)
