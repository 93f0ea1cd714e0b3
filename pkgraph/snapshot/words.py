"""Words of titles, kinds and rationales, and the inverted index from word to what it names."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from pkgraph.snapshot.layout import Array, Strings

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TEXT = 400
MAX_WORD = 24
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Words in the one spelling that index and query share.

    "Mother’s Day gift, 6 OZ" -> ["mothers", "day", "gift", "6", "oz"]
    """
    plain = unicodedata.normalize("NFKC", text[:MAX_TEXT]).casefold().replace("’", "").replace("'", "")
    return [word[:MAX_WORD] for word in _WORD.findall(plain)]


def index_words(documents: Iterable[str]) -> tuple[Strings, Array, Array]:
    """The sorted vocabulary, and for every word the documents that hold it, ascending.

    Returns:
        The words; int64 offsets of shape (n_words + 1,); int32 positions of the documents.
    """
    numbers: dict[str, int] = {}
    found_words: list[int] = []
    found_documents: list[int] = []
    for position, text in enumerate(documents):
        for word in set(words_of(text)):
            found_words.append(numbers.setdefault(word, len(numbers)))
            found_documents.append(position)
    vocabulary = sorted(numbers)
    place = np.empty(len(numbers), dtype=np.int64)
    place[[numbers[word] for word in vocabulary]] = np.arange(len(numbers))
    at_word, at_document = (
        place[np.array(found_words, dtype=np.int64)],
        np.array(found_documents, dtype="<i4"),
    )
    order = np.lexsort((at_document, at_word))
    offsets = np.searchsorted(at_word[order], np.arange(len(numbers) + 1)).astype("<i8")
    return Strings.of(vocabulary), offsets, at_document[order]
