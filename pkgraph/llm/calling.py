"""Many requests in flight: each is leased before it is sent, and its answer is on disk before anyone sees it.

What a kill can cost is what is in flight: sent, and the answer not committed.
The ledger knows these requests by their leases and counts them as spent.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, TypeGuard

from pkgraph.errors import BudgetExceeded, CallFailed, ProviderError, ProviderGone
from pkgraph.llm.answers import AnswerKey, StoredAnswer, storable
from pkgraph.llm.group_commit import GroupCommit
from pkgraph.llm.leases import LEASE_S, Lease, Limits, Refusal, Wanted
from pkgraph.llm.pacing import Pace
from pkgraph.llm.retrying import Backoff
from pkgraph.model import PacedModel, Response
from pkgraph.prompts.rendering import prompt_from

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pkgraph.llm.ledger import Ledger
    from pkgraph.llm.pacing import Turn
    from pkgraph.model import LanguageModel, Prompt, WorstCase

# After so many prompts in a row that used up their attempts, the provider is down for now.
MAX_FAILED_IN_A_ROW = 20
# What is in flight when a run is stopped has so long to come in: containers get 30 s before they are killed.
STOP_GRACE_S = 20.0
# A question that another process is asking is looked at again so often.
_LOOK_AGAIN_S = 0.5
# Workers begin as far apart as a request takes CPU time: their answers then come one after the other, and
# none waits until the loop is done with all the others.
_SPACING_S = 0.005
# Python looks for garbage every 700 allocations by default: 7 % of a run, in pauses of up to 0.1 s.
_GC_ALLOCATIONS = 100_000


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt to one live model for one sample, under the attempt number that its answer is to have."""

    key: AnswerKey
    model: LanguageModel
    messages: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        is_final: No other request for this question follows.
        was_sent: By this process; False where another one had answered first.
    """

    answer: StoredAnswer
    is_final: bool = True
    was_sent: bool = True


@dataclass(frozen=True, slots=True)
class Account:
    """In whose name requests are sent.

    Attributes:
        holder: One name a process and run.
        now: The clock, with a time zone.
    """

    ledger: Ledger
    holder: str
    limits: Limits
    now: Callable[[], datetime]
    lease_s: float = LEASE_S


class Desk:
    """Leases, sends and settles; one event loop's worth."""

    def __init__(self, account: Account, emit: Callable[[Outcome], None], stop: asyncio.Event) -> None:
        self._account, self.emit, self.stop = account, emit, stop
        self._lease = GroupCommit(self._lease_all)
        self._settle = GroupCommit(self._settle_all)
        # Every lease that is open, and of those the moment and the task of what is on the way.
        self._open: dict[int, tuple[Lease, Question]] = {}
        self._sent_at: dict[int, str] = {}
        self.sending: dict[int, asyncio.Task[object] | None] = {}
        self._is_short_of_money = asyncio.Lock()
        self._settled = asyncio.Event()
        self._n_settled = 0

    def _lease_all(self, asked: Sequence[tuple[Question, WorstCase]]) -> list[Lease | Refusal]:
        account = self._account
        outcomes = account.ledger.lease(
            [Wanted(question.key, question.attempt, worst.usd) for question, worst in asked],
            holder=account.holder,
            limits=account.limits,
            now=account.now(),
            seconds=account.lease_s,
        )
        # Noted here, so that no lease is forgotten whose worker was cancelled meanwhile.
        for (question, _), outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, Lease):
                self._open[outcome.sequence] = (outcome, question)
        return outcomes

    def _settle_all(self, calls: Sequence[tuple[Lease, StoredAnswer, str]]) -> list[StoredAnswer]:
        messages = {answer.key.prompt_id: text for _, answer, text in calls}
        return self._account.ledger.settle([(lease, answer) for lease, answer, _ in calls], messages)

    async def lease(self, question: Question, worst: WorstCase) -> Lease | Refusal:
        """A lease; a refusal where somebody else asks or has answered.

        Raises:
            BudgetExceeded: The worst case does not fit, and nothing is in flight that could give money back.
        """
        outcome = await self._lease((question, worst))
        if not _is_about_money(outcome):
            return outcome
        async with self._is_short_of_money:  # one asks again for all
            while True:
                self._settled.clear()
                n_settled = self._n_settled
                outcome = await self._lease((question, worst))
                if not _is_about_money(outcome):
                    return outcome
                if not self._open and n_settled == self._n_settled:
                    raise over_budget(outcome, self._account.limits, worst)
                await self._settled.wait()

    def note_sending(self, lease: Lease, sender: asyncio.Task[object] | None) -> None:
        self._sent_at[lease.sequence] = self._account.now().astimezone(UTC).isoformat()
        self.sending[lease.sequence] = sender

    async def settle(self, lease: Lease, question: Question, response: Response) -> StoredAnswer:
        """Keep what came; when this returns, it is on disk."""
        if lease.sequence not in self._sent_at:  # it failed before it could be sent
            self.note_sending(lease, asyncio.current_task())
        answer = self._stored(lease, question, response)
        kept = await self._settle((lease, answer, question.messages))
        del self._open[lease.sequence], self._sent_at[lease.sequence], self.sending[lease.sequence]
        self._n_settled += 1
        self._settled.set()
        return kept

    def _stored(self, lease: Lease, question: Question, response: Response) -> StoredAnswer:
        response = replace(response, model=question.key.model, text=storable(response.text))
        return StoredAnswer(question.key, question.attempt, response, self._sent_at[lease.sequence])

    def answered_by_others(self, question: Question) -> StoredAnswer:
        return self._account.ledger.latest([question.key])[question.key]

    async def beat(self) -> None:
        """Say again and again that this process lives."""
        account = self._account
        while True:
            await asyncio.sleep(account.lease_s / 3)
            await asyncio.to_thread(
                account.ledger.renew, account.holder, now=account.now(), seconds=account.lease_s
            )

    async def wind_up(self) -> None:
        """Give back what was not sent; what was sent and brought nothing may have been paid for."""
        await self._lease.drained()
        await self._settle.drained()
        left = [self._open[sequence] for sequence in sorted(self._open)]
        cut_off = Response("", None, "failed", detail="cut off when the run was stopped")
        sent = [(lease, question) for lease, question in left if lease.sequence in self._sent_at]
        self._account.ledger.release([lease for lease, _ in left if lease.sequence not in self._sent_at])
        self._account.ledger.settle(
            [(lease, self._stored(lease, question, cut_off)) for lease, question in sent],
            {question.key.prompt_id: question.messages for _, question in sent},
        )


def _is_about_money(outcome: Lease | Refusal) -> TypeGuard[Refusal]:
    return isinstance(outcome, Refusal) and outcome.left_usd is not None


def over_budget(refusal: Refusal, limits: Limits, worst: WorstCase) -> BudgetExceeded:
    """A refusal for want of money, as an error."""
    what, remedy = (
        (
            f"The budget of {limits.budget_usd:.2f} USD",
            "Raise it, or build from what is known with --budget 0.",
        )
        if refusal.reason == "budget"
        else (f"The daily cap of {limits.daily_cap_usd:.2f} USD", "Go on tomorrow (UTC), or raise the cap.")
    )
    return BudgetExceeded(
        f"{what} has {refusal.left_usd:.4f} USD left, and the next request may cost {worst.usd:.4f} USD.",
        remedy=f"{remedy} What was answered is kept, and was never paid for twice.",
    )


class Line:
    """The questions to one provider, at its pace."""

    def __init__(self, questions: Sequence[Question], desk: Desk) -> None:
        policy = questions[0].model.policy
        self._todo = deque(questions)
        self._desk = desk
        self._policy = policy
        self._pace = Pace(
            policy.max_at_once,
            requests_per_minute=policy.requests_per_minute,
            tokens_per_minute=policy.tokens_per_minute,
            clock=time.monotonic,
        )
        self._n_failed_in_a_row = 0
        self._held_at: dict[AnswerKey, float] = {}
        # While as many are on the way, as many again are leased, settled, or wait for another attempt.
        self.n_workers = min(len(questions), 2 * policy.max_at_once)

    async def work(self, number: int) -> None:
        """Take one question after the other until none is left; the workers are numbered from 0."""
        await asyncio.sleep(number * _SPACING_S)
        while self._todo and not self._desk.stop.is_set():
            await self._ask(self._todo.popleft())

    async def _ask(self, question: Question) -> None:
        import stamina  # noqa: PLC0415 - only live models need it

        backoff = Backoff(self._policy.first_wait_s, random.uniform, lambda: not self._desk.stop.is_set())
        attempts = stamina.retry_context(on=backoff, attempts=self._policy.attempts, timeout=None)
        try:
            async for attempt in attempts:
                with attempt:
                    await self._request(question, is_last=attempt.num == self._policy.attempts)
        except CallFailed as failed:
            self._note_failure(question, failed)

    async def _request(self, question: Question, *, is_last: bool) -> None:
        """Send one request for the question, if nobody else does, and keep what comes."""
        prompt = prompt_from(question.key.prompt_id, question.messages)
        worst = question.model.worst_case(prompt)
        lease = await self._desk.lease(question, worst)
        if isinstance(lease, Refusal):
            await self._stand_back(question, lease)
            return
        sender = asyncio.current_task()
        turn = self._pace.turn(worst.tokens, on_begin=lambda: self._desk.note_sending(lease, sender))
        try:
            response, error = await _answer(question, prompt, worst, turn)
            self._note_pace(turn, response, error, worst)
        except BaseException:
            turn.end()
            raise
        # Whoever waits for the place of one that was sent away for good would be sent away as well.
        if not isinstance(error, ProviderGone):
            turn.end()
        kept = await self._desk.settle(lease, question, response)
        may_try_again = isinstance(error, CallFailed) and error.is_transient and not self._desk.stop.is_set()
        self._desk.emit(Outcome(kept, is_final=is_last or not may_try_again))
        if error is not None:
            raise error
        self._n_failed_in_a_row = 0

    def _note_pace(
        self, turn: Turn, response: Response, error: ProviderError | None, worst: WorstCase
    ) -> None:
        if error is None:
            self._pace.answered(max(0, worst.tokens - _tokens(response, worst)))
        elif isinstance(error, CallFailed) and error.slows_down and turn.sent_at is not None:
            self._pace.slow_down(turn.sent_at, error.retry_after_s)

    async def _stand_back(self, question: Question, refusal: Refusal) -> None:
        """Somebody else has answered, or is asking: then the question comes again later."""
        if refusal.reason == "answered":
            answer = await asyncio.to_thread(self._desk.answered_by_others, question)
            self._desk.emit(Outcome(answer, was_sent=False))
            return
        loop = asyncio.get_running_loop()
        if question.key in self._held_at:
            await asyncio.sleep(_LOOK_AGAIN_S - min(loop.time() - self._held_at[question.key], _LOOK_AGAIN_S))
        self._held_at[question.key] = loop.time()
        self._todo.append(question)

    def _note_failure(self, question: Question, failed: CallFailed) -> None:
        if failed.is_transient:
            self._n_failed_in_a_row += 1
        if self._n_failed_in_a_row >= MAX_FAILED_IN_A_ROW:
            raise ProviderError(
                f"The provider of {question.key.model} failed {self._n_failed_in_a_row} prompts in a row: "
                f"{failed.what}",
                remedy="What was answered is kept. Run again later.",
            )


async def _answer(
    question: Question, prompt: Prompt, worst: WorstCase, turn: Turn
) -> tuple[Response, ProviderError | None]:
    """What came, or a failed response and why."""
    model, sample = question.model, question.key.sample
    try:
        if isinstance(model, PacedModel):
            return await model.answer_in_turn(prompt, turn, sample=sample), None
        await turn.begin()
        return await model.answer(prompt, sample=sample), None
    except ProviderError as error:
        may_be_billed = isinstance(error, CallFailed) and error.may_be_billed
        cost_usd = worst.usd if may_be_billed else 0.0
        return Response("", None, "failed", cost_usd=cost_usd, detail=error.what), error


def _tokens(response: Response, worst: WorstCase) -> int:
    if response.input_tokens is None or response.output_tokens is None:
        return worst.tokens
    return response.input_tokens + response.output_tokens


async def call_all(
    questions: Sequence[Question],
    account: Account,
    emit: Callable[[Outcome], None],
    stop: asyncio.Event,
) -> None:
    """Ask every question, as fast as the providers allow; each outcome is emitted once it is on disk.

    Raises:
        BudgetExceeded, ProviderError, LedgerError: Nothing new is sent; what is in flight is kept first.
    """
    import stamina  # noqa: PLC0415 - only live models need it

    # Its default hook prints a line a retry into the progress bar.
    stamina.instrumentation.set_on_retry_hooks(())
    desk = Desk(account, emit, stop)
    by_provider: dict[str, list[Question]] = {}
    for question in questions:
        by_provider.setdefault(question.model.policy.provider, []).append(question)
    lines = [Line(asked, desk) for asked in by_provider.values()]
    restored = gc.get_threshold()
    gc.set_threshold(max(restored[0], _GC_ALLOCATIONS), *restored[1:])
    workers = [asyncio.create_task(line.work(n)) for line in lines for n in range(line.n_workers)]
    beat = asyncio.create_task(desk.beat())
    try:
        await _until_done(workers, beat, desk)
    finally:
        gc.set_threshold(*restored)
        await asyncio.gather(beat, *workers, return_exceptions=True)
        await desk.wind_up()
        for model in {id(question.model): question.model for question in questions}.values():
            await model.close()


async def _until_done(workers: Sequence[asyncio.Task[None]], beat: asyncio.Task[None], desk: Desk) -> None:
    """Wait for the workers; on a stop or an error, for those alone that have sent something."""
    stopping = asyncio.create_task(desk.stop.wait())
    running: set[asyncio.Task[object]] = set(workers)
    error = None
    try:
        while running and not desk.stop.is_set():
            over, _ = await asyncio.wait({*running, beat, stopping}, return_when=asyncio.FIRST_COMPLETED)
            running -= over
            error = error or next((e for task in over if (e := task.exception()) is not None), None)
            if error is not None:
                desk.stop.set()
        sending = set(desk.sending.values())
        for task in running - sending:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=STOP_GRACE_S)
    finally:
        for task in (*workers, beat, stopping):
            task.cancel()
    if error is not None:
        raise error
