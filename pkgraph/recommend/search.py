"""Finding products, kinds and purposes by words and beginnings of words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pkgraph.recommend.answers import Hit
from pkgraph.recommend.explaining import product_at
from pkgraph.snapshot.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkgraph.snapshot.layout import Array, Sections

MAX_QUERY_WORDS = 12
MAX_EXPANSIONS = 64
"""Words of the vocabulary that one beginning may stand for; "a" would otherwise read the whole index."""
MIN_STEM = 3
MAX_RATIONALES = 5
"""Rationales that one purpose in words may stand for."""
EXACT, STEM, PREFIX = 4, 3, 2
"""How much a found word counts, by how it was found."""


def _stem(word: str) -> str:
    """Without the plural: "carnations" -> "carnation"."""
    return word[:-1] if len(word) > MIN_STEM and word.endswith("s") and not word.endswith("ss") else word


def _expansions(s: Sections, word: str) -> Iterator[tuple[int, int]]:
    """Rows of the vocabulary that a word of the query stands for, and how much each counts."""
    stem = _stem(word)
    rows = s.words.starting_with(stem)
    exact = s.words.find(word)
    if exact >= 0:
        yield exact, EXACT
    for row in rows[:MAX_EXPANSIONS]:
        if row != exact:
            yield row, STEM if _stem(s.words[row]) == stem else PREFIX


def _rarity(n_documents: int, n_found: int) -> int:
    return 1 + round(16 * math.log2(n_documents / n_found))


def _matches(s: Sections, word: str, n_documents: int) -> tuple[Array, Array]:
    """Documents that hold the word, and the best value of the word in each."""
    documents, values = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for row, how in _expansions(s, word):
        found = s.posting_documents[slice(*s.posting_offsets[row : row + 2].tolist())]
        documents.append(found.astype(np.int64))
        values.append(np.full(len(found), how * _rarity(n_documents, max(1, len(found))), dtype=np.int64))
    all_documents, all_values = np.concatenate(documents), np.concatenate(values)
    order = np.lexsort((-all_values, all_documents))
    unique, first = np.unique(all_documents[order], return_index=True)
    return unique, all_values[order][first]


def find_documents(s: Sections, text: str) -> tuple[Array, Array, Array]:
    """Documents (see Sections.posting_documents) that hold a word of the text.

    Returns:
        The documents; how many of the query's words each holds; its value, the sum of the words' rarities.
    """
    n_documents = len(s.sku_ids) + len(s.kind_ids) + len(s.rationale_ids)
    words = list(dict.fromkeys(words_of(text)))[:MAX_QUERY_WORDS]
    found = [_matches(s, word, n_documents) for word in words]
    empty = [np.empty(0, dtype=np.int64)]
    documents = np.concatenate([documents for documents, _ in found] or empty)
    unique, inverse = np.unique(documents, return_inverse=True)
    values = np.zeros(len(unique), dtype=np.int64)
    np.add.at(values, inverse, np.concatenate([value for _, value in found] or empty))
    return unique, np.bincount(inverse, minlength=len(unique)), values


def rationales_with(s: Sections, text: str) -> list[int]:
    """Rows of the rationales that hold most of the text's words, the rarest words first."""
    documents, n_words, values = find_documents(s, text)
    first = len(s.sku_ids) + len(s.kind_ids)
    is_rationale = documents >= first
    rows, n_words, values = documents[is_rationale] - first, n_words[is_rationale], values[is_rationale]
    best = rows[np.lexsort((rows, -values, -n_words))].tolist()
    fullest = set(rows[n_words == n_words.max(initial=0)].tolist())
    return [row for row in best if row in fullest][:MAX_RATIONALES]


WHAT = ("product", "kind", "purpose")
"""What documents stand for, in the order in which the index counts them."""


def search(s: Sections, text: str, k: int, what: str | None) -> tuple[Hit, ...]:
    """The k documents that hold the most of the text's words; ties by rarity, popularity, place."""
    documents, n_words, values = find_documents(s, text)
    bounds = np.cumsum([0, len(s.sku_ids), len(s.kind_ids), len(s.rationale_ids)])
    if what is not None:
        low, high = bounds[WHAT.index(what) : WHAT.index(what) + 2]
        chosen = (documents >= low) & (documents < high)
        documents, n_words, values = documents[chosen], n_words[chosen], values[chosen]
    popularity = np.zeros(len(documents))
    is_product = documents < len(s.sku_ids)
    popularity[is_product] = s.sku_popularity[documents[is_product]]
    order = np.lexsort((documents, -popularity, -values, -n_words))[:k]
    return tuple(_hit(s, int(documents[place]), int(values[place])) for place in order)


def _hit(s: Sections, document: int, value: int) -> Hit:
    if document < len(s.sku_ids):
        product = product_at(s, document)
        return Hit("product", product.sku, product.title, product.kind, product.category, value)
    kind = document - len(s.sku_ids)
    if kind < len(s.kind_ids):
        return Hit("kind", s.kind_ids[kind], s.kind_titles[kind], None, s.category_of(kind), value)
    row = kind - len(s.kind_ids)
    return Hit("purpose", s.rationale_ids[row], s.rationale_texts[row], None, None, value)
