"""Words and character trigrams of short texts, without a fitted vocabulary: same text, same numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WORD = re.compile(r"[^\W_]+")
_ARTICLES_AND_THE_LIKE = "a an and are as at be by for from in into is it its of on or that the their to with"
_STOP = frozenset(_WORD.findall(_ARTICLES_AND_THE_LIKE))
_MIN_STEM = 4


def word_list(text: str) -> list[str]:
    """The content words of a text, lower case, in order."""
    return [word for word in _WORD.findall(text.casefold()) if word not in _STOP]


@lru_cache(maxsize=65_536)  # a shop's statements use few words many times
def _stem(word: str) -> str:
    """A crude stem, so that "napkins" is found in "a napkin": the ending of a longer word is cut."""
    for ending in ("ies", "ing", "es", "ed", "s", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= _MIN_STEM - 1:
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=4_096)  # several signals ask for the words of one text after the other
def stems(text: str) -> frozenset[str]:
    return frozenset(_stem(word) for word in word_list(text))


def share_used(text: str, where: str) -> float:
    """Share of the words of `text` that `where` uses, 0-1; 0 without words.

    ("party napkins", "A napkin for the guests.") -> 0.5
    """
    needed = stems(text)
    return len(needed & stems(where)) / len(needed) if needed else 0.0


def _trigrams(text: str) -> frozenset[str]:
    padded = f" {' '.join(word_list(text))} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))


def similarity(one: str, other: str) -> float:
    """Dice overlap of character trigrams, 0-1."""
    a, b = _trigrams(one), _trigrams(other)
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0


def rarity(texts: Iterable[str]) -> dict[str, float]:
    """Rarity of each stem among distinct texts: 0 where all use it, near 1 where one does."""
    distinct = sorted(set(texts))
    counts = Counter(stem for text in distinct for stem in stems(text))
    scale = math.log(1 + len(distinct)) or 1.0
    return {stem: 1 - math.log(1 + count) / scale for stem, count in counts.items()}


def specificity(text: str, rarities: Mapping[str, float]) -> float:
    """Mean rarity of the words of a text, 0-1; a word never seen counts as rarest, no words as 0."""
    needed = sorted(stems(text))
    return sum(rarities.get(stem, 1.0) for stem in needed) / len(needed) if needed else 0.0
