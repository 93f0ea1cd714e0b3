"""Several kinds in one prompt: what they share is said once, each kind's answer comes under an id of its own.

    "product: TACO SHELLS ..." and "product: SALSA ..."     ->  one prompt with the ids 3fa1 and 9c02
    {"answers": [{"id": "3fa1", "relations": [...]}, ...]}  ->  the part of each id, as it stands

The ids are opaque, so that no order can stand in for them; what comes under another id is nobody's.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from string import Formatter
from typing import TYPE_CHECKING

from pkgraph.model import Message, Prompt, prompt_id
from pkgraph.prompts.template import load_template, template_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PACKED = "companions.v1"
"""The template whose prompts can be packed."""
PACK_TEMPLATE = "companions_batch.v1"
_ENTRY = re.compile(r'\{\s*"id"\s*:\s*"([0-9a-f]{4,64})"')
_MIN_ID = 4


@dataclass(frozen=True, slots=True)
class Pack:
    """One prompt about several kinds.

    Attributes:
        prompt_ids: The prompt of each kind, by its id within the pack.
    """

    prompt: Prompt
    prompt_ids: Mapping[str, str]


@cache
def _form() -> re.Pattern[str]:
    """What every user message of the packed template looks like; the values hold no line break."""
    parts = []
    for text, name, _, _ in Formatter().parse(load_template(PACKED).user):
        parts.append(re.escape(text) + (f"(?P<{name}>[^\n]*)" if name else ""))
    return re.compile("".join(parts))


def values_of(prompt: Prompt) -> dict[str, str] | None:
    """Kind, category and department that a prompt asks about; None where it is of another template."""
    system = load_template(PACKED).system
    if [message.role for message in prompt.messages] != ["system", "user"]:
        return None
    found = _form().fullmatch(prompt.messages[1].content)
    return found.groupdict() if found and prompt.messages[0].content == system else None


def _ids(prompts: Sequence[Prompt]) -> list[str]:
    """The shortest beginnings of the prompts' own ids that tell them apart."""
    length = _MIN_ID
    while len({prompt.prompt_id[:length] for prompt in prompts}) < len(prompts):
        length += 1
    return [prompt.prompt_id[:length] for prompt in prompts]


def pack(prompts: Sequence[Prompt]) -> Pack:
    """One prompt that asks what all of these ask; `values_of` knows each, and none comes twice."""
    ids, lines = _ids(prompts), []
    for name, prompt in zip(ids, prompts, strict=True):
        values = values_of(prompt) or {}
        item = {"id": name, "product": values["kind"], "shelf": values["category"]}
        lines.append(json.dumps({**item, "department": values["department"]}, ensure_ascii=False))
    user = template_text(f"{PACK_TEMPLATE}.user.txt").format(items="\n".join(lines))
    messages = (prompts[0].messages[0], Message("user", user))
    return Pack(
        Prompt(prompt_id(messages), messages),
        {name: prompt.prompt_id for name, prompt in zip(ids, prompts, strict=True)},
    )


def split(text: str, pack: Pack) -> dict[str, str]:
    """Each kind's part of the answer, verbatim, by prompt_id.

    A part that is cut off or broken costs itself; of two under one id the first counts, one under an id that
    was not asked about is dropped.
    """
    found: dict[str, str] = {}
    for name, part in _parts(text):
        if name in pack.prompt_ids:
            found.setdefault(pack.prompt_ids[name], part)
    return found


def _parts(text: str) -> Iterator[tuple[str, str]]:
    decoder, at = json.JSONDecoder(), 0
    while entry := _ENTRY.search(text, at):
        try:
            _, at = decoder.raw_decode(text, entry.start())
        except (ValueError, RecursionError):
            at = entry.end()
            continue
        yield entry[1], text[entry.start() : at]
