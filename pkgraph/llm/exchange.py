"""The ledger as JSONL, one answer a line: for a copy, for another machine, and to replay.

{"prompt_id": "9f2c...", "model": "gpt-5-mini", "parameters": {"temperature": 0.2}, "sample": 0, "attempt": 0,
 "text": "...", "usage": {"prompt_tokens": 411, "completion_tokens": 302}, "messages": [...], ...}

Only `prompt_id` and `text` are needed to be read again; recorded answers of others are imported as well.
Calls that brought no answer stay behind.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pkgraph.llm.answers import AnswerKey, StoredAnswer, parameters_json
from pkgraph.llm.replay import BadLine, answer_lines, response_from, row_from
from pkgraph.model import Message, prompt_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pkgraph.llm.ledger import Ledger

_MAX_NUMBER = 1_000_000
_CHUNK = 500


@dataclass(slots=True)
class Imported:
    """What became of a file.

    Attributes:
        n_known: Answers that were there already, word for word or otherwise; the ledger's stay.
    """

    n_new: int = 0
    n_known: int = 0
    bad_lines: list[BadLine] = field(default_factory=list)


def exported(ledger: Ledger) -> Iterator[str]:
    """A line an answer, without its newline, in the order of the keys: equal ledgers make equal files."""
    for answer, messages in ledger.everything():
        yield json.dumps(_object(answer, messages), ensure_ascii=False)


def _object(answer: StoredAnswer, messages: str | None) -> dict[str, object]:
    response = answer.response
    usage = {"prompt_tokens": response.input_tokens, "completion_tokens": response.output_tokens}
    return {
        "prompt_id": answer.key.prompt_id,
        "model": answer.key.model,
        "parameters": json.loads(answer.key.parameters),
        "sample": answer.key.sample,
        "attempt": answer.attempt,
        "status": response.status,
        "text": response.text,
        "finish_reason": response.finish_reason,
        "usage": usage,
        "cost_usd": response.cost_usd,
        "latency_s": response.latency_s,
        "detail": response.detail,
        "provider_model": response.provider_model,
        "asked_at": answer.asked_at,
        "messages": None if messages is None else json.loads(messages),
    }


def import_answers(ledger: Ledger, path: str | Path, *, name: str, imported_at: str) -> Imported:
    """Take over the answers of a file; a line that cannot be read costs itself alone.

    Args:
        ledger: Answers that it has are never replaced.
        path: JSONL, as `exported` writes it or as `ReplayLanguageModel` reads it.
        name: The model of lines that name none.
        imported_at: ISO 8601 in UTC, for lines that do not say when they were asked for.
    """
    done, samples = Imported(), dict[AnswerKey, int]()
    batch: list[tuple[StoredAnswer, str | None]] = []
    for number, line in enumerate(answer_lines(path), start=1):
        if not line.strip():
            continue
        row, fault = row_from(line)
        try:
            if fault is None:
                batch.append(_answer(row, samples, name=name, imported_at=imported_at))
        except _Odd as odd:
            fault = odd.reason, odd.detail
        if fault is not None:
            done.bad_lines.append(BadLine(number, *fault))
        if len(batch) == _CHUNK:
            _adopt(ledger, batch, done)
    _adopt(ledger, batch, done)
    return done


def _adopt(ledger: Ledger, batch: list[tuple[StoredAnswer, str | None]], done: Imported) -> None:
    messages = {answer.key.prompt_id: text for answer, text in batch if text is not None}
    n_new = ledger.adopt([answer for answer, _ in batch], messages)
    done.n_new, done.n_known = done.n_new + n_new, done.n_known + len(batch) - n_new
    batch.clear()


class _Odd(ValueError):
    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(detail)


def _answer(
    row: Mapping[str, object], samples: dict[AnswerKey, int], *, name: str, imported_at: str
) -> tuple[StoredAnswer, str | None]:
    model, parameters = row.get("model") or name, row.get("parameters") or {}
    if not isinstance(model, str) or not isinstance(parameters, dict):
        raise _Odd("wrong_key", "the model is no text, or the parameters are no object")
    whose = AnswerKey(str(row["prompt_id"]), model, parameters_json(parameters))
    samples[whose] = samples.get(whose, -1) + 1
    key = whose._replace(sample=_number(row, "sample", samples[whose]))
    asked_at = row.get("asked_at")
    response = response_from(model, row, is_free=False)
    said_at = asked_at if isinstance(asked_at, str) and len(asked_at) <= 40 else imported_at  # noqa: PLR2004
    return StoredAnswer(key, _number(row, "attempt", 0), response, said_at), _messages(row)


def _number(row: Mapping[str, object], name: str, default: int) -> int:
    value = row.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_NUMBER:
        raise _Odd("wrong_number", f"{name} is no number from 0 to {_MAX_NUMBER:,}")
    return value


def _messages(row: Mapping[str, object]) -> str | None:
    """The messages as the ledger keeps them; they must be those that the prompt's key is made of."""
    said = row.get("messages")
    if said is None:
        return None
    if not isinstance(said, list) or not all(_is_message(one) for one in said):
        raise _Odd("wrong_messages", "messages are no list of objects with role and content")
    messages = [Message(one["role"], one["content"]) for one in said]
    if prompt_id(messages) != row["prompt_id"]:
        raise _Odd("other_messages", "the prompt_id is not that of the messages")
    payload: Iterable[dict[str, str]] = [{"role": m.role, "content": m.content} for m in messages]
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("role", "content"))
