"""Words of product names: plural endings, slips of the keyboard, and words that say which, not what."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*%?")
_LOOSE_ENDS = frozenset({"in", "of", "for", "and", "the", "on", "by", "with", "&"})
# Shorter words have too many neighbours: "mild" is no slip of "milk".
_MIN_SPELLED = 5
# A rare word one slip away from one ten times as frequent is that word.
_TIMES_AS_FREQUENT = 10
# "peas" -> "pea", but "gas" and "bus" stay.
_MIN_PLURAL = 4


@cache
def modifiers() -> frozenset[str]:
    """Flavours, colours, packs and praise: they tell products apart, not what a shopper uses them with."""
    text = (resources.files("pkgraph.catalog") / "data" / "modifiers.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def _stem(word: str) -> str:
    if len(word) < _MIN_PLURAL or word.endswith("ss") or not word.endswith("s"):
        return word
    if len(word) > _MIN_PLURAL and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if len(word) > _MIN_PLURAL and word.endswith("oes") else word[:-1]


def stems_of(name: str) -> list[str]:
    """The words of a name without plural endings: "wood screws" -> ["wood", "screw"]."""
    return [_stem(word) for word in _WORD.findall(name)]


def spelling(n_with: Counter[str]) -> dict[str, str]:
    """For each misspelt word what was meant: "yogurrt" -> "yogurt"; first letters are never wrong.

    Args:
        n_with: Word to the number of products that have it.
    """
    from rapidfuzz.distance import OSA  # noqa: PLC0415 - only a catalog without kinds needs it

    meant = {}
    long = sorted(word for word in n_with if len(word) >= _MIN_SPELLED)
    frequent = [word for word in long if n_with[word] >= _TIMES_AS_FREQUENT]
    for word in long:
        enough = n_with[word] * _TIMES_AS_FREQUENT
        near = [v for v in frequent if v[0] == word[0] and n_with[v] >= enough and OSA.distance(word, v) == 1]
        if near:
            meant[word] = max(near, key=lambda v: (n_with[v], v))
    return meant


def without_loose_end(words: Sequence[str]) -> list[str]:
    """The words up to the last one that can end a name: ["tuna", "in"] -> ["tuna"]."""
    kept = list(words)
    while kept and kept[-1] in _LOOSE_ENDS:
        kept.pop()
    return kept
