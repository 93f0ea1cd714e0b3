"""What a judge answered becomes a verdict a statement; what cannot be read becomes a row with the reason.

A statement that the judge passed over has no verdict: it is missing, neither true nor false.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.prompts.judging import judged_statements
from pkgraph.prompts.untrusted import plain
from pkgraph.relations.parsing import MAX_ANSWER_CHARS
from pkgraph.tables import JUDGE_VERDICTS, UNREADABLE_VERDICTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# A verdict holds no objects, so whatever stands around the innermost ones, prose or a cut end, costs nothing.
_ENTRY = re.compile(r"\{[^{}]*\}")
_MAX_ENTRY_CHARS = 500
_MAX_DETAIL_CHARS = 200


@dataclass(frozen=True, slots=True)
class ReadVerdicts:
    """What was read and what was not.

    Attributes:
        verdicts: The table `judge_verdicts`.
        unreadable: The table `unreadable_verdicts`.
    """

    verdicts: pl.DataFrame
    unreadable: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Verdict:
    relation_ids: list[str]
    holds: float


@dataclass(frozen=True, slots=True)
class _Fault:
    reason: str
    detail: str


_ANSWER = ("response_id", "prompt_id", "model")


def verdict_status(text: str) -> str:
    """`read`, or why the answer as a whole cannot be read; the ledger keeps it beside the answer."""
    fault = _whole_fault(text)
    return fault.reason if fault else "read"


def read_verdicts(responses: pl.DataFrame, relations: pl.DataFrame) -> ReadVerdicts:
    """The verdicts of these answers, and a reason for everything that is none.

    Args:
        responses: Table `judge_responses`.
        relations: Table `relations`: the statements that were to be judged.
    """
    asked = _asked(relations)
    verdicts: list[dict[str, object]] = []
    refusals: list[dict[str, object]] = []
    for row in (
        responses.sort("response_id").select(*_ANSWER, "status", "text", "detail").iter_rows(named=True)
    ):
        about = {name: row[name] for name in _ANSWER}
        for place, found in _found(row, asked.get(row["prompt_id"], {})):
            if isinstance(found, _Fault):
                detail = plain(found.detail, limit=_MAX_DETAIL_CHARS)
                refusals.append({**about, "position": place, "reason": found.reason, "detail": detail})
            else:
                verdicts += [
                    {**about, "relation_id": one, "holds": found.holds} for one in found.relation_ids
                ]
    return ReadVerdicts(
        JUDGE_VERDICTS.conform(pl.DataFrame(verdicts, schema=JUDGE_VERDICTS.schema)),
        UNREADABLE_VERDICTS.conform(pl.DataFrame(refusals, schema=UNREADABLE_VERDICTS.schema)),
    )


def _asked(relations: pl.DataFrame) -> dict[str, dict[str, list[str]]]:
    """Prompt to the ids in it, each with its statements: several where they say the same."""
    found: dict[str, dict[str, list[str]]] = {}
    for relation_id, prompt_id, name in judged_statements(relations).iter_rows():
        found.setdefault(prompt_id, {}).setdefault(name, []).append(relation_id)
    return found


def _found(
    row: Mapping[str, str | None], asked: Mapping[str, list[str]]
) -> Iterator[tuple[int | None, _Verdict | _Fault]]:
    """What stands at each place of an answer, or why nothing can be read of it."""
    text = row["text"] if row["status"] == "answered" else None
    fault = _whole_fault(text) if text else _Fault("no_answer", row["detail"] or row["status"] or "")
    if fault is None:
        yield from enumerate(_verdicts(text or "", asked))
    else:
        yield None, fault


def _whole_fault(text: str) -> _Fault | None:
    if len(text) > MAX_ANSWER_CHARS:
        return _Fault("too_long", f"{len(text)} characters")
    if any(True for _ in _entries(text)):
        return None
    return _Fault("no_verdicts", f"no object with id and holds in it: {text[:100]}")


def _entries(text: str) -> Iterator[dict[str, object]]:
    for found in _ENTRY.finditer(text):
        if len(found[0]) > _MAX_ENTRY_CHARS:
            continue
        try:
            value = json.loads(found[0])
        except ValueError:
            continue
        if isinstance(value, dict) and value.keys() & {"id", "holds"}:
            yield value


def _verdicts(text: str, asked: Mapping[str, list[str]]) -> Iterator[_Verdict | _Fault]:
    """Each entry as a verdict or a fault; of two under one id the first counts."""
    said: set[str] = set()
    for entry in _entries(text):
        name, holds = str(entry.get("id")), _share(entry.get("holds"))
        if name not in asked:
            yield _Fault("unknown_id", str(entry))
        elif name in said:
            yield _Fault("repeated_id", str(entry))
        elif holds is None:
            yield _Fault("no_share", str(entry))
        else:
            said.add(name)
            yield _Verdict(asked[name], holds)


def _share(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= 1 else None
