"""From the text of an answer to its list of statements: strict JSON first, then one bounded repair.

Any text whatsoever comes back as a list or as a reason, in bounded time and without an exception.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from itertools import accumulate

# json-repair takes 5.6 s for 1 MB of quotes; 64 KB is thirty times the longest answer of the demo.
MAX_REPAIR_CHARS = 64_000
MAX_ANSWER_CHARS = 1_000_000
# An answer is an object with a list of objects: three levels. Deep nesting exhausts every recursive parser.
MAX_DEPTH = 32
_BRACKETS = re.compile(r"[\[{\]}]")
_OBJECT = re.compile(r"""\{\s*["']?relations\b""")
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{\]}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an answer says, before anything is believed.

    Attributes:
        statements: As they came, of any JSON type; none where the model knows nothing or nothing can be read.
        is_repaired: It was not strict JSON of the form that was asked for.
        is_cut_off: It ends inside its last statement, which is therefore half of one.
        fault: Why nothing can be read, in one word; None where it can.
        detail: The same with what was found.
    """

    statements: tuple[object, ...] = ()
    is_repaired: bool = False
    is_cut_off: bool = False
    fault: str | None = None
    detail: str = ""


class _Faulty(ValueError):
    """The text is refused for a reason that no repair may hide."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(detail)


class DuplicateKeys(dict[str, object]):
    """An object that names one key twice; which value was meant is unknowable."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return dict(pairs) if len({key for key, _ in pairs}) == len(pairs) else DuplicateKeys(pairs)


def _strict(text: str) -> tuple[object, bool]:
    """The JSON value that the text begins with, and whether that is strict JSON and all of the text.

    NaN and Infinity are no JSON; they become NaN, which no rule lets through.
    """
    constants: list[str] = []

    def not_a_number(name: str) -> float:
        constants.append(name)
        return math.nan

    decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=not_a_number)
    value, end = decoder.raw_decode(text)
    return value, not constants and not text[end:].strip()


def _depth(text: str) -> int:
    """The deepest nesting, brackets in strings counted too, since a repair may see strings elsewhere."""
    steps = (1 if found[0] in "[{" else -1 for found in _BRACKETS.finditer(text))
    return max(accumulate(steps, lambda depth, step: max(0, depth + step)), default=0)


def _ends_inside_a_statement(text: str) -> bool:
    if text.rstrip().endswith(("}", "]")):
        return False
    open_brackets: list[str] = []
    is_string_open = False
    for found in _STRING_OR_BRACKET.finditer(text):
        part = found[0]
        if part in "[{":
            open_brackets.append(part)
        elif part in "]}":
            del open_brackets[-1:]
        else:
            is_string_open = len(part) == 1 or not part.endswith('"')
    return len(open_brackets) > 1 and (is_string_open or open_brackets[-1] == "{")


def _body(text: str) -> str:
    """What follows the prose: from the object with the relations on, else from the first bracket."""
    start = _OBJECT.search(text) or _BRACKETS.search(text)
    if start is None:
        raise _Faulty("not_json", f"no JSON in it: {text[:100]}")
    body = text[start.start() :]
    fence = body.find("```")
    return body if fence < 0 else body[:fence]


def _repaired(body: str) -> object:
    import json_repair  # noqa: PLC0415 - needed for one answer in a hundred

    if len(body) > MAX_REPAIR_CHARS:
        raise _Faulty("too_long", f"not JSON, and its {len(body)} characters are too many to repair")
    try:
        value: object = json_repair.loads(body, skip_json_loads=True)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise _Faulty("not_json", f"beyond repair: {type(error).__name__}") from error
    return value


def _load(text: str) -> Parsed:
    """The statements of the text as it stands, else of the JSON in it, else of what repair makes of it."""
    body = _body(text)
    for place, candidate in enumerate((text, body)):
        try:
            value, is_strict = _strict(candidate)
        except (ValueError, RecursionError):
            continue
        statements, is_asked_form = _statements(value)
        return Parsed(tuple(statements), is_repaired=place > 0 or not is_strict or not is_asked_form)
    statements, _ = _statements(_repaired(body))
    if not statements:
        # An empty list is an answer only where the model wrote one, not where repair is left with nothing.
        raise _Faulty("not_json", f"nothing is left after repair: {text[:100]}")
    return Parsed(tuple(statements), is_repaired=True, is_cut_off=_ends_inside_a_statement(body))


def _statements(value: object) -> tuple[list[object], bool]:
    """The list of statements, and whether it stands where it was asked for."""
    if isinstance(value, DuplicateKeys):
        raise _Faulty("duplicate_key", f"one key twice: {', '.join(value)}"[:200])
    if isinstance(value, dict):
        relations = value.get("relations")
        if isinstance(relations, list):
            return relations, True
        if "product" in value and "relation" in value:
            return [value], False
    if isinstance(value, list):
        # A bare list of statements; prose around the object makes the repair return a list around it.
        whole = [item for item in value if isinstance(item, dict) and isinstance(item.get("relations"), list)]
        if len(whole) == 1:
            return _statements(whole[0])[0], False
        if all(isinstance(item, dict) for item in value) and not whole:
            return value, False
    raise _Faulty("wrong_shape", f"a JSON {type(value).__name__} without a list of relations")


def parse_answer(text: str) -> Parsed:
    """The statements of an answer, or the reason why there are none to read."""
    if len(text) > MAX_ANSWER_CHARS:
        return Parsed(fault="too_long", detail=f"{len(text)} characters")
    if not text.strip():
        return Parsed(fault="no_answer", detail="an empty answer")
    if _depth(text) > MAX_DEPTH:
        return Parsed(fault="too_deep", detail=f"nested deeper than {MAX_DEPTH} levels")
    try:
        return _load(text.strip())
    except _Faulty as fault:
        return Parsed(fault=fault.reason, detail=fault.detail)


def parse_status(text: str) -> str:
    """`read`, or why the answer as a whole cannot be read; the ledger keeps it beside the answer."""
    return parse_answer(text).fault or "read"
