"""The answer ledger: every answer that was paid for, verbatim, and never paid for again.

An answer is kept under its prompt, model, parameters and sample, with an attempt number on top.
The parser is no part of the key: reading the answers anew is free.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pkgraph.llm import batches, history, leases
from pkgraph.llm.answers import AnswerKey, StoredAnswer, storable
from pkgraph.llm.batches import Batch
from pkgraph.llm.leases import LEASE_S, Lease, Limits, Refusal, Spent, Wanted
from pkgraph.llm.ledger_rows import ANSWERS, answer_of, row_of
from pkgraph.llm.ledger_tables import (
    CHUNK,
    PROMPTS,
    READINGS,
    RESPONSES,
    UNUSED_CALLS,
    engine_for,
    make_tables,
    translated,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from pkgraph.llm.history import Bought, LedgerTotals


class Ledger:
    """The store of answers, safe for several threads and processes at once."""

    def __init__(self, engine: sa.Engine, place: str) -> None:
        self._engine = engine
        self._place = place
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        # Threads of one process queue here: SQLite's own waiting is a sleep that starves the unlucky.
        self._writing = threading.Lock()

    @classmethod
    def open(cls, url_or_path: str | Path) -> Ledger:
        """The ledger at a SQLAlchemy URL or in a SQLite file; a new one is made where there is none.

        Raises:
            LedgerError: It cannot be opened. Nothing was asked.
        """
        place = _shown(url_or_path)
        with translated(f"The answer ledger {place}"):
            ledger = cls(engine_for(url_or_path), place)
        with ledger._writes() as connection:
            make_tables(connection)
        return ledger

    @contextmanager
    def _writes(self) -> Iterator[sa.Connection]:
        engine = self._engine.execution_options(pkgraph_writes=True)
        with translated(f"The answer ledger {self._place}"), self._writing, engine.begin() as connection:
            yield connection

    @contextmanager
    def _reads(self) -> Iterator[sa.Connection]:
        with translated(f"The answer ledger {self._place}"), self._engine.connect() as connection:
            yield connection

    def latest(self, keys: Iterable[AnswerKey]) -> dict[AnswerKey, StoredAnswer]:
        """For each key that was answered, its newest attempt."""
        wanted = set(keys)
        found: dict[AnswerKey, StoredAnswer] = {}
        prompt_ids = sorted({key.prompt_id for key in wanted})
        with self._reads() as connection:
            for start in range(0, len(prompt_ids), CHUNK):
                chunk = prompt_ids[start : start + CHUNK]
                query = ANSWERS.where(RESPONSES.c.prompt_id.in_(chunk))
                for row in connection.execute(query.order_by(RESPONSES.c.attempt)):
                    answer = answer_of(row)
                    if answer.key in wanted:
                        found[answer.key] = answer
        return found

    def record(self, answers: Sequence[StoredAnswer], messages: Mapping[str, str]) -> list[StoredAnswer]:
        """Keep answers for good; they are on disk when this returns, all of them or none.

        Where another process was first with the same attempt, its answer stands and is returned.
        The later one is kept among the unused calls, since it was paid too.

        Args:
            answers: Each with the attempt number it is to have.
            messages: The messages of every prompt concerned, by prompt_id.
        """
        with self._writes() as connection:
            self._keep_prompts(connection, {a.key.prompt_id for a in answers}, messages)
            kept = self._keep(connection, answers)
        return [kept[answer.response_id] for answer in answers]

    def _keep(self, connection: sa.Connection, answers: Sequence[StoredAnswer]) -> dict[str, StoredAnswer]:
        """What now stands, by response_id; whoever comes second stands among the unused calls."""
        if not answers:
            return {}
        rows = {answer.response_id: answer for answer in reversed(answers)}
        insert = self._insert(RESPONSES).on_conflict_do_nothing().returning(RESPONSES.c.response_id)
        new = set(connection.scalars(insert, [{"response_id": key, **row_of(a)} for key, a in rows.items()]))
        late = [a for a in answers if a.response_id not in new or rows[a.response_id] is not a]
        self._keep_unused(connection, late)
        found: dict[str, StoredAnswer] = {}
        for start in range(0, len(rows), CHUNK):
            ids = list(rows)[start : start + CHUNK]
            for row in connection.execute(ANSWERS.where(RESPONSES.c.response_id.in_(ids))):
                found[row.response_id] = answer_of(row)
        return found

    @staticmethod
    def _keep_unused(connection: sa.Connection, calls: Sequence[StoredAnswer]) -> None:
        if calls:
            connection.execute(UNUSED_CALLS.insert(), [row_of(call) for call in calls])

    def adopt(self, answers: Sequence[StoredAnswer], messages: Mapping[str, str]) -> int:
        """Take over answers that were paid for elsewhere; those that are there stay.

        Args:
            answers: Each under its own attempt number.
            messages: As far as they are known, by prompt_id.

        Returns:
            How many were new.
        """
        known = sa.select(sa.func.count()).select_from(RESPONSES)
        with self._writes() as connection:
            n_before = connection.execute(known).scalar_one()
            self._keep_prompts(connection, {*messages}, messages)
            rows = [{"response_id": answer.response_id, **row_of(answer)} for answer in answers]
            if rows:
                connection.execute(self._insert(RESPONSES).on_conflict_do_nothing(), rows)
            return int(connection.execute(known).scalar_one() - n_before)

    def everything(self) -> Iterator[tuple[StoredAnswer, str | None]]:
        """Every answer with the messages of its prompt, in the order of the keys."""
        at_prompt = RESPONSES.c.prompt_id == PROMPTS.c.prompt_id
        query = ANSWERS.add_columns(PROMPTS.c.messages).join(PROMPTS, at_prompt, isouter=True)
        order = [RESPONSES.c[name] for name in (*AnswerKey._fields, "attempt")]
        with self._reads() as connection:
            rows = connection.execution_options(yield_per=CHUNK).execute(query.order_by(*order))
            for row in rows:
                yield answer_of(row), row.messages

    def _keep_prompts(self, connection: sa.Connection, ids: set[str], messages: Mapping[str, str]) -> None:
        rows = [{"prompt_id": key, "messages": storable(messages[key])} for key in sorted(ids)]
        if rows:
            connection.execute(self._insert(PROMPTS).on_conflict_do_nothing(), rows)

    def lease(
        self,
        wanted: Sequence[Wanted],
        *,
        holder: str,
        limits: Limits,
        now: datetime,
        seconds: float = LEASE_S,
    ) -> list[Lease | Refusal]:
        """The right to send each of these requests, or why not, in their order.

        Args:
            wanted: What to send, each with what it costs at most.
            holder: Who asks; one name a process and run.
            limits: What may be spent; a request that does not fit is refused, a cheaper one after it is not.
            now: The clock.
            seconds: How long the leases last unless renewed.
        """
        terms = leases.Terms(holder, limits, now, seconds)
        with self._writes() as connection:
            leases.bury_the_dead(connection, holder, now)
            chunks = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
            return [outcome for chunk in chunks for outcome in leases.grant(connection, chunk, terms)]

    def renew(self, holder: str, *, now: datetime, seconds: float = LEASE_S) -> None:
        """The holder lives: all its leases last `seconds` from now."""
        with self._writes() as connection:
            leases.renew(connection, holder, now=now, seconds=seconds)

    def settle(
        self, outcomes: Sequence[tuple[Lease, StoredAnswer]], messages: Mapping[str, str]
    ) -> list[StoredAnswer]:
        """Keep what came of leased requests; it is on disk when this returns, all of it or nothing.

        A "failed" response is kept among the unused calls, anything else as the answer (see `record`).

        Args:
            outcomes: Each with its cost in the response; None counts as what was set aside.
            messages: The messages of every prompt concerned, by prompt_id.

        Returns:
            What now stands in the ledger for each, in their order; a failed one as it came.
        """
        with self._writes() as connection:
            self._keep_prompts(connection, {answer.key.prompt_id for _, answer in outcomes}, messages)
            return self._settle(connection, outcomes)

    def _settle(
        self, connection: sa.Connection, outcomes: Sequence[tuple[Lease, StoredAnswer]]
    ) -> list[StoredAnswer]:
        answers = [_with_cost(answer, lease) for lease, answer in outcomes]
        leased = [lease for lease, _ in outcomes]
        costs = [(lease, a.response.cost_usd or 0.0) for lease, a in zip(leased, answers, strict=True)]
        leases.close(connection, costs)
        kept = self._keep(connection, [a for a in answers if a.response.status != "failed"])
        self._keep_unused(connection, [a for a in answers if a.response.status == "failed"])
        return [a if a.response.status == "failed" else kept[a.response_id] for a in answers]

    def release(self, unsent: Sequence[Lease]) -> None:
        """Give leases back for which nothing was sent."""
        with self._writes() as connection:
            for start in range(0, len(unsent), CHUNK):
                leases.release(connection, unsent[start : start + CHUNK])

    def prepare_batch(
        self,
        wanted: Sequence[Wanted],
        messages: Mapping[str, str],
        *,
        token: str,
        limits: Limits,
        now: datetime,
    ) -> list[Lease | Refusal]:
        """Lease requests to a batch that is about to be sent; see `pkgraph.llm.batches`.

        Args:
            wanted: Of one model, each with what it costs at most by the batch.
            messages: Of every prompt concerned: its answer may come when nobody asks any more.
            token: A new one.
            limits: What may be spent.
            now: The clock.
        """
        holder = batches.holder_of(token)
        terms = leases.Terms(holder, limits, now, batches.BATCH_LEASE_S)
        with self._writes() as connection:
            leases.bury_the_dead(connection, holder, now)
            chunks = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
            outcomes = [outcome for chunk in chunks for outcome in leases.grant(connection, chunk, terms)]
            granted = [one.wanted.key for one in outcomes if isinstance(one, Lease)]
            if granted:
                batches.add(connection, token, granted[0].model, now)
                self._keep_prompts(connection, {key.prompt_id for key in granted}, messages)
        return outcomes

    def unfinished_batches(self, models: Collection[str]) -> list[Batch]:
        """Batches of these models that are not over, oldest first."""
        with self._reads() as connection:
            return batches.unfinished(connection, models)

    def note_submitted(self, token: str, batch_id: str) -> None:
        """The provider has the batch, under this id."""
        with self._writes() as connection:
            batches.note_submitted(connection, token, batch_id)

    def renew_batch(self, token: str, *, now: datetime) -> None:
        """The batch is still worked on: its leases last."""
        self.renew(batches.holder_of(token), now=now, seconds=batches.BATCH_LEASE_S)

    def drop_batch(self, token: str) -> None:
        """The provider never got the batch: its questions are free again."""
        with self._writes() as connection:
            batches.drop(connection, token)

    def finish_batch(self, token: str, answer_to: Callable[[Lease], StoredAnswer]) -> list[StoredAnswer]:
        """Keep all that a batch brought, in one commit, unless another process has done so.

        Args:
            token: The batch.
            answer_to: What came of one of its requests.

        Returns:
            What now stands in the ledger; nothing where another process was first.
        """
        with self._writes() as connection:
            if not batches.is_unfinished(connection, token):
                return []
            outcomes = [(lease, answer_to(lease)) for lease in batches.leased(connection, token)]
            batches.close(connection, token)
            return self._settle(connection, outcomes)

    def spent(self, limits: Limits, now: datetime) -> Spent:
        """What the run and the day have cost, requests in flight at their worst."""
        with self._reads() as connection:
            return leases.spent(connection, limits, now)

    def note_readings(self, statuses: Mapping[str, str]) -> None:
        """Note what the parser says of answers, by response_id; a former word of it is replaced."""
        rows = [{"response_id": key, "parse_status": statuses[key]} for key in sorted(statuses)]
        insert = self._insert(READINGS)
        upsert = insert.on_conflict_do_update(
            index_elements=[READINGS.c.response_id], set_={"parse_status": insert.excluded.parse_status}
        )
        if rows:
            with self._writes() as connection:
                connection.execute(upsert, rows)

    def messages(self, prompt_id: str) -> str | None:
        """The messages of a prompt as JSON, for "why is this here"."""
        with self._reads() as connection:
            return connection.scalar(sa.select(PROMPTS.c.messages).where(PROMPTS.c.prompt_id == prompt_id))

    def last_failure(self, key: AnswerKey) -> StoredAnswer | None:
        """The newest call for this key that brought no answer."""
        is_it = [UNUSED_CALLS.c[name] == value for name, value in key._asdict().items()]
        query = sa.select(UNUSED_CALLS, sa.null().label("parse_status")).where(
            *is_it, UNUSED_CALLS.c.status == "failed"
        )
        with self._reads() as connection:
            row = connection.execute(query.order_by(UNUSED_CALLS.c.sequence.desc()).limit(1)).first()
        return answer_of(row) if row is not None else None

    def answer(self, response_id: str) -> StoredAnswer | None:
        """One answer by its key."""
        query = ANSWERS.where(RESPONSES.c.response_id == response_id)
        with self._reads() as connection:
            row = connection.execute(query).first()
        return answer_of(row) if row is not None else None

    def attempts(self, key: AnswerKey) -> list[StoredAnswer]:
        """Every answer to this key, the newest first."""
        is_it = [RESPONSES.c[name] == value for name, value in key._asdict().items()]
        query = ANSWERS.where(*is_it).order_by(RESPONSES.c.attempt.desc())
        with self._reads() as connection:
            return [answer_of(row) for row in connection.execute(query)]

    def answered_at(self, prompt_ids: Iterable[str], *, models: Collection[str] = ()) -> dict[str, datetime]:
        """When each of these prompts was last answered; one without an answer is left out.

        Args:
            prompt_ids: Prompts to look up.
            models: All of them must have answered, and the one whose newest answer is oldest tells the time;
                without any named, the newest answer of whichever model does.
        """
        with self._reads() as connection:
            return history.answered_at(connection, prompt_ids, models)

    def marks(self, prompt_ids: Iterable[str]) -> dict[str, int]:
        """Sequence number of the newest answer to each of these prompts; one without is left out."""
        with self._reads() as connection:
            return history.marks(connection, prompt_ids)

    def renewed(self) -> Iterator[tuple[str, str, str]]:
        """prompt_id, former text and newest text of every sample that was answered more than once."""
        with self._reads() as connection:
            yield from history.renewed(connection)

    def bought(self, after: int, up_to: int) -> Bought:
        """What the answers cost that lie between two high-water marks, the first left out."""
        with self._reads() as connection:
            return history.bought(connection, after, up_to)

    def totals(self) -> LedgerTotals:
        """What the ledger holds and what it cost."""
        with self._reads() as connection:
            return history.totals(connection)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _with_cost(answer: StoredAnswer, lease: Lease) -> StoredAnswer:
    """A cost that nobody knows is the worst one."""
    response = answer.response
    if response.cost_usd is not None:
        return answer
    return replace(answer, response=replace(response, cost_usd=lease.wanted.worst_usd))


def _shown(url_or_path: str | Path) -> str:
    """The place, fit to be shown: without its password."""
    target = str(url_or_path)
    return sa.make_url(target).render_as_string(hide_password=True) if "://" in target else target
