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

    def open(self) -> Ledger:
        """The ledger that the shop's settings name, else the file in its home folder."""
        from pkgraph.llm.ledger import Ledger
        from pkgraph.llm.place import ledger_place

        return Ledger.open(ledger_place(Home(Path(self.home))))
