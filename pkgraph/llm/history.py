"""What a ledger tells of the past: when prompts were answered, what changed since, what it all cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pkgraph.llm.answers import AnswerKey
from pkgraph.llm.ledger_tables import CHUNK, PROMPTS, RESPONSES, UNUSED_CALLS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_CALLS = (RESPONSES, UNUSED_CALLS)


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """What a ledger holds and what it cost.

    Attributes:
        high_water_mark: Sequence number of the newest answer; 0 for an empty ledger. A manifest names it.
        cost_usd: Sum of the known costs, unused calls included.
        n_unknown_cost: Calls whose cost nobody told.
    """

    n_prompts: int
    n_answers: int
    n_unused_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    n_unknown_cost: int
    high_water_mark: int


@dataclass(frozen=True, slots=True)
class Bought:
    """Answers, their known cost, and how many of them nobody told the cost of."""

    n_answers: int
    cost_usd: float
    n_unknown_cost: int


def answered_at(
    connection: sa.Connection, prompt_ids: Iterable[str], models: Collection[str]
) -> dict[str, datetime]:
    """When each of these prompts was last answered, by all of these models (see `Ledger.answered_at`)."""
    answered: dict[str, dict[str, datetime]] = {}
    wanted, newest = sorted(set(prompt_ids)), sa.func.max(RESPONSES.c.asked_at)
    for start in range(0, len(wanted), CHUNK):
        chunk = RESPONSES.c.prompt_id.in_(wanted[start : start + CHUNK])
        query = sa.select(RESPONSES.c.prompt_id, RESPONSES.c.model, newest)
        query = query.where(chunk, RESPONSES.c.status == "answered")
        for prompt_id, model, at in connection.execute(
            query.group_by(RESPONSES.c.prompt_id, RESPONSES.c.model)
        ):
            answered.setdefault(prompt_id, {})[model] = datetime.fromisoformat(at)
    if not models:
        return {prompt_id: max(times.values()) for prompt_id, times in answered.items()}
    return {
        prompt_id: min(times[name] for name in models)
        for prompt_id, times in answered.items()
        if times.keys() >= set(models)
    }


def marks(connection: sa.Connection, prompt_ids: Iterable[str]) -> dict[str, int]:
    """Sequence number of the newest answer to each of these prompts; one without is left out."""
    wanted, newest = sorted(set(prompt_ids)), sa.func.max(RESPONSES.c.sequence)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), CHUNK):
        chunk = RESPONSES.c.prompt_id.in_(wanted[start : start + CHUNK])
        query = sa.select(RESPONSES.c.prompt_id, newest).where(chunk)
        for prompt_id, sequence in connection.execute(query.group_by(RESPONSES.c.prompt_id)):
            found[prompt_id] = int(sequence)
    return found


def renewed(connection: sa.Connection) -> Iterator[tuple[str, str, str]]:
    """prompt_id, former text and newest text of every sample that was answered more than once."""
    key = [RESPONSES.c[name] for name in AnswerKey._fields]
    rank = sa.func.row_number().over(partition_by=key, order_by=RESPONSES.c.attempt.desc())
    answered = sa.select(*key, RESPONSES.c.text, rank.label("rank"))
    answered = answered.where(RESPONSES.c.status == "answered")
    newest, former = answered.subquery(), answered.subquery()
    same = sa.and_(*(newest.c[name] == former.c[name] for name in AnswerKey._fields))
    query = sa.select(newest.c.prompt_id, former.c.text, newest.c.text)
    for row in connection.execute(query.where(same, newest.c.rank + 1 == former.c.rank, newest.c.rank == 1)):
        prompt_id, former_text, text = row
        yield prompt_id, former_text, text


def bought(connection: sa.Connection, after: int, up_to: int) -> Bought:
    """What the answers cost that lie between two high-water marks, the first left out."""
    within = sa.and_(RESPONSES.c.sequence > after, RESPONSES.c.sequence <= up_to)
    cost = RESPONSES.c.cost_usd
    query = sa.select(
        sa.func.count(), sa.func.coalesce(sa.func.sum(cost), 0), sa.func.count().filter(cost.is_(None))
    )
    n, usd, n_unknown = connection.execute(query.where(within)).one()
    return Bought(int(n), float(usd), int(n_unknown))


def totals(connection: sa.Connection) -> LedgerTotals:
    """What the ledger holds and what it cost, calls that brought no answer included."""
    calls = sa.union_all(*(sa.select(t.c.input_tokens, t.c.output_tokens, t.c.cost_usd) for t in _CALLS))
    spent = calls.subquery()
    unknown = sa.func.count().filter(spent.c.cost_usd.is_(None))
    sums = [sa.func.coalesce(sa.func.sum(column), 0) for column in spent.c]
    count = sa.func.count()
    sizes = [
        connection.execute(sa.select(count).select_from(table)).scalar_one() for table in (PROMPTS, *_CALLS)
    ]
    tokens_in, tokens_out, cost, n_unknown = connection.execute(sa.select(*[*sums, unknown])).one()
    mark = connection.scalar(sa.select(sa.func.max(RESPONSES.c.sequence)))
    return LedgerTotals(
        n_prompts=sizes[0],
        n_answers=sizes[1],
        n_unused_calls=sizes[2],
        input_tokens=int(tokens_in),
        output_tokens=int(tokens_out),
        cost_usd=float(cost),
        n_unknown_cost=n_unknown,
        high_water_mark=mark or 0,
    )
