"""Cards: what an answer reads of one SKU, kind, edge or merged row, in one place of 16, 32 or 64 bytes.

The arrays of a snapshot have a column each; ten explained products would be gathered from some 250 places of
memory that are not in the cache, which takes longer than everything else together. A card repeats the columns
that an answer reads, so that each thing is one place, and the texts it names are the others.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pkgraph.errors import InputError
from pkgraph.snapshot.format import CARDS, MICRO
from pkgraph.snapshot.layout import Array
from pkgraph.snapshot.threads import beside, slices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pkgraph.snapshot.layout import Sections, Strings

LENGTH_BITS = 24
MAX_LENGTH, MAX_START = (1 << LENGTH_BITS) - 1, (1 << 40) - 1
WORDS = {"sku_cards": 4, "kind_cards": 4, "edge_cards": 8, "row_cards": 2}
"""Of a card of each sort."""

AT_ONCE = 250_000
"""Cards of edges or rows that are made at a time; those of edges take 16 MB."""

NO_SHARE = (1 << 24) - 1
"""Stands where a probability is no share."""

Part = tuple[str, int, "Callable[[], Array]"]
"""Section, place of the first word, and what makes the words."""


def with_cards(s: Sections) -> Sections:
    """The sections with the cards of all others, flat uint64 arrays.

    Raises:
        InputError: A text or a list is longer than a card can say: 16 MB, or 16 million entries.
    """
    lengths = lengths_of_cards(s)
    cards = {name: np.empty(length, dtype="<u8") for name, length in lengths.items()}

    def write(part: Part) -> None:
        name, start, made = part
        words = made()
        cards[name][start : start + len(words)] = words

    beside(write, parts_of_cards(s), len(s.edge_target))
    return dataclasses.replace(
        s,
        sku_cards=cards["sku_cards"],
        kind_cards=cards["kind_cards"],
        edge_cards=cards["edge_cards"],
        row_cards=cards["row_cards"],
    )


def lengths_of_cards(s: Sections) -> dict[str, int]:
    """Words of all cards of a sort, in the order of CARDS."""
    counts = (len(s.sku_kind), len(s.kind_category), len(s.edge_target), len(s.row_target))
    return {name: WORDS[name] * n for name, n in zip(CARDS, counts, strict=True)}


def parts_of_cards(s: Sections) -> Iterator[Part]:
    """All cards, of edges and rows a few at a time: what they are made from takes more room."""
    yield "sku_cards", 0, lambda: _of_skus(s)
    yield "kind_cards", 0, lambda: _of_kinds(s)
    texts = _texts(s.rationale_texts), _texts(s.rationale_ids), _texts(s.response_ids)
    for part in slices(len(s.edge_target), AT_ONCE):
        yield "edge_cards", WORDS["edge_cards"] * part.start, partial(_of_edges, s, part, *texts)
    for part in slices(len(s.row_target), AT_ONCE):
        yield "row_cards", WORDS["row_cards"] * part.start, partial(_of_rows, s, part)


def makers_of_cards(s: Sections, name: str) -> Iterator[Callable[[], Array]]:
    """What makes the cards of a sort, part by part."""
    return (made for section, _, made in parts_of_cards(s) if section == name)


def _card(*words: Array) -> Array:
    """The words of every card, one card behind the other."""
    cards = np.empty((len(words[0]), len(words)), dtype="<u8")
    for place, word in enumerate(words):
        cards[:, place] = word
    return cards.reshape(-1)


def _slices(offsets: Array) -> Array:
    """Start and length of what each item owns, in one word."""
    lengths = np.diff(offsets)
    if lengths.max(initial=0) > MAX_LENGTH or offsets[-1] > MAX_START:
        raise InputError("A text or a list is too long for a snapshot.", remedy="16 MB are the most.")
    starts = offsets[:-1].astype(np.uint64) << np.uint64(LENGTH_BITS)
    return starts | (lengths.astype(np.int64) & MAX_LENGTH).astype(np.uint64)


def _texts(table: Strings) -> Array:
    return _slices(table.offsets)


def _lower(values: Array) -> Array:
    """Signed numbers in the lower 32 bits of words."""
    return values.astype(np.int32).view(np.uint32).astype(np.uint64)


def _upper(values: Array) -> Array:
    """Signed numbers in the upper 32 bits of words."""
    return _lower(values) << np.uint64(32)


def _halves(upper: Array, lower: Array) -> Array:
    return _upper(upper) | _lower(lower)


def _of_skus(s: Sections) -> Array:
    price = s.sku_price.astype("<f8").view("<u8")
    return _card(_texts(s.sku_ids), _texts(s.sku_titles), price, _lower(s.sku_kind))


def _of_kinds(s: Sections) -> Array:
    n_kinds = len(s.kind_ids)
    has_skus = np.diff(s.kind_sku_offsets) > 0
    best = np.full(n_kinds, -1, dtype=np.int32)
    best[has_skus] = s.kind_skus[s.kind_sku_offsets[:-1][has_skus]]
    category_and_best = _halves(s.kind_category, best)
    rows = _slices(s.row_offsets[: n_kinds + 1])
    return _card(_texts(s.kind_titles), category_and_best, _slices(s.kind_sku_offsets), rows)


def _of_edges(s: Sections, part: slice, rationales: Array, rationale_ids: Array, responses: Array) -> Array:
    first = s.edge_statement_offsets[:-1][part]
    share = s.edge_probability[part]
    is_share = (share >= 0) & (share <= 1)
    micro = np.where(is_share, np.rint(np.where(is_share, share, 0) * MICRO), NO_SHARE).astype(np.uint64)
    return _card(
        _slices(s.edge_explanations.offsets[part.start : part.stop + 1]),
        rationales[s.edge_rationale[part]],
        rationale_ids[s.edge_rationale[part]],
        responses[s.statement_response[first]],
        _halves(s.statement_position[first], s.edge_phrase[part]),
        _upper(s.edge_target[part]) | micro << np.uint64(8) | s.edge_type[part],
        share.astype("<f8").view("<u8"),
        np.zeros(len(share), dtype="<u8"),  # a card is one line of memory
    )


def _of_rows(s: Sections, part: slice) -> Array:
    target_and_weight = _upper(s.row_target[part]) | s.row_weight[part]
    return _card(target_and_weight, _halves(s.row_edge[part], s.row_via[part]))
