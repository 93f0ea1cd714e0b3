"""The answer ledger: the single source of paid answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from pkgraph.home import Home

if TYPE_CHECKING:
    from pkgraph.llm.ledger import Ledger


class AnswerLedger(dg.ConfigurableResource[None]):
    home: str = Field(description="The home folder of the shop.")
    url: str | None = Field(
        default=None, description="SQLAlchemy URL; without it, a SQLite file in the home folder."
    )

    def open(self) -> Ledger:
        from pkgraph.llm.ledger import Ledger

        return Ledger.open(self.url or Home(Path(self.home)).ledger)
