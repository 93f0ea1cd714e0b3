"""Stage `llm_responses`: ask what the ledger has no answer to, and keep each answer before anyone sees it.

The promise: an answer that the ledger acknowledged is never asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.errors import InputError
from pkgraph.llm.answers import AnswerKey, StoredAnswer, parameters_json, storable
from pkgraph.llm.background import Background
from pkgraph.llm.batching import BatchModel, Waiting, ask_batches
from pkgraph.llm.calling import Account, Outcome, Question, call_all
from pkgraph.llm.holders import new_holder
from pkgraph.llm.leases import LEASE_S, Limits
from pkgraph.llm.replay import ReplayLanguageModel
from pkgraph.model import Response
from pkgraph.prompts.rendering import prompt_from
from pkgraph.tables import LLM_RESPONSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pkgraph.llm.ledger import Ledger
    from pkgraph.model import LanguageModel

READABLE = "read"
"""The parse status of an answer that need not be asked for again."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is; counts are of prompt x model x sample.

    Attributes:
        n_reused: Answered by the ledger, nothing sent.
        input_tokens: Of the requests of this run, as far as they are known; likewise `output_tokens`.
        cost_usd: Of the requests of this run, failed ones included.
        left_usd: What the budget or the daily cap still allows, whichever is less; None without either.
        waiting: The last look at a provider that works on a batch; None where none is out.
    """

    n_total: int
    n_reused: int = 0
    n_answered: int = 0
    n_unanswered: int = 0
    n_failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    left_usd: float | None = None
    waiting: Waiting | None = None

    @property
    def n_done(self) -> int:
        return self.n_reused + self.n_answered + self.n_unanswered + self.n_failed

    def after(self, outcome: Outcome) -> Progress:
        """The same with one request more."""
        if not outcome.was_sent:
            return replace(self, n_reused=self.n_reused + 1)
        response = outcome.answer.response
        field, usd = f"n_{response.status}", response.cost_usd or 0.0
        return replace(
            self,
            **({field: getattr(self, field) + 1} if outcome.is_final else {}),
            input_tokens=self.input_tokens + (response.input_tokens or 0),
            output_tokens=self.output_tokens + (response.output_tokens or 0),
            cost_usd=self.cost_usd + usd,
            left_usd=None if self.left_usd is None else max(0.0, self.left_usd - usd),
            waiting=None,
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """One prompt to one model for one sample, and what the ledger knows of it."""

    key: AnswerKey
    model: LanguageModel | ReplayLanguageModel
    messages: str
    known: StoredAnswer | None

    @property
    def next_attempt(self) -> int:
        return 0 if self.known is None else self.known.attempt + 1


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where questions are asked: the ledger, the clock, and who says whether an answer can be read."""

    ledger: Ledger
    now: Callable[[], datetime]
    parse_status: Callable[[str], str] | None
    attempts: int
    renew_before: Mapping[str, datetime]

    def needs_asking(self, question: _Asked) -> bool:
        known = question.known
        if known is None:
            return True
        moment = self.renew_before.get(question.key.prompt_id)
        if moment is not None and datetime.fromisoformat(known.asked_at) <= moment:
            return True
        if self.parse_status is None or question.next_attempt >= self.attempts:
            return False
        return self.parse_status(known.response.text or "") != READABLE

    def replayed(self, question: _Asked, model: ReplayLanguageModel) -> StoredAnswer:
        """What the recorded model says; nothing is written yet."""
        prompt = prompt_from(question.key.prompt_id, question.messages)
        response = model.answer(prompt, sample=question.key.sample)
        return self.stored(question, replace(response, text=storable(response.text)))

    def stored(self, question: _Asked, response: Response) -> StoredAnswer:
        asked_at = self.now().astimezone(UTC).isoformat()
        return StoredAnswer(question.key, question.next_attempt, response, asked_at)

    def note_readings(self, answers: Iterable[StoredAnswer]) -> None:
        """Let the parser see what is kept; its word is noted where it is new."""
        if self.parse_status is None:
            return
        texts = {a.response_id: (a.parse_status, a.response.text) for a in answers if a.response.text}
        said = {key: (former, self.parse_status(text)) for key, (former, text) in texts.items() if text}
        self.ledger.note_readings({key: word for key, (former, word) in said.items() if word != former})

    def standing(self, answer: StoredAnswer) -> StoredAnswer:
        """The answer, or the newest one before it that can be read where it cannot itself."""
        if self.parse_status is None or answer.attempt == 0 or self._can_be_read(answer):
            return answer
        former = (one for one in self.ledger.attempts(answer.key) if self._can_be_read(one))
        return next(former, answer)

    def _can_be_read(self, answer: StoredAnswer) -> bool:
        text = answer.response.text
        return self.parse_status is not None and bool(text) and self.parse_status(text or "") == READABLE

    def not_asked(self, question: _Asked) -> StoredAnswer:
        """The row of a question that may not be asked: how it failed last, or that it was not asked."""
        failed = self.ledger.last_failure(question.key)
        if failed is not None:
            return replace(failed, attempt=question.next_attempt)
        return self.stored(
            question, Response(question.key.model, None, "unanswered", detail="it was not asked")
        )


def _replayed(desk: _Desk, questions: Sequence[tuple[_Asked, ReplayLanguageModel]]) -> Iterator[StoredAnswer]:
    """Answers of recorded models: free, so they are read anew, and what the file says now counts.

    A prompt that the file lacks is no answer and leaves no trace, so that a later file or model can fill it.
    """
    fresh = []
    for question, model in questions:
        answer, known = desk.replayed(question, model), question.known
        if not answer.response.text or (known and known.response.text == answer.response.text):
            yield known or answer
        else:
            fresh.append(answer)
    yield from desk.ledger.record(fresh, {q.key.prompt_id: q.messages for q, _ in questions})


def _questions(
    prompts: pl.DataFrame, models: Sequence[LanguageModel | ReplayLanguageModel], ledger: Ledger, samples: int
) -> list[_Asked]:
    spelled = [(model, parameters_json(model.parameters)) for model in models]
    rows = prompts.unique("prompt_id").sort("prompt_id").select("prompt_id", "messages").rows()
    asked = [
        (AnswerKey(prompt_id, model.name, parameters, sample), model, messages)
        for model, parameters in spelled
        for prompt_id, messages in rows
        for sample in range(samples)
    ]
    known = ledger.latest(key for key, _, _ in asked)
    return [_Asked(key, model, messages, known.get(key)) for key, model, messages in asked]


def ask_all(
    prompts: pl.DataFrame,
    models: Sequence[LanguageModel | ReplayLanguageModel],
    ledger: Ledger,
    *,
    now: Callable[[], datetime],
    samples: int = 1,
    parse_status: Callable[[str], str] | None = None,
    attempts: int = 1,
    renew_before: Mapping[str, datetime] | None = None,
    limits: Limits | None = None,
    lease_s: float = LEASE_S,
    may_ask: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
) -> pl.DataFrame:
    """Every prompt to every model: from the ledger where it has the answer, else asked and kept there first.

    Args:
        prompts: The table `prompts`.
        models: Names must differ. Recorded models are replayed; live ones are asked, many at once.
        ledger: Where answers are kept; it is read first.
        now: The clock, with a time zone: for `asked_at`, leases and days.
        samples: Independent samples of each model, >= 1.
        parse_status: Says "read" of a text that can be read; with `attempts` > 1 others are asked for again.
        attempts: How often one sample is asked for at most while its answer cannot be read, >= 1.
        renew_before: Moment with a zone, by prompt_id: a live model's answer that was asked for no later than
            that is asked for again under a new attempt; until one comes that can be read the old one counts.
        limits: What may be spent, and for which run; None is a run of its own without limits.
        lease_s: How long a question stays taken after its process died.
        may_ask: Whether live models may be asked at all; without, the ledger's answers are all there is.
        on_progress: Called in this thread after each request, and after each look at a batch that is out.

    Returns:
        The table `llm_responses`: a row for every prompt, model and sample, answered or not.

    Raises:
        BudgetExceeded: The next request might cost more than is left. It was not sent.
        ProviderGone: No further call can succeed. No new call was started; every answer that came is kept.
        ProviderError: Too many prompts failed in a row. The same.
        LedgerError: The ledger is out of reach. The run stops.
    """
    desk = _Desk(ledger, now, parse_status, attempts, renew_before or {})
    questions = _questions(prompts, models, ledger, samples)
    replayed = [(q, q.model) for q in questions if isinstance(q.model, ReplayLanguageModel)]
    live = [q for q in questions if not isinstance(q.model, ReplayLanguageModel)]
    to_ask = [q for q in live if desk.needs_asking(q)] if may_ask else []
    answers = {q.key: q.known for q in live if q.known is not None}
    if not may_ask:
        answers |= {q.key: desk.not_asked(q) for q in live if q.known is None}
    holder = new_holder()
    account = Account(ledger, holder, limits or Limits(holder), now, lease_s)
    left_usd = _left_usd(account) if to_ask else None
    progress = Progress(len(questions), n_reused=len(live) - len(to_ask), left_usd=left_usd)

    def note(outcome: Outcome | Waiting) -> None:
        nonlocal progress
        progress = replace(progress, waiting=outcome) if isinstance(outcome, Waiting) else counted(outcome)
        if on_progress is not None:
            on_progress(progress)

    def counted(outcome: Outcome) -> Progress:
        # A failed new attempt does not take the place of an answer, even of one that could not be read.
        if outcome.answer.response.status != "failed" or outcome.answer.key not in answers:
            answers[outcome.answer.key] = outcome.answer
        return progress.after(outcome)

    if on_progress is not None:
        on_progress(progress)
    for answer in _replayed(desk, replayed):
        note(Outcome(answer))
    _ask(to_ask, account, note)
    desk.note_readings(answers.values())
    # A recorded model's file is what counts; of a live model, what it said better before.
    asked_live = {q.key for q in live}
    standing = [desk.standing(a) if a.key in asked_live else a for a in answers.values()]
    return _table(prompts, standing)


def _ask(to_ask: Sequence[_Asked], account: Account, note: Callable[[Outcome | Waiting], None]) -> None:
    """Ask live models; what is in flight when anything goes wrong is still kept."""
    questions = [
        Question(q.key, q.model, q.messages, q.next_attempt)
        for q in to_ask
        if not isinstance(q.model, ReplayLanguageModel)
    ]
    # Looked at once a model: a look at a protocol takes 30 us, and there are thousands of questions.
    models = {id(q.model): q.model for q in questions}
    by_batch = {key for key, model in models.items() if isinstance(model, BatchModel)}
    batched = [q for q in questions if id(q.model) in by_batch]
    live = [q for q in questions if id(q.model) not in by_batch]
    _refuse_while_batches_are_out(account.ledger, {q.key.model for q in live})
    if live:
        Background[Outcome | Waiting](partial(call_all, live, account)).run(note)
    if batched:
        Background[Outcome | Waiting](partial(ask_batches, batched, account)).run(note)


def _refuse_while_batches_are_out(ledger: Ledger, models: set[str]) -> None:
    """Live calls would wait for the questions of a batch that nobody fetches."""
    out = ledger.unfinished_batches(models) if models else []
    if out:
        raise InputError(
            f"A batch of {out[0].model} is not fetched yet.",
            remedy='Run again with `transport = "batch"` of this model until it is.',
        )


def _left_usd(account: Account) -> float | None:
    limits = account.limits
    spent = account.ledger.spent(limits, account.now())
    left = [
        max(0.0, limit - so_far)
        for limit, so_far in ((limits.budget_usd, spent.run_usd), (limits.daily_cap_usd, spent.day_usd))
        if limit is not None
    ]
    return min(left, default=None)


def _table(prompts: pl.DataFrame, answers: Sequence[StoredAnswer]) -> pl.DataFrame:
    columns = LLM_RESPONSES.columns
    rows = [
        {
            "response_id": answer.response_id,
            **answer.key._asdict(),
            "attempt": answer.attempt,
            **{
                name: getattr(answer.response, name)
                for name in Response.__dataclass_fields__
                if name in columns
            },
        }
        for answer in answers
    ]
    own = [name for name in columns if name not in _FROM_PROMPTS or name == "prompt_id"]
    said = pl.DataFrame(rows, schema={name: columns[name].dtype for name in own})
    about = prompts.unique("prompt_id").select(_FROM_PROMPTS)
    return LLM_RESPONSES.conform(said.join(about, on="prompt_id", how="left"))


_FROM_PROMPTS = ("prompt_id", "template", "source_kind_id", "source_kind", "source_category", "rationale")
