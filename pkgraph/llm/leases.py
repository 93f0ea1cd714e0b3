"""The right to send one request, leased for seconds, with its worst case set aside before it is sent.

Ledger.lease    -> a Lease, or why not: answered, held by somebody else, over the budget
Ledger.renew    -> the holder is alive
Ledger.settle   -> the answer is kept, its cost is known, the lease is over; one commit for many
Ledger.release  -> nothing was sent

A lease that runs out, or whose process is gone, is lost: its request may have been paid for, so what was set
aside for it counts as spent, and the question is free for the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from pkgraph.llm.holders import is_gone
from pkgraph.llm.ledger_tables import LEASES, RESPONSES, UNUSED_CALLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from pkgraph.llm.answers import AnswerKey

_IS_OPEN = LEASES.c.state == "open"
LEASE_S = 30.0
"""How long a lease lasts; its holder renews it three times as often. Where a machine dies, the questions that
were in flight wait as long, all others do not."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent, in US dollars; None is no limit.

    Attributes:
        run: Whose budget it is; several processes may work for one run.
        budget_usd: For all requests of the run.
        daily_cap_usd: For all requests of this ledger in one day, UTC.
    """

    run: str
    budget_usd: float | None = None
    daily_cap_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request that somebody would like to send.

    Attributes:
        attempt: The number its answer is to have.
        worst_usd: What it costs at most, >= 0.
    """

    key: AnswerKey
    attempt: int
    worst_usd: float


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send one request."""

    sequence: int
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no lease.

    Attributes:
        reason: "answered" (by now there is an answer with this attempt number), "held" (somebody else is
            asking), "budget" or "daily_cap" (the worst case does not fit into what is left).
        left_usd: What is left where money is the reason.
        held_until: When the other lease runs out unless it is renewed, Unix seconds.
    """

    reason: Literal["answered", "held", "budget", "daily_cap"]
    left_usd: float | None = None
    held_until: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run and a day have cost, US dollars; what is set aside for requests in flight counts."""

    run_usd: float
    day_usd: float


@dataclass(slots=True)
class _Purse:
    """What is left while leases are handed out one after the other."""

    limits: Limits
    spent: Spent
    taken: float = 0.0

    def refuses(self, worst_usd: float) -> Refusal | None:
        for reason, limit, spent in (
            ("budget", self.limits.budget_usd, self.spent.run_usd),
            ("daily_cap", self.limits.daily_cap_usd, self.spent.day_usd),
        ):
            # What is free is never refused, not even by a limit of 0.
            if limit is not None and worst_usd > 0 and spent + self.taken + worst_usd > limit:
                return Refusal(reason, left_usd=max(0.0, limit - spent - self.taken))  # type: ignore[arg-type]
        return None


def spent(connection: sa.Connection, limits: Limits, now: datetime) -> Spent:
    """What the run and the day of `now` have cost so far."""
    usd = sa.func.coalesce(sa.func.sum(sa.func.coalesce(LEASES.c.cost_usd, LEASES.c.reserved_usd)), 0.0)
    run, day = (
        connection.scalar(sa.select(usd).where(column == value))
        for column, value in ((LEASES.c.run, limits.run), (LEASES.c.day, _day(now)))
    )
    return Spent(float(run or 0.0), float(day or 0.0))


@dataclass(frozen=True, slots=True)
class Terms:
    """Who leases, when, and under what limits."""

    holder: str
    limits: Limits
    now: datetime
    seconds: float


def grant(connection: sa.Connection, wanted: Sequence[Wanted], terms: Terms) -> list[Lease | Refusal]:
    """A lease or a refusal for each, in their order."""
    ids = [one.key.response_id(one.attempt) for one in wanted]
    answered = set(
        connection.scalars(sa.select(RESPONSES.c.response_id).where(RESPONSES.c.response_id.in_(ids)))
    )
    others = sa.select(LEASES.c.response_id, LEASES.c.expires_at).where(
        _IS_OPEN, LEASES.c.response_id.in_(ids)
    )
    held = {row.response_id: row.expires_at for row in connection.execute(others)}
    purse = _Purse(terms.limits, spent(connection, terms.limits, terms.now))
    refusals: list[Refusal | None] = []
    for response_id, one in zip(ids, wanted, strict=True):
        refusals.append(refusal := _refusal(response_id, one, answered, held, purse))
        if refusal is None:
            purse.taken += one.worst_usd
            held[response_id] = terms.now.timestamp() + terms.seconds
    rows = [_row(one, key, terms) for one, key, no in zip(wanted, ids, refusals, strict=True) if no is None]
    leased = iter(_inserted(connection, rows))
    return [refusal or Lease(next(leased), one) for refusal, one in zip(refusals, wanted, strict=True)]


def _inserted(connection: sa.Connection, rows: list[dict[str, object]]) -> Sequence[int]:
    """The sequence numbers of the new rows, in their order."""
    if not rows:
        return []
    insert = LEASES.insert().returning(LEASES.c.sequence, sort_by_parameter_order=True)
    return connection.scalars(insert, rows).all()


def _refusal(
    response_id: str, one: Wanted, answered: set[str], held: dict[str, float], purse: _Purse
) -> Refusal | None:
    if response_id in answered:
        return Refusal("answered")
    if response_id in held:
        return Refusal("held", held_until=held[response_id])
    return purse.refuses(one.worst_usd)


def _row(one: Wanted, response_id: str, terms: Terms) -> dict[str, object]:
    return {
        **one.key._asdict(),
        "attempt": one.attempt,
        "response_id": response_id,
        "holder": terms.holder,
        "run": terms.limits.run,
        "day": _day(terms.now),
        "state": "open",
        "expires_at": terms.now.timestamp() + terms.seconds,
        "reserved_usd": one.worst_usd,
    }


def _day(now: datetime) -> str:
    return now.astimezone(UTC).date().isoformat()


def bury_the_dead(connection: sa.Connection, holder: str, now: datetime) -> None:
    """Leases of others that ran out, or whose process is gone, are lost: what was set aside is spent."""
    others = connection.scalars(
        sa.select(LEASES.c.holder).distinct().where(_IS_OPEN, LEASES.c.holder != holder)
    )
    gone = [other for other in others if is_gone(other)]
    ran_out = sa.and_(LEASES.c.expires_at <= now.timestamp(), LEASES.c.holder != holder)
    dead = sa.and_(_IS_OPEN, sa.or_(ran_out, LEASES.c.holder.in_(gone)))
    copied = [LEASES.c[name] for name in ("prompt_id", "model", "parameters", "sample", "attempt")]
    names = [*(column.name for column in copied), "status", "cost_usd", "detail", "asked_at"]
    lost = sa.select(
        *copied,
        sa.literal("failed"),
        LEASES.c.reserved_usd,
        sa.literal("the process that asked died before the answer was kept"),
        sa.literal(now.astimezone(UTC).isoformat()),
    ).where(dead)
    connection.execute(UNUSED_CALLS.insert().from_select(names, lost))
    connection.execute(LEASES.update().where(dead).values(state="lost", cost_usd=LEASES.c.reserved_usd))


def renew(connection: sa.Connection, holder: str, *, now: datetime, seconds: float) -> None:
    """All leases of the holder last `seconds` from now."""
    mine = sa.and_(_IS_OPEN, LEASES.c.holder == holder)
    connection.execute(LEASES.update().where(mine).values(expires_at=now.timestamp() + seconds))


def close(connection: sa.Connection, costs: Iterable[tuple[Lease, float]]) -> None:
    """These requests are over; each cost what is said, US dollars."""
    rows = [{"closed": lease.sequence, "usd": usd} for lease, usd in costs]
    if rows:
        # One that was given up for dead stays lost: somebody else may have asked since.
        over = sa.and_(LEASES.c.sequence == sa.bindparam("closed"), _IS_OPEN)
        connection.execute(
            LEASES.update().where(over).values(state="settled", cost_usd=sa.bindparam("usd")), rows
        )


def release(connection: sa.Connection, leases: Iterable[Lease]) -> None:
    """Nothing was sent for these: no trace of them is left."""
    sequences = [lease.sequence for lease in leases]
    connection.execute(LEASES.delete().where(LEASES.c.sequence.in_(sequences), _IS_OPEN))
