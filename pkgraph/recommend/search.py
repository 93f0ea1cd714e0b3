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
_VALUE_BITS = 16
_MAX_VALUE = (1 << _VALUE_BITS) - 1
"""More than a word is ever worth: EXACT * (1 + 16 * 31), where it stands in one of 2 ** 31 documents."""


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


def _matches(s: Sections, word: str, n_documents: int, among: tuple[int, int]) -> tuple[Array, Array]:
    """Documents that hold the word, and the best value of the word in each."""
    entries = [np.empty(0, dtype=np.int64)]
    for row, how in _expansions(s, word):
        found = s.posting_documents[slice(*s.posting_offsets[row : row + 2].tolist())]
        value = how * _rarity(n_documents, max(1, len(found)))
        low, high = np.searchsorted(found, among)
        entries.append(found[low:high].astype(np.int64) << _VALUE_BITS | _MAX_VALUE - value)
    packed = np.concatenate(entries)
    packed.sort()  # by document, its best value first; one integer sorts ten times as fast as two
    documents = packed >> _VALUE_BITS
    is_best = np.diff(documents, prepend=-1) != 0
    return documents[is_best], _MAX_VALUE - (packed[is_best] & _MAX_VALUE)


def find_documents(s: Sections, text: str, among: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Documents (see Sections.posting_documents) that hold a word of the text.

    Args:
        s: The snapshot.
        text: Words.
        among: The first document that is looked for, and the first behind the last.

    Returns:
        The documents; how many of the query's words each holds; its value, the sum of the words' rarities.
    """
    n_documents = int(bounds_of(s)[-1])
    words = list(dict.fromkeys(words_of(text)))[:MAX_QUERY_WORDS]
    found = [_matches(s, word, n_documents, among) for word in words]
    empty = [np.empty(0, dtype=np.int64)]
    documents = np.concatenate([documents for documents, _ in found] or empty)
    values = np.concatenate([value for _, value in found] or empty)
    if len(found) > 1:
        order = np.argsort(documents, kind="stable")  # merges the words' lists, each in order already
        documents, values = documents[order], values[order]
    starts = np.flatnonzero(np.diff(documents, prepend=-1))
    sums = np.add.reduceat(values, starts) if len(starts) else values
    return documents[starts], np.diff(starts, append=len(documents)), sums


def bounds_of(s: Sections) -> Array:
    """The first document of each of WHAT, and the first behind the last."""
    return np.cumsum([0, len(s.sku_ids), len(s.kind_ids), len(s.rationale_ids)])


def rationales_with(s: Sections, text: str) -> list[int]:
    """Rows of the rationales that hold most of the text's words, the rarest words first."""
    first, end = bounds_of(s)[-2:].tolist()
    documents, n_words, values = find_documents(s, text, (first, end))
    rows = documents - first
    best = rows[np.lexsort((rows, -values, -n_words))].tolist()
    fullest = set(rows[n_words == n_words.max(initial=0)].tolist())
    return [row for row in best if row in fullest][:MAX_RATIONALES]


WHAT = ("product", "kind", "purpose")
"""What documents stand for, in the order in which the index counts them."""


def search(s: Sections, text: str, k: int, what: str | None) -> tuple[Hit, ...]:
    """The k documents that hold the most of the text's words; ties by rarity, popularity, place."""
    bounds = bounds_of(s).tolist()
    low, high = (0, bounds[-1]) if what is None else bounds[WHAT.index(what) : WHAT.index(what) + 2]
    documents, n_words, values = find_documents(s, text, (low, high))
    popularity = np.zeros(len(documents))
    is_product = documents < len(s.sku_ids)
    popularity[is_product] = s.sku_popularity[documents[is_product]]
    chosen = _likely(n_words << 32 | values, popularity, k)
    keys = (documents[chosen], -popularity[chosen], -values[chosen], -n_words[chosen])
    order = chosen[np.lexsort(keys)[:k]]
    return tuple(_hit(s, int(documents[place]), int(values[place])) for place in order)


def _likely(worth: Array, popularity: Array, k: int) -> Array:
    """Places of the k that are worth most, ties by popularity, and of all that tie with the last of them.

    What remains is sorted: of 46 000 products by the ounce, sorting all took most of the time.
    """
    if len(worth) <= k:
        return np.arange(len(worth))
    least = np.partition(worth, -k)[-k]
    sure, tied = np.flatnonzero(worth > least), np.flatnonzero(worth == least)
    n_wanted = k - len(sure)
    if len(tied) > n_wanted:
        tied = tied[popularity[tied] >= np.partition(popularity[tied], -n_wanted)[-n_wanted]]
    return np.concatenate([sure, tied])


def _hit(s: Sections, document: int, value: int) -> Hit:
    if document < len(s.sku_ids):
        product = product_at(s, document)
        return Hit("product", product.sku, product.title, product.kind, product.category, value)
    kind = document - len(s.sku_ids)
    if kind < len(s.kind_ids):
        return Hit("kind", s.kind_ids[kind], s.kind_titles[kind], None, s.category_of(kind), value)
    row = kind - len(s.kind_ids)
    return Hit("purpose", s.rationale_ids[row], s.rationale_texts[row], None, None, value)
