"""Asking by the batch: half the price, an answer within a day, through the same ledger as live calls.

A round leases what nobody has asked, sends it as one batch, and looks at every unfinished batch of these
models, whichever process sent it, until each is over. A killed run leaves its batches in the ledger; the next
one goes on with them and pays for nothing twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from uuid import uuid4

from pkgraph.errors import CallFailed, ProviderError
from pkgraph.llm.answers import StoredAnswer, storable
from pkgraph.llm.calling import MAX_FAILED_IN_A_ROW, Outcome, over_budget
from pkgraph.llm.leases import Lease, Refusal, Wanted
from pkgraph.model import LanguageModel, Response
from pkgraph.prompts.rendering import prompt_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pkgraph.llm.batches import Batch
    from pkgraph.llm.calling import Account, Question
    from pkgraph.model import Prompt

# Upload and creation have five minutes each; what is not at the provider after fifteen never will be.
SUBMIT_S = 900.0


@dataclass(frozen=True, slots=True)
class BatchState:
    """What the provider says of a batch.

    Attributes:
        is_over: Nothing more is worked on: completed, expired, cancelled or refused.
        is_lost: The provider knows no such batch, so that nobody knows what it cost.
        detail: In words fit to be shown.
        n_done: Requests that the provider says it has done, well or badly; 0 where it does not say.
    """

    is_over: bool
    is_lost: bool = False
    detail: str = ""
    n_done: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A look at what a provider still works on.

    Attributes:
        n_batches: Batches that are out.
        n_done: Requests of these that the provider says it has done.
        seconds: Since the oldest of them was sent.
    """

    model: str
    n_batches: int
    n_done: int
    seconds: float


@runtime_checkable
class BatchModel(LanguageModel, Protocol):
    """A model that is asked by the batch; `worst_case` is at the batch's price.

    Attributes:
        poll_s: Seconds between two looks at a batch.
        max_requests: In one batch at most.
    """

    @property
    def poll_s(self) -> float: ...
    @property
    def max_requests(self) -> int: ...

    async def submit(self, token: str, requests: Mapping[str, Prompt]) -> str:
        """Send a batch with this token; returns the provider's id of it.

        Raises:
            CallFailed: It was refused, or with `may_be_billed` it is not known whether it was taken.
            ProviderGone: No further call can succeed.
        """
        ...

    async def find(self, token: str, since: float) -> str | None:
        """The id of the batch that was sent with this token after `since` (Unix seconds), if there is one."""
        ...

    async def look(self, batch_id: str) -> BatchState: ...

    async def results(self, batch_id: str) -> Mapping[str, Response]:
        """What a batch that is over brought, by the names of its requests; what is missing was not done."""
        ...


_NOT_DONE = "the batch ended before this request was done"


class Round:
    """The questions to one model, from the first lease to the last answer."""

    def __init__(
        self,
        model: BatchModel,
        questions: Sequence[Question],
        account: Account,
        emit: Callable[[Outcome | Waiting], None],
        stop: asyncio.Event,
    ) -> None:
        self._model, self._account, self._emit, self._stop = model, account, emit, stop
        self._todo = {question.key: question for question in questions}
        self._n_sent = dict.fromkeys(self._todo, 0)
        self._n_failed_in_a_row = 0

    async def run(self) -> None:
        while self._todo and not self._stop.is_set():
            try:
                await self._go_round()
                self._n_failed_in_a_row = 0
            except CallFailed as failed:
                # A day is long: a provider that is away for a while ends nothing.
                self._n_failed_in_a_row += 1
                if not failed.is_transient or self._n_failed_in_a_row >= MAX_FAILED_IN_A_ROW:
                    raise
            if self._todo:
                await self._wait()

    async def _go_round(self) -> None:
        # What is on its way comes first: its questions are not asked again.
        await self._trace()
        n_done = sum([await self._collect(batch) for batch in self._unfinished()])
        refused = await self._send()
        if refused is not None and not self._unfinished():
            question, refusal = refused
            worst = self._model.worst_case(_prompt(question))
            raise over_budget(refusal, self._account.limits, worst)
        self._tell(n_done)

    def _tell(self, n_done: int) -> None:
        out = self._unfinished()
        if out:
            seconds = self._account.now().timestamp() - out[0].prepared_at
            self._emit(Waiting(self._model.name, len(out), n_done, max(0.0, seconds)))

    def _unfinished(self) -> list[Batch]:
        return self._account.ledger.unfinished_batches([self._model.name])

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), self._model.poll_s)
        except TimeoutError:
            return

    async def _trace(self) -> None:
        """Batches of which nobody knows whether they were sent: the provider does."""
        account = self._account
        for batch in self._unfinished():
            if batch.batch_id is not None:
                continue
            found = await self._model.find(batch.token, batch.prepared_at)
            if found is not None:
                account.ledger.note_submitted(batch.token, found)
            elif account.now().timestamp() - batch.prepared_at > SUBMIT_S:
                account.ledger.drop_batch(batch.token)

    async def _send(self) -> tuple[Question, Refusal] | None:
        """Send what nobody else asks; returns the first question that there is no money for."""
        short = None
        todo = list(self._todo.values())
        for start in range(0, len(todo), self._model.max_requests):
            asked = todo[start : start + self._model.max_requests]
            token = uuid4().hex
            outcomes = self._prepare(token, asked)
            sent = {q.key.response_id(q.attempt): q for q, o in outcomes if isinstance(o, Lease)}
            for question, outcome in outcomes:
                if isinstance(outcome, Refusal):
                    short = self._note_refusal(question, outcome) or short
            if sent:
                await self._submit(token, sent)
        return short

    def _prepare(self, token: str, asked: Sequence[Question]) -> list[tuple[Question, Lease | Refusal]]:
        account = self._account
        outcomes = account.ledger.prepare_batch(
            [Wanted(q.key, q.attempt, self._model.worst_case(_prompt(q)).usd) for q in asked],
            {q.key.prompt_id: q.messages for q in asked},
            token=token,
            limits=account.limits,
            now=account.now(),
        )
        return list(zip(asked, outcomes, strict=True))

    def _note_refusal(self, question: Question, refusal: Refusal) -> tuple[Question, Refusal] | None:
        if refusal.reason == "answered":
            answer = self._account.ledger.latest([question.key])[question.key]
            self._end(question, Outcome(answer, was_sent=False))
        return (question, refusal) if refusal.left_usd is not None else None

    async def _submit(self, token: str, sent: Mapping[str, Question]) -> None:
        try:
            batch_id = await self._model.submit(token, {name: _prompt(q) for name, q in sent.items()})
        except ProviderError as error:
            # Where it may have been taken, the next round asks the provider.
            if not (isinstance(error, CallFailed) and error.may_be_billed):
                self._account.ledger.drop_batch(token)
            raise
        self._account.ledger.note_submitted(token, batch_id)

    async def _collect(self, batch: Batch) -> int:
        """Keep what a batch brought, if it is over; else how much of it is done."""
        if batch.batch_id is None:
            return 0
        state = await self._model.look(batch.batch_id)
        if not state.is_over:
            self._account.ledger.renew_batch(batch.token, now=self._account.now())
            return state.n_done
        results = {} if state.is_lost else await self._model.results(batch.batch_id)
        # What a provider has not done it does not bill; without a cost, the worst case is taken.
        usd = None if state.is_lost else 0.0
        missing = Response("", None, "failed", cost_usd=usd, detail=state.detail or _NOT_DONE)
        at = self._account.now().astimezone(UTC).isoformat()

        def stored(lease: Lease) -> StoredAnswer:
            key, attempt = lease.wanted.key, lease.wanted.attempt
            response = results.get(key.response_id(attempt), missing)
            response = replace(response, model=key.model, text=storable(response.text))
            return StoredAnswer(key, attempt, response, at)

        for answer in self._account.ledger.finish_batch(batch.token, stored):
            self._note(answer)
        return 0

    def _note(self, answer: StoredAnswer) -> None:
        question = self._todo.get(answer.key)
        if question is None:
            return
        self._n_sent[answer.key] += 1
        is_failed = answer.response.status == "failed"
        if is_failed and self._n_sent[answer.key] < self._model.policy.attempts:
            self._emit(Outcome(answer, is_final=False))
        else:
            self._end(question, Outcome(answer))

    def _end(self, question: Question, outcome: Outcome) -> None:
        del self._todo[question.key]
        self._emit(outcome)


def _prompt(question: Question) -> Prompt:
    return prompt_from(question.key.prompt_id, question.messages)


async def ask_batches(
    questions: Sequence[Question],
    account: Account,
    emit: Callable[[Outcome | Waiting], None],
    stop: asyncio.Event,
) -> None:
    """Ask every question by the batch; each outcome is emitted once it is on disk, and each look that waits.

    On a stop nothing new is sent; what the provider has stays with it, and the next run fetches it.

    Raises:
        BudgetExceeded: The next request might cost more than is left, and no batch is out.
        ProviderError, LedgerError: The same as for live calls.
    """
    by_model: dict[int, list[Question]] = {}
    for question in questions:
        by_model.setdefault(id(question.model), []).append(question)
    rounds = []
    for asked in by_model.values():
        model = asked[0].model
        if not isinstance(model, BatchModel):
            raise TypeError(f"{model.name} is not asked by the batch")
        rounds.append(asyncio.create_task(Round(model, asked, account, emit, stop).run()))
    try:
        await asyncio.gather(*rounds)
    finally:
        stop.set()
        await asyncio.gather(*rounds, return_exceptions=True)
        for asked in by_model.values():
            await asked[0].model.close()
