"""What a second model is asked about the statements of a first one: one prompt an answer, all its statements.

It reads the statements and not who made them, nor how sure that model was. A prompt follows from the words of
one answer, so what another answer, category or index says never makes it be paid for again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.model import Message, content_key, prompt_id
from pkgraph.prompts.rendering import MAX_VALUE_CHARS, estimate_tokens, messages_json
from pkgraph.prompts.template import template_text
from pkgraph.prompts.untrusted import plain
from pkgraph.tables import PROMPTS

if TYPE_CHECKING:
    from collections.abc import Sequence

JUDGE_TEMPLATE = "judge.v1"
"""Its texts are the package's own: the signal means what they ask for."""

_WORDS = ("relation_type", "rationale", "product", "explanation")
_SOURCE = ("source_kind_id", "source_kind", "source_category")
_MIN_ID = 4


def judge_prompts(relations: pl.DataFrame) -> pl.DataFrame:
    """The table `prompts` of what a judge is asked about these statements.

    Args:
        relations: Table `relations`; all of an answer, or none of it.
    """
    return PROMPTS.conform(_rendered(relations).unique("prompt_id", keep="first", maintain_order=True))


def judged_statements(relations: pl.DataFrame) -> pl.DataFrame:
    """Under which id of which prompt each statement is judged: columns relation_id, prompt_id, id."""
    asked = _rendered(relations).select("prompt_id", "relation_id", "id")
    return asked.explode("relation_id", "id").select("relation_id", "prompt_id", "id").sort("relation_id")


def specimen(n_statements: int) -> str:
    """Messages as a judge gets them about an answer that is not there yet, to estimate with.

    The statement has 48 tokens; those of the demo have 50 on average (tokenizer of gpt-4o).
    """
    system, user = _texts()
    line = json.dumps({"id": "0f3a", **_SPECIMEN}, ensure_ascii=False)
    said = user.format(subject=_subject(_SPECIMEN_SOURCE), statements="\n".join([line] * n_statements))
    return messages_json((Message("system", system), Message("user", said)))


_SPECIMEN = {
    "relation": "occasion",
    "rationale": "mother's day gift",
    "product": "greeting card",
    "explanation": "Carnations for Mother's Day are usually given with a card.",
}
_SPECIMEN_SOURCE: dict[str, str | None] = {
    "source_kind_id": "carnations",
    "source_kind": "CARNATIONS",
    "source_category": "FLORAL-FRESH CUT",
}


def judge_text() -> str:
    """All that is asked but for the statements."""
    return "\n".join(_texts())


def _texts() -> tuple[str, str]:
    return template_text(f"{JUDGE_TEMPLATE}.system.txt"), template_text(f"{JUDGE_TEMPLATE}.user.txt")


def _rendered(relations: pl.DataFrame) -> pl.DataFrame:
    """A row an answer: the columns of `prompts`, and the lists relation_id and id of its statements."""
    system, user = _texts()
    answers = relations.sort("response_id", "position").group_by("response_id", maintain_order=True)
    rows = [_row(answer, system, user) for _, answer in answers]
    schema = {**PROMPTS.schema, "relation_id": pl.List(pl.String), "id": pl.List(pl.String)}
    return pl.DataFrame(rows, schema=schema)


def _row(answer: pl.DataFrame, system: str, user: str) -> dict[str, object]:
    first, words = answer.row(0, named=True), answer.select(_WORDS).rows()
    ids = _ids(words)
    lines = [
        json.dumps({"id": name, **dict(zip(("relation", *_WORDS[1:]), one, strict=True))}, ensure_ascii=False)
        for name, one in zip(ids, words, strict=True)
    ]
    said = user.format(subject=_subject(first), statements="\n".join(lines))
    messages = (Message("system", system), Message("user", said))
    return {
        "prompt_id": prompt_id(messages),
        "template": JUDGE_TEMPLATE,
        **{name: first[name] for name in _SOURCE},
        "rationale": first["rationale"] if first["source_kind_id"] is None else None,
        "messages": messages_json(messages),
        "input_tokens": estimate_tokens(messages),
        "relation_id": answer["relation_id"].to_list(),
        "id": ids,
    }


def _subject(statement: dict[str, str | None]) -> str:
    named = ("rationale",) if statement["source_kind_id"] is None else ("source_kind", "source_category")
    values = [plain(statement[name] or "", limit=MAX_VALUE_CHARS) for name in named]
    if len(values) == 1:
        return f"Purpose the shopper comes with: {values[0]}"
    return f"Product in the shopper's basket: {values[0]}\nIts shelf: {values[1]}"


def _ids(words: Sequence[tuple[str, ...]]) -> list[str]:
    """Short keys of the statements' words, so that no order can stand in for them."""
    keys = [content_key(*one, length=64) for one in words]
    length = _MIN_ID
    while len({key[:length] for key in keys}) < len(set(keys)):
        length += 1
    return [key[:length] for key in keys]
