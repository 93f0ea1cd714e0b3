"""Stage `llm_responses`: ask what the ledger has no answer to, and keep each answer before anyone sees it.

The promise: an answer that `Ledger.record` acknowledged is never asked for again.
What a kill can cost is the calls in flight, at most `max_workers`: sent, and the answer not committed.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.llm.answers import AnswerKey, StoredAnswer, parameters_json, storable
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
        cost_usd: Known cost of the calls of this run.
    """

    n_total: int
    n_reused: int = 0
    n_answered: int = 0
    n_unanswered: int = 0
    n_failed: int = 0
    cost_usd: float = 0.0

    @property
    def n_done(self) -> int:
        return self.n_reused + self.n_answered + self.n_unanswered + self.n_failed

    def with_outcome(self, response: Response) -> Progress:
        field = f"n_{response.status}"
        return replace(
            self, **{field: getattr(self, field) + 1}, cost_usd=self.cost_usd + (response.cost_usd or 0.0)
        )


@dataclass(frozen=True, slots=True)
class _Question:
    """One prompt to one model for one sample, and what the ledger knows of it."""

    key: AnswerKey
    model: LanguageModel
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

    def needs_asking(self, question: _Question) -> bool:
        known = question.known
        if known is None:
            return True
        moment = self.renew_before.get(question.key.prompt_id)
        if moment is not None and datetime.fromisoformat(known.asked_at) <= moment:
            return True
        if self.parse_status is None or question.next_attempt >= self.attempts:
            return False
        return self.parse_status(known.response.text or "") != READABLE

    def answer_to(self, question: _Question) -> StoredAnswer:
        """Call the model; nothing is written yet."""
        prompt = prompt_from(question.key.prompt_id, question.messages)
        asked_at = self.now().astimezone(UTC).isoformat()
        response = question.model.answer(prompt, sample=question.key.sample)
        response = replace(response, model=question.key.model, text=storable(response.text))
        return StoredAnswer(question.key, question.next_attempt, response, asked_at)

    def note_readings(self, answers: Iterable[StoredAnswer]) -> None:
        """Let the parser see what is kept; its word is noted where it is new."""
        if self.parse_status is None:
            return
        texts = {a.response_id: (a.parse_status, a.response.text) for a in answers if a.response.text}
        said = {key: (former, self.parse_status(text)) for key, (former, text) in texts.items() if text}
        self.ledger.note_readings({key: word for key, (former, word) in said.items() if word != former})

    def settle(self, question: _Question) -> StoredAnswer:
        """Call the model and keep what came; when this returns, it is on disk."""
        answer = self.answer_to(question)
        messages = {question.key.prompt_id: question.messages}
        if answer.response.status != "failed":
            return self.ledger.record([answer], messages)[0]
        self.ledger.record_unused(answer, messages)
        return answer


def _replayed(desk: _Desk, questions: Sequence[_Question]) -> Iterator[StoredAnswer]:
    """Answers of recorded models: free, so they are read anew, and what the file says now counts.

    A prompt that the file lacks is no answer and leaves no trace, so that a later file or model can fill it.
    """
    fresh = []
    for question in questions:
        answer, known = desk.answer_to(question), question.known
        if not answer.response.text or (known and known.response.text == answer.response.text):
            yield known or answer
        else:
            fresh.append(answer)
    yield from desk.ledger.record(fresh, {q.key.prompt_id: q.messages for q in questions})


def _asked(desk: _Desk, questions: Sequence[_Question], max_workers: int) -> Iterator[StoredAnswer]:
    """Answers of live models in the order they come; on any error, what is in flight is still kept."""
    stop = threading.Event()

    def settle(question: _Question) -> StoredAnswer | None:
        if stop.is_set():
            return None
        try:
            return desk.settle(question)
        except BaseException:
            stop.set()
            raise

    pool = ThreadPoolExecutor(max_workers=max_workers, thread_name_prefix="asking")
    try:
        for future in as_completed([pool.submit(settle, question) for question in questions]):
            answer = future.result()
            if answer is not None:
                yield answer
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _questions(
    prompts: pl.DataFrame, models: Sequence[LanguageModel], ledger: Ledger, samples: int
) -> list[_Question]:
    spelled = [(model, parameters_json(model.parameters)) for model in models]
    rows = prompts.unique("prompt_id").sort("prompt_id").select("prompt_id", "messages").rows()
    asked = [
        (AnswerKey(prompt_id, model.name, parameters, sample), model, messages)
        for model, parameters in spelled
        for prompt_id, messages in rows
        for sample in range(samples)
    ]
    known = ledger.latest(key for key, _, _ in asked)
    return [_Question(key, model, messages, known.get(key)) for key, model, messages in asked]


def ask_all(
    prompts: pl.DataFrame,
    models: Sequence[LanguageModel],
    ledger: Ledger,
    *,
    now: Callable[[], datetime],
    samples: int = 1,
    max_workers: int = 8,
    parse_status: Callable[[str], str] | None = None,
    attempts: int = 1,
    renew_before: Mapping[str, datetime] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> pl.DataFrame:
    """Every prompt to every model: from the ledger where it has the answer, else asked and kept there first.

    Args:
        prompts: The table `prompts`.
        models: Names must differ. Recorded models are replayed; live ones are asked by a pool of threads.
        ledger: Where answers are kept; it is read first.
        now: The clock, with a time zone; for `asked_at` alone.
        samples: Independent samples of each model, >= 1.
        max_workers: Calls in flight at most, >= 1; `answer` of a live model is called from as many threads.
        parse_status: Says "read" of a text that can be read; with `attempts` > 1 others are asked for again.
        attempts: How often one sample is asked for at most while its answer cannot be read, >= 1.
        renew_before: Moment with a zone, by prompt_id: a live model's answer that was asked for no later than
            that is asked for again under a new attempt; until that one comes the old one counts.
        on_progress: Called in this thread after each answer.

    Returns:
        The table `llm_responses`: a row for every prompt, model and sample, answered or not.

    Raises:
        ProviderGone: No further call can succeed. No new call was started; every answer that came is kept.
        LedgerError: The ledger is out of reach. The run stops.
    """
    desk = _Desk(ledger, now, parse_status, attempts, renew_before or {})
    questions = _questions(prompts, models, ledger, samples)
    replayed = [q for q in questions if isinstance(q.model, ReplayLanguageModel)]
    live = [q for q in questions if not isinstance(q.model, ReplayLanguageModel)]
    to_ask = [q for q in live if desk.needs_asking(q)]
    answers = {q.key: q.known for q in live if q.known is not None}
    progress = Progress(len(questions), n_reused=len(live) - len(to_ask))
    report = on_progress or (lambda _: None)
    report(progress)
    for source in (_replayed(desk, replayed), _asked(desk, to_ask, max_workers)):
        for answer in source:
            # A failed new attempt does not take the place of an answer, even of one that could not be read.
            if answer.response.status != "failed" or answer.key not in answers:
                answers[answer.key] = answer
            progress = progress.with_outcome(answer.response)
            report(progress)
    desk.note_readings(answers.values())
    return _table(prompts, list(answers.values()))


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
