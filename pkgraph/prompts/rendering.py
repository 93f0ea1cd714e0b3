"""Stage `prompts`: kinds and purposes become rendered messages, one prompt each and never one a SKU.

Values are capped and lose what no shopper can see.
Braces in a shelf label are harmless, since only the template is a format string.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.errors import InputError, TemplateError
from pkgraph.model import Message, Prompt, normalise_rationale, prompt_id
from pkgraph.prompts.untrusted import plain
from pkgraph.tables import PROMPTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pkgraph.prompts.template import Template

# The longest label of the demo shop has 30 characters; 200 leave room for a title and bound its cost.
MAX_VALUE_CHARS = 200
_CHARS_PER_TOKEN = 4


def messages_json(messages: Sequence[Message]) -> str:
    """The messages as compact JSON, the very text that `prompt_id` is the SHA-256 of."""
    payload = [{"role": message.role, "content": message.content} for message in messages]
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def prompt_from(row_id: str, messages: str) -> Prompt:
    """The prompt of a row of the table `prompts`."""
    return Prompt(row_id, tuple(Message(m["role"], m["content"]) for m in json.loads(messages)))


def estimate_tokens(messages: Sequence[Message]) -> int:
    """Tokens of the messages, estimated as characters / 4, rounded up.

    Good enough to plan with: over the 61 prompts that a small open model answered for the demo, its server
    counted 372 tokens on average and this says 354. What is billed is counted by the provider.
    """
    return -(-sum(len(message.content) for message in messages) // _CHARS_PER_TOKEN)


def _row(template: Template, values: dict[str, str], source: dict[str, str | None]) -> dict[str, object]:
    user = template.user.format(**{name: values[name] for name in template.placeholders})
    messages = (Message("system", template.system), Message("user", user))
    return {
        "prompt_id": prompt_id(messages),
        "template": template.name,
        "source_kind_id": None,
        "source_kind": None,
        "source_category": None,
        "rationale": None,
        **source,
        "messages": messages_json(messages),
        "input_tokens": estimate_tokens(messages),
    }


def _prompts(rows: list[dict[str, object]]) -> pl.DataFrame:
    # Two labels that differ only in what `plain` takes away ask the same question: it is asked once, for the
    # first kind in order of its id.
    frame = pl.DataFrame(rows, schema=PROMPTS.schema)
    return PROMPTS.conform(frame.unique("prompt_id", keep="first", maintain_order=True))


def render_companions(kinds: pl.DataFrame, template: Template) -> pl.DataFrame:
    """One prompt a kind.

    Args:
        kinds: Columns kind_id, kind, category and department; without a department, the category stands in.
            The first row of a kind_id counts: put the department of most of its SKUs first, as the recorded
            answers did.
        template: One that asks about {kind}.

    Raises:
        TemplateError: The template asks about a purpose.
    """
    if template.is_about_purposes:
        raise TemplateError(
            f"The template {template.name} asks about purposes, and kinds are to be asked about."
        )
    rows = []
    for key, kind, category, department in (
        kinds.select("kind_id", "kind", "category", pl.col("department").cast(pl.String))
        .unique("kind_id", keep="first", maintain_order=True)
        .sort("kind_id")
        .iter_rows()
    ):
        values = {
            name: plain(value, limit=MAX_VALUE_CHARS)
            for name, value in (("kind", kind), ("category", category), ("department", department or ""))
        }
        values["department"] = values["department"] or values["category"]
        rows.append(
            _row(
                template,
                values,
                {"source_kind_id": key, "source_kind": kind, "source_category": category},
            )
        )
    return _prompts(rows)


def render_occasions(purposes: Iterable[str], template: Template) -> pl.DataFrame:
    """One prompt a purpose; two spellings of one purpose are one.

    Raises:
        TemplateError: The template asks about a kind.
        InputError: A purpose has no words.
    """
    if not template.is_about_purposes:
        raise TemplateError(
            f"The template {template.name} asks about kinds, and purposes are to be asked about."
        )
    spelled: dict[str, str] = {}
    for purpose in purposes:
        value = plain(purpose, limit=MAX_VALUE_CHARS)
        if not normalise_rationale(value):
            raise InputError(f"The purpose {purpose[:40]!r} has no words.", remedy="Remove it from the list.")
        spelled.setdefault(normalise_rationale(value), value)
    return _prompts(
        [_row(template, {"rationale": spelled[key]}, {"rationale": spelled[key]}) for key in sorted(spelled)]
    )
