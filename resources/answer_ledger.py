"""The answer ledger: the single source of paid answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from pkgraph.llm.ledger import Ledger


class AnswerLedger(dg.ConfigurableResource[None]):
    url: str = Field(description="SQLAlchemy URL or path of a SQLite file.")

    def open(self) -> Ledger:
        from pkgraph.llm.ledger import Ledger

        return Ledger.open(self.url)
