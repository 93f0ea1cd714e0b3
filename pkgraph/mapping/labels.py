"""Shelf labels are read: abbreviations expanded, exclusions dropped, the nouns found."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pkgraph.mapping.curated import Curated, Words
from pkgraph.mapping.words import words

LONGEST_ABBREVIATION = 3
MAX_FACES = 4
# "(EX:4PK18PK", "(EXCEPT MARASCHINO)", "(EX SMI-SWT)": what the kind is not.
_EXCLUSION = re.compile(r"\(?\bEX(?:C|CP|CE|CEPT|CL|CLUDING)?\b[ :.][^)]*\)?", re.IGNORECASE)
_PARENTHESIS = re.compile(r"\([^)]*\)?")
_QUALIFIER = re.compile(r":| - |- |(?<=\w)-(?=\w{3})", re.IGNORECASE)
_ALTERNATIVE = re.compile(r"[,;&/+]|\band\b", re.IGNORECASE)
# "WATERMELON W/SEEDS", "TEA CAN WITH SWEETENER": what follows is no noun.
_ADDITION = re.compile(r"(?<=\w)\s*(?:\bW/|\bWITH\b).*", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_HYPHEN = re.compile(r"[^\W_]+-[^\W_]+")
_NEGATING_SUFFIX = frozenset({"free"})
_NEGATION = frozenset({"non", "no", "without"})


@dataclass(frozen=True, slots=True)
class Face:
    """One of the things a label names: APPLE JUICE & CIDER names two.

    Attributes:
        tokens: Its words, brackets left out.
        nouns: Those that can be its noun.
        details: Nouns after a colon or a dash, which may only describe it: CAKES: ICE CREAM.
    """

    tokens: Words
    nouns: Words
    details: Words = ()


@dataclass(frozen=True, slots=True)
class ShelfLabel:
    """A shelf label as words: every one of them, and what it names."""

    all_words: Words
    faces: tuple[Face, ...]


def _merge(tokens: Words, curated: Curated) -> Words:
    """Compounds as one word: ("vanilla", "ice", "cream") -> ("vanilla", "icecream")."""
    merged: list[str] = []
    at = 0
    while at < len(tokens):
        pair = tokens[at : at + 2]
        merged.append("".join(pair) if pair in curated.compounds else tokens[at])
        at += 2 if pair in curated.compounds else 1
    return tuple(merged)


def compound(tokens: Words, curated: Curated) -> Words:
    """Compounds and negations as one word: ("non", "dairy") and ("dairy", "free") -> ("nondairy",)."""
    merged: list[str] = []
    waiting = False
    for word in tokens:
        if word in _NEGATION:
            waiting = True
        elif word in _NEGATING_SUFFIX and merged:
            merged[-1] = f"non{merged[-1]}"
        else:
            merged.append(f"non{word}" if waiting else word)
            waiting = False
    return _merge(tuple(merged), curated)


def expand(tokens: Words, curated: Curated) -> Words:
    """Abbreviations replaced by what they stand for, the longest first."""
    expanded: list[str] = []
    at = 0
    while at < len(tokens):
        for length in range(LONGEST_ABBREVIATION, 0, -1):
            full = curated.abbreviations.get(tokens[at : at + length])
            if full is not None and at + length <= len(tokens):
                expanded.extend(full)
                at += length
                break
        else:
            expanded.append(tokens[at])
            at += 1
    return compound(tuple(expanded), curated)


def _nouns(text: str, curated: Curated) -> Words:
    """The last word that is no mere quality, and the first where it is a plural: ONIONS RED."""
    tokens = expand(words(text), curated)
    telling = [t for t in tokens if len(t) > 1 and t not in curated.fillers and t not in curated.soft]
    if not telling:
        return ()
    first = text.split(maxsplit=1)[0].lower().strip(".")
    is_plural = words(first) != (first,) and telling[0] == tokens[0]
    return (telling[0], telling[-1]) if is_plural else (telling[-1],)


def _faces(text: str, curated: Curated) -> tuple[Face, ...]:
    *contexts, named = [part for part in _QUALIFIER.split(text) if part.strip()] or [""]
    context = tuple(w for part in contexts for w in expand(words(part), curated))
    context_nouns = tuple(noun for part in contexts for noun in _nouns(part, curated))
    parts = [part for part in _ALTERNATIVE.split(named) if words(part)]
    parts = [_with_shared_noun(part, parts[-1]) for part in parts]
    first = expand(words(parts[0]), curated) if parts else ()
    faces = []
    for place, part in enumerate(parts):
        tokens = expand(words(part), curated)
        telling = [t for t in tokens if t not in curated.fillers]
        if place and len(telling) == 1 and len(first) > 1:
            # BAKING POWDER & SODA: the second is baking soda.
            tokens = _merge((*first[:-1], *tokens), curated)
            faces.append(_face(context, context_nouns, tokens, tokens[-1:]))
        elif tokens:
            faces.append(_face(context, context_nouns, tokens, _nouns(part, curated)))
    return tuple(dict.fromkeys(faces))[:MAX_FACES] or (Face(context, context_nouns),)


def _unhyphened(pair: re.Match[str], curated: Curated) -> str:
    """GIFT-WRAP is one word, FLORAL-ROSES are two."""
    return pair[0].replace("-", " ") if words(pair[0]) in curated.compounds else pair[0]


def _with_shared_noun(part: str, last: str) -> str:
    """STEAK & WORCHESTER SAUCE: the first is a steak sauce; a plural would be a thing of its own."""
    said, shared = part.split(), last.split()
    if part == last or len(said) > 1 or len(shared) == 1 or words(part) != (part.strip().lower(),):
        return part
    return f"{part} {shared[-1]}"


def _face(context: Words, context_nouns: Words, tokens: Words, nouns: Words) -> Face:
    if context_nouns:
        return Face((*context, *tokens), context_nouns, nouns)
    return Face((*context, *tokens), nouns)


def read_label(text: str, curated: Curated) -> ShelfLabel:
    """A shelf label as words.

    "SFT DRNK 2 LITER BTL CARB (EX:4PK)" -> softdrink 2 liter bottle carbonated
    """
    text = _EXCLUSION.sub(" ", text.replace("W/O", "WITHOUT ").replace("w/o", "without "))
    text = _WORD.sub(lambda word: curated.glued.get(word[0].lower(), word[0]), text)
    text = _HYPHEN.sub(lambda pair: _unhyphened(pair, curated), text)
    main = _ADDITION.sub("", _PARENTHESIS.sub(" ", text))
    return ShelfLabel(expand(words(text), curated) or words(text), _faces(main, curated))
