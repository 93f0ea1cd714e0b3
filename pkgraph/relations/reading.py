"""Stage `relations`: answers become typed relations, and what cannot be read becomes rows with a reason.

Every answer leaves at least one row: a relation, a refused statement, a refusal of the whole answer, or an
`empty_list` (read, but the model says that it knows nothing). So nothing can vanish between two tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from pkgraph.model import rationale_id
from pkgraph.prompts.untrusted import plain
from pkgraph.relations.parsing import MAX_STATEMENTS, Parsed, parse_answer
from pkgraph.relations.statements import Statement, broken_rules, statement_from
from pkgraph.tables import RELATIONS, UNREADABLE_RESPONSES

if TYPE_CHECKING:
    from collections.abc import Iterator

EMPTY_LIST = "empty_list"
"""The one reason in `unreadable_responses` that counts as read: zero relations, honestly."""

_MAX_DETAIL_CHARS = 200


class _Answer(NamedTuple):
    """The columns of `llm_responses` that a relation takes over."""

    response_id: str
    prompt_id: str
    model: str
    sample: int
    source_kind_id: str | None
    source_kind: str | None
    source_category: str | None
    rationale: str | None
    status: str
    text: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class ReadAnswers:
    """What was read and what was not.

    Attributes:
        relations: The table `relations`.
        unreadable: The table `unreadable_responses`.
    """

    relations: pl.DataFrame
    unreadable: pl.DataFrame


def _refusal(answer: _Answer, position: int | None, reason: str, detail: str) -> dict[str, object]:
    return {
        "response_id": answer.response_id,
        "prompt_id": answer.prompt_id,
        "model": answer.model,
        "position": position,
        "reason": reason,
        "detail": plain(detail, limit=_MAX_DETAIL_CHARS),
    }


def _relation(
    answer: _Answer, position: int, statement: Statement, *, is_repaired: bool
) -> dict[str, object]:
    return {
        "relation_id": f"{answer.response_id}-{position}",
        "response_id": answer.response_id,
        "prompt_id": answer.prompt_id,
        "model": answer.model,
        "sample": answer.sample,
        "position": position,
        "source_kind_id": answer.source_kind_id,
        "source_kind": answer.source_kind,
        "source_category": answer.source_category,
        "relation_type": statement.relation,
        "rationale": statement.rationale,
        "rationale_id": rationale_id(statement.rationale),
        "product": statement.product,
        "explanation": statement.explanation,
        "stated_confidence": statement.confidence,
        "is_repaired": is_repaired,
    }


def _statements(parsed: Parsed, purpose: str | None) -> Iterator[Statement]:
    seen: set[tuple[str, str, str]] = set()
    last = len(parsed.statements) - 1
    for position, raw in enumerate(parsed.statements[:MAX_STATEMENTS]):
        statement = statement_from(raw, purpose=purpose)
        yield replace(
            statement,
            is_repeated=statement.identity in seen,
            is_cut_off=parsed.is_cut_off and position == last,
        )
        seen.add(statement.identity)


def _whole_fault(answer: _Answer, parsed: Parsed) -> tuple[str, str] | None:
    if answer.status != "answered" or answer.text is None:
        return "no_answer", answer.detail or answer.status
    if parsed.fault is not None:
        return parsed.fault, parsed.detail
    if not parsed.statements:
        return EMPTY_LIST, "the model names no relation"
    return None


def _read(answer: _Answer) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    parsed = parse_answer(answer.text or "")
    fault = _whole_fault(answer, parsed)
    if fault is not None:
        return [], [_refusal(answer, None, *fault)]
    relations, refusals = [], []
    for position, statement in enumerate(_statements(parsed, answer.rationale)):
        broken = broken_rules(statement)
        if broken:
            also = f" (also {', '.join(broken[1:])})" if broken[1:] else ""
            found = plain(str(statement.raw)[:_MAX_DETAIL_CHARS], limit=_MAX_DETAIL_CHARS - len(also))
            refusals.append(_refusal(answer, position, broken[0], found + also))
        else:
            relations.append(_relation(answer, position, statement, is_repaired=parsed.is_repaired))
    n_left_out = len(parsed.statements) - MAX_STATEMENTS
    if n_left_out > 0:
        # One row for all of them: an answer of a megabyte may hold a hundred thousand.
        detail = f"{n_left_out} statements beyond the first {MAX_STATEMENTS}"
        refusals.append(_refusal(answer, MAX_STATEMENTS, "too_many_statements", detail))
    return relations, refusals


def read_relations(responses: pl.DataFrame) -> ReadAnswers:
    """The relations of these answers, and a reason for everything that is none.

    Args:
        responses: The table `llm_responses`; a prompt without an answer is a row too, refused as no_answer.
    """
    relations: list[dict[str, object]] = []
    refusals: list[dict[str, object]] = []
    for row in responses.select(_Answer._fields).sort("response_id").iter_rows():
        read, refused = _read(_Answer(*row))
        relations += read
        refusals += refused
    return ReadAnswers(
        RELATIONS.conform(pl.DataFrame(relations, schema=RELATIONS.schema)),
        UNREADABLE_RESPONSES.conform(pl.DataFrame(refusals, schema=UNREADABLE_RESPONSES.schema)),
    )
