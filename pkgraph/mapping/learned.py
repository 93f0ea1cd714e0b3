"""Abbreviations that the catalog explains itself: a cut or thinned word next to the whole one."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkgraph.mapping.curated import Words

SHORTEST = 3
# Shelf systems cut labels at a fixed length; a last word at that length may be cut: 30 in the demo shop.
MIN_COPIES_AT_CUT = 5
MAX_MEANINGS = 3


def _cut_length(labels: Sequence[str]) -> int | None:
    """The length at which labels are cut: the longest one, where many are just as long."""
    lengths = Counter(len(label) for label in labels)
    longest = max(lengths, default=0)
    return longest if lengths[longest] >= MIN_COPIES_AT_CUT else None


def _is_thinned(short: str, full: str) -> bool:
    """Whether `short` is `full` with letters left out, first and last kept: "chkn" of "chicken"."""
    if len(short) < SHORTEST or len(short) >= len(full) - 1 or short[0] != full[0] or short[-1] != full[-1]:
        return False
    if any(c in "aeiou" for c in short[1:]):
        return False
    letters = iter(full)
    return all(c in letters for c in short)


def _meanings(short: str, nearby: Counter[str], *, is_cut: bool) -> list[str]:
    def stands_for(full: str) -> bool:
        if is_cut and len(short) >= SHORTEST and full.startswith(short):
            return True
        return nearby[full] >= nearby[short] and _is_thinned(short, full)

    fits = [full for full in nearby if full != short and full[0] == short[0] and stands_for(full)]
    return sorted(fits, key=lambda full: (-nearby[full], full))[:MAX_MEANINGS]


def learn_expansions(
    labels: Sequence[Words], categories: Sequence[Words], originals: Sequence[str]
) -> list[Words]:
    """For every label the words that its cut or thinned words stand for, as far as its category tells.

    Args:
        labels: Words of every label.
        categories: Words of every label's category, in the same order.
        originals: The labels as the shelf has them; tells which last words were cut.
    """
    nearby: dict[Words, Counter[str]] = defaultdict(Counter)
    for label, category in zip(labels, categories, strict=True):
        nearby[category].update({*label, *category})
    cut = _cut_length(originals)
    known: dict[tuple[Words, str, bool], list[str]] = {}
    learned = []
    for label, category, original in zip(labels, categories, originals, strict=True):
        more: list[str] = []
        for at, word in enumerate(label):
            is_cut = cut is not None and len(original) >= cut and at == len(label) - 1
            # Whole words have vowels after their first letter, and numbers stand for themselves.
            if not word.isalpha() or (not is_cut and any(c in "aeiou" for c in word[1:])):
                continue
            key = (category, word, is_cut)
            if key not in known:
                known[key] = _meanings(word, nearby[category], is_cut=is_cut)
            more += known[key]
        learned.append(tuple(dict.fromkeys(w for w in more if w not in label)))
    return learned
