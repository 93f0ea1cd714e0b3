"""Batches in the ledger: many leased requests that a provider takes as one and answers within a day.

Ledger.prepare_batch  -> leases and a row for the batch, in one commit, before anything is sent
Ledger.note_submitted -> the provider has it, under this id
Ledger.finish_batch   -> all its answers are kept, its leases are over; once, whoever comes first
Ledger.drop_batch     -> the provider never got it

The leases belong to the batch and not to a process, so they outlive a kill. A batch that is "prepared" may
have been sent or not: its token, which went with it, is looked for at the provider before anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pkgraph.llm import leases
from pkgraph.llm.answers import AnswerKey
from pkgraph.llm.ledger_tables import BATCHES, LEASES

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

# A batch is over after a day, and its answers can be fetched for 30. Until somebody has looked at it, none of
# its questions may be asked again: they may be paid for.
BATCH_LEASE_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that is not over.

    Attributes:
        token: Ours; it goes with the batch as its metadata.
        batch_id: The provider's; None while it is not known whether the provider has it.
        prepared_at: Unix seconds.
    """

    token: str
    model: str
    batch_id: str | None
    prepared_at: float

    @property
    def holder(self) -> str:
        return holder_of(self.token)


def holder_of(token: str) -> str:
    return f"batch:{token}"


def add(connection: sa.Connection, token: str, model: str, now: datetime) -> None:
    row = {"token": token, "model": model, "state": "prepared", "prepared_at": now.timestamp()}
    connection.execute(BATCHES.insert().values(row))


def unfinished(connection: sa.Connection, models: Collection[str]) -> list[Batch]:
    """Those that are prepared or submitted, oldest first."""
    wanted = sa.and_(BATCHES.c.state != "done", BATCHES.c.model.in_(sorted(models)))
    columns = (BATCHES.c.token, BATCHES.c.model, BATCHES.c.batch_id, BATCHES.c.prepared_at)
    rows = connection.execute(
        sa.select(*columns).where(wanted).order_by(BATCHES.c.prepared_at, BATCHES.c.token)
    )
    return [Batch(*row) for row in rows]


def note_submitted(connection: sa.Connection, token: str, batch_id: str) -> None:
    is_it = sa.and_(BATCHES.c.token == token, BATCHES.c.state == "prepared")
    connection.execute(BATCHES.update().where(is_it).values(state="submitted", batch_id=batch_id))


def is_unfinished(connection: sa.Connection, token: str) -> bool:
    is_it = sa.and_(BATCHES.c.token == token, BATCHES.c.state != "done")
    return connection.scalar(sa.select(BATCHES.c.token).where(is_it)) is not None


def leased(connection: sa.Connection, token: str) -> list[leases.Lease]:
    """What the batch asks, those of its leases that ran out included."""
    rows = connection.execute(sa.select(LEASES).where(LEASES.c.holder == holder_of(token))).mappings()
    return [
        leases.Lease(
            row["sequence"],
            leases.Wanted(
                AnswerKey(*(row[name] for name in AnswerKey._fields)), row["attempt"], row["reserved_usd"]
            ),
        )
        for row in rows
    ]


def close(connection: sa.Connection, token: str) -> None:
    connection.execute(BATCHES.update().where(BATCHES.c.token == token).values(state="done"))


def drop(connection: sa.Connection, token: str) -> None:
    """Nothing was sent: leases and row go, unless the batch has been found at the provider meanwhile."""
    is_it = sa.and_(BATCHES.c.token == token, BATCHES.c.state == "prepared")
    if connection.execute(BATCHES.delete().where(is_it)).rowcount:
        mine = sa.and_(LEASES.c.holder == holder_of(token), LEASES.c.state == "open")
        connection.execute(LEASES.delete().where(mine))
