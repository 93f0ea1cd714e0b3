"""What a request may ask, read strictly: an unknown name or a wrong value is an error that names it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.datastructures import QueryParams

from pkgraph.recommend.graph import MAX_SEEDS
from pkgraph.serving.problems import Problem

MAX_LIMIT = 100
MAX_BODY = 1 << 20
MAX_TEXT = 400
MAX_LISTED = 20_000
"""SKUs in one exclusion or stock list."""

T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True)
class Question:
    """What `POST /v1/recommendations` takes; the item endpoint takes the same without seeds and lists."""

    skus: tuple[str, ...] = ()
    purpose: str | None = None
    limit: int = 10
    relations: tuple[str, ...] | None = None
    min_probability: float = 0.0
    max_per_kind: int = 1
    exclude: tuple[str, ...] = ()
    available: tuple[str, ...] | None = None


def _bad(detail: str) -> Problem:
    return Problem(400, "bad-request", detail)


def only(given: Collection[str], *allowed: str) -> None:
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise _bad(f"There is no parameter {unknown[0][:60]!r}; there are {', '.join(allowed)}.")


def number(
    query: QueryParams, name: str, convert: Callable[[str], T], bounds: tuple[float, float], default: T
) -> T:
    """A number from a query string within its bounds."""
    text = query.get(name)
    if text is None:
        return default
    try:
        value = convert(text[:MAX_TEXT])
    except ValueError:
        raise _bad(f"{name} is no number.") from None
    return _within(value, name, bounds)


def _within(value: T, name: str, bounds: tuple[float, float]) -> T:
    low, high = bounds
    if not low <= value <= high:  # what is not a number is refused here too
        raise _bad(f"{name} must lie between {low} and {high}.")
    return value


def limit_in(query: QueryParams) -> int:
    return number(query, "limit", int, (1, MAX_LIMIT), 10)


def item_question(sku: str, query: QueryParams) -> Question:
    only(query, "limit", "relation", "min_probability", "max_per_kind", "exclude")
    relations = [name for text in query.getlist("relation") for name in text.split(",") if name]
    return Question(
        skus=(sku,),
        limit=limit_in(query),
        relations=tuple(relations) or None,
        min_probability=number(query, "min_probability", float, (0, 1), 0.0),
        max_per_kind=number(query, "max_per_kind", int, (1, MAX_LIMIT), 1),
        exclude=tuple(query.getlist("exclude")),
    )


def _is_text(value: object) -> bool:
    """Whether it is a text that can be sent back: JSON may carry half a character."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _texts(value: object, name: str, most: int) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(_is_text(text) for text in value):
        raise _bad(f"{name} must be a list of texts of at most {MAX_TEXT} characters.")
    if len(value) > most:
        raise _bad(f"{name} has {len(value)} entries, {most} are allowed.")
    return tuple(value)


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _bad(f"{name} must be a whole number.")
    return _within(value, name, (1, MAX_LIMIT))


def _share(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(f"{name} must be a number.")
    return _within(value, name, (0, 1))


def _text(value: object, name: str) -> str:
    if not value or not _is_text(value):
        raise _bad(f"{name} must be a text of 1 to {MAX_TEXT} characters.")
    return str(value)


_FIELDS: Mapping[str, Callable[[object, str], Any]] = {
    "skus": lambda value, name: _texts(value, name, MAX_SEEDS),
    "purpose": _text,
    "limit": _whole,
    "relations": lambda value, name: _texts(value, name, MAX_LIMIT),
    "min_probability": _share,
    "max_per_kind": _whole,
    "exclude": lambda value, name: _texts(value, name, MAX_LISTED),
    "available": lambda value, name: _texts(value, name, MAX_LISTED),
}


def posted_question(body: bytes, content_type: str) -> Question:
    """The question in a JSON body.

    Raises:
        Problem: It is not JSON, or a field is unknown or wrong; the detail names it.
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "unsupported-media-type", "Send application/json.")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise _bad("The body is no JSON.") from None
    if not isinstance(data, dict):
        raise _bad("The body must be a JSON object.")
    only(data, *_FIELDS)
    question = Question(**{name: _FIELDS[name](value, name) for name, value in data.items()})
    if not question.skus and question.purpose is None:
        raise _bad("Give skus, a purpose, or both.")
    return question
