"""What time it is."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field


class Clock(dg.ConfigurableResource[None]):
    at: str | None = Field(
        default=None, description="ISO 8601 with zone: it is always then. Without it, the machine's clock."
    )

    def now(self) -> datetime:
        return datetime.fromisoformat(self.at) if self.at else datetime.now(UTC)
