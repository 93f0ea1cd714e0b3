"""What may be asked: the fields of every question, and a question as the recommender takes it."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pkgraph.model import RelationType
from pkgraph.recommend.graph import DEFAULTS
from pkgraph.recommend.question import MAX_SEED_WEIGHT, MAX_SEEDS
from pkgraph.recommend.search import WHAT
from pkgraph.serving.fields import Field, bad, read_object, read_query
from pkgraph.serving.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LIMIT = 100
MAX_TEXT = 400
"""Characters of a SKU, a purpose or a search."""
MAX_LISTED = 2_000
"""SKUs in one list of a question: as many of the longest as a body holds. A shop's stock is a file."""
MAX_OFFSET = 10_000_000
MAX_KEPT = 128
"""Bytes of a query whose reading is kept: 4 096 of these take 5 MB, of the longest 85 MB a worker."""

_TYPES = [str(one) for one in RelationType]
_TEXT = {"type": "string", "maxLength": MAX_TEXT}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1, "default": 0}
_PRICE = {"type": "number", "minimum": 0, "maximum": 1e9}
_WEIGHTS = {
    "type": "array",
    "items": {"type": "number", "minimum": 0, "exclusiveMinimum": 0, "maximum": MAX_SEED_WEIGHT},
    "maxItems": MAX_SEEDS,
}
_WORDS = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}


def _texts(most: int) -> dict[str, Any]:
    return {"type": "array", "items": _TEXT, "maxItems": most}


def _whole(low: int, high: int, default: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high, "default": default}


def _named(*fields: Field) -> dict[str, Field]:
    return {field.name: field for field in fields}


LIMIT = Field("limit", "How many at most.", _whole(1, MAX_LIMIT, 10))
OFFSET = Field("offset", "How many to pass over.", _whole(0, MAX_OFFSET, 0))
MIN_PROBABILITY = Field(
    "min_probability",
    "Count only paths whose statements hold with this probability.",
    _SHARE,
)
MAX_PER_KIND = Field(
    "max_per_kind", "Products of one kind at most, the most popular first.", _whole(1, MAX_LIMIT, 1)
)
MAX_PER_PHRASE = Field(
    "max_per_phrase",
    "Kinds at most that one product phrase of a model was resolved to.",
    _whole(1, MAX_LIMIT, 1),
)
_EXCLUDE_SAYS = "SKUs that must not appear."
EXCLUDE = Field("exclude", _EXCLUDE_SAYS, _texts(MAX_LISTED))
_RELATIONS = {"type": "array", "items": {"type": "string", "enum": _TYPES}, "maxItems": MAX_LIMIT}
_RELATIONS_SAY = "Count only these relation types; none: all."

_CATEGORIES_SAY = "Only products of these categories, by title; none: all."
_FILTERS = (
    Field("min_price", "Only products at this price or above; one without a price has none.", _PRICE),
    Field("max_price", "Only products at this price or below.", _PRICE),
    Field("diversity", "Share by which being unlike what was chosen counts instead of the score.", _SHARE),
    Field("include_seed_kinds", "Recommend products of the seeds' own kinds too.", {"type": "boolean"}),
)

ITEM_FIELDS = _named(
    LIMIT,
    Field("relation", _RELATIONS_SAY, _RELATIONS),
    Field("category", _CATEGORIES_SAY, _texts(MAX_LIMIT)),
    MIN_PROBABILITY,
    MAX_PER_KIND,
    MAX_PER_PHRASE,
    Field("exclude", _EXCLUDE_SAYS, _texts(MAX_LIMIT)),
    *_FILTERS,
)
BASKET_FIELDS = _named(
    Field("skus", "What the shopper looks at or has in the basket.", _texts(MAX_SEEDS)),
    Field("weights", "How much each seed counts, one a SKU; left out: each counts 1.", _WEIGHTS),
    Field("purpose", "A purpose in words; it counts as one more seed of weight 1.", _WORDS),
    LIMIT,
    Field("relations", _RELATIONS_SAY, _RELATIONS),
    Field("categories", _CATEGORIES_SAY, _texts(MAX_LIMIT)),
    MIN_PROBABILITY,
    MAX_PER_KIND,
    MAX_PER_PHRASE,
    EXCLUDE,
    *_FILTERS,
    Field("available", "SKUs in stock; left out: all that the server's own list has.", _texts(MAX_LISTED)),
)
PAGE_FIELDS = _named(LIMIT, OFFSET)
SEARCH_FIELDS = _named(
    Field("q", "Words or beginnings of words.", _WORDS),
    LIMIT,
    Field("what", "Only these.", {"type": "string", "enum": list(WHAT)}),
)
NO_FIELDS: Mapping[str, Field] = {}
REQUIRED = frozenset({"q"})
"""Fields of a query that have no default and must be given."""

_OURS = {
    "limit": "k",
    "relation": "relation_types",
    "relations": "relation_types",
    "category": "categories",
}
"""Names of the library, where they are not those of the question."""

_NO_FILTER_WHERE_EMPTY = {"relation_types", "categories"}


def _options(found: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of Graph.recommend; an empty list of relation types or categories is no filter.

    What is the library's default anyway is left out: to pass it on costs each item request 1 us.
    """
    options = {_OURS.get(name, name): value for name, value in found.items()}
    return {
        name: value
        for name, value in options.items()
        if value != DEFAULTS.get(name, ()) and (value or name not in _NO_FILTER_WHERE_EMPTY)
    }


@lru_cache(maxsize=4096)
def _kept_options(query: bytes) -> dict[str, Any]:
    return _options(read_query(query, ITEM_FIELDS))


def item_options(query: bytes) -> dict[str, Any]:
    """Arguments of Graph.recommend from a query string; shops ask the same few, so short ones are read once.

    Raises:
        Problem: 400, a name is unknown or a value is wrong.
    """
    return _kept_options(query) if len(query) <= MAX_KEPT else _options(read_query(query, ITEM_FIELDS))


def basket_options(body: bytes, content_type: bytes) -> dict[str, Any]:
    """Arguments of Graph.recommend from a JSON body.

    Raises:
        Problem: 400 or 415, it is not JSON, or a field is unknown or wrong; the detail names it.
    """
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise Problem(415, "unsupported-media-type", "Send application/json.")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise bad("The body is no JSON.") from None
    found = read_object(data, BASKET_FIELDS)
    if not found.get("skus") and "purpose" not in found:
        raise bad("Give skus, a purpose, or both.")
    return _options(found)
