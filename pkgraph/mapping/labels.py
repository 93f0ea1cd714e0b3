"""Shelf labels are read: abbreviations expanded, exclusions dropped, the noun found."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pkgraph.mapping.curated import Curated, Words
from pkgraph.mapping.words import words

LONGEST_ABBREVIATION = 3
# "(EX:4PK18PK", "(EXCEPT MARASCHINO)", "(EX SMI-SWT)": what the kind is not.
_EXCLUSION = re.compile(r"\(?\bEX(?:C|CP|CE|CEPT|CL|CLUDING)?\b[ :.][^)]*\)?", re.IGNORECASE)
_PARENTHESIS = re.compile(r"\([^)]*\)?")
_SEGMENT = re.compile(r"[:,;&/+]| - |- |\band\b", re.IGNORECASE)
_NEGATION = frozenset({"non", "no", "without"})


@dataclass(frozen=True, slots=True)
class ShelfLabel:
    """A shelf label as words.

    Attributes:
        all_words: Every word, expanded, brackets included.
        main_words: Those outside brackets.
        heads: The words that can be its noun: the last one of each part, and the first of all.
    """

    all_words: Words
    main_words: Words
    heads: Words


def merge_negations(tokens: Words) -> Words:
    """A negated word is a word of its own: ("non", "dairy", "creamer") -> ("nondairy", "creamer")."""
    merged: list[str] = []
    waiting = False
    for token in tokens:
        if token in _NEGATION:
            waiting = True
            continue
        merged.append(f"non{token}" if waiting else token)
        waiting = False
    return tuple(merged)


def expand(tokens: Words, curated: Curated) -> Words:
    """Abbreviations replaced by what they stand for, the longest first."""
    expanded: list[str] = []
    at = 0
    while at < len(tokens):
        for length in range(LONGEST_ABBREVIATION, 0, -1):
            full = curated.abbreviations.get(tokens[at : at + length])
            if full and at + length <= len(tokens):
                expanded.extend(full)
                at += length
                break
        else:
            expanded.append(tokens[at])
            at += 1
    return merge_negations(tuple(expanded))


def read_label(text: str, curated: Curated) -> ShelfLabel:
    """A shelf label as words.

    "SFT DRNK 2 LITER BTL CARB (EX:4PK)" -> soft drink 2 liter bottle carbonated; its noun is one of soft, carbonated
    """
    text = _EXCLUSION.sub(" ", text.replace("W/O", "WITHOUT ").replace("w/o", "without "))
    main = _PARENTHESIS.sub(" ", text)
    segments = [expand(words(segment), curated) for segment in _SEGMENT.split(main)]
    segments = [segment for segment in segments if segment]
    main_words = expand(words(main), curated)
    return ShelfLabel(
        all_words=expand(words(text), curated) or words(text),
        main_words=main_words,
        heads=tuple(dict.fromkeys((*(s[-1] for s in segments), *main_words[:1]))),
    )
