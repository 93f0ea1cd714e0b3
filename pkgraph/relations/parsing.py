"""From the text of an answer to its list of statements: strict JSON first, then one bounded repair.

Any text whatsoever comes back as a list or as a reason, in bounded time and without an exception.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from itertools import accumulate

# 64 KB is thirty times the longest answer of the demo.
MAX_REPAIR_CHARS = 64_000
# json-repair is quadratic: hostile text of 1 000 characters costs it 0.03 s, of 8 000 1.8 s, of 63 000 126 s.
# So it sees one statement at a time, and a full statement has some 550 characters.
MAX_PIECE_CHARS = 1_000
# The prompts ask for 8 and for 12. More is a model that does not stop.
MAX_STATEMENTS = 20
MAX_ANSWER_CHARS = 1_000_000
# An answer is an object with a list of objects: three levels. Deep nesting exhausts every recursive parser.
MAX_DEPTH = 32
_BRACKETS = re.compile(r"[\[{\]}]")
_OBJECT = re.compile(r"""\{\s*["']?relations\b""")
# A statement holds no objects; where one was not closed, the next brace or the end closes it.
_PIECE = re.compile(r"\{[^{}]*\}?")


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


def _body(text: str) -> str:
    """What follows the prose: from the object with the relations on, else from the first bracket."""
    start = _OBJECT.search(text) or _BRACKETS.search(text)
    if start is None:
        raise _Faulty("not_json", f"no JSON in it: {text[:100]}")
    body = text[start.start() :]
    fence = body.find("```")
    return body if fence < 0 else body[:fence]


def _mended(piece: str) -> object:
    """One statement as an object, or the piece itself where it is none."""
    import json_repair  # noqa: PLC0415 - needed for one answer in a hundred

    try:
        return _strict(piece)[0]
    except (ValueError, RecursionError):
        if len(piece) > MAX_PIECE_CHARS:
            return piece
    try:
        value: object = json_repair.loads(piece, skip_json_loads=True)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return piece
    return value


def _repaired(body: str) -> Parsed:
    """The statements of broken JSON, each mended by itself: a damage costs the statement it is in."""
    if len(body) > MAX_REPAIR_CHARS:
        raise _Faulty("too_long", f"not JSON, and its {len(body)} characters are too many to repair")
    root = _OBJECT.match(body)
    pieces = [found[0] for found in _PIECE.finditer(body, root.end() if root else 0)]
    # Those beyond the cap are counted and not looked at.
    statements = [_mended(piece) for piece in pieces[:MAX_STATEMENTS]] + pieces[MAX_STATEMENTS:]
    if not any(isinstance(s, dict) and s.keys() & {"relation", "product"} for s in statements):
        # An empty list is an answer only where the model wrote one, not where repair is left with nothing.
        raise _Faulty("not_json", f"nothing is left after repair: {body[:100]}")
    return Parsed(tuple(statements), is_repaired=True, is_cut_off=not pieces[-1].endswith("}"))


def _load(text: str) -> Parsed:
    """The statements of the JSON in the text as it stands, else of what repair makes of it."""
    body = _body(text)
    try:
        value, is_strict = _strict(body)
    except (ValueError, RecursionError):
        return _repaired(body)
    statements, is_asked_form = _statements(value)
    is_whole = body == text and is_strict and is_asked_form
    return Parsed(tuple(statements), is_repaired=not is_whole)


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
