"""A shopper's phrase is read: the products it names, their nouns, and the shelf's words for the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pkgraph.mapping.curated import Curated, Words
from pkgraph.mapping.labels import compound
from pkgraph.mapping.words import content_words, plain, words

MAX_READINGS = 16
LONGEST_SYNONYM = 5
_TAIL = re.compile(r"\b(?:for|with|without|in|from|to)\b")
_JOIN = re.compile(r"\b(?:and|or)\b|[&/,;]")
_CONTAINERS = frozenset(
    "bottle box bag pack package packet can jar case carton tub tube roll bunch bouquet loaf dozen piece "
    "slice stick cup pouch block head stalk container".split()
)
# Said last, they name the form in which the product comes; without them the product is the same.
_FORMS = frozenset(
    ["packet", "jar", "carton", "pouch", "tube", "tablet", "capsule", "can", "case", "piece", "pack"]
)
# After one of these, what stands before "and" only describes it: "salt and pepper shakers".
_SHARED_NOUNS = frozenset(
    ["tray", "set", "kit", "mix", "dip", "platter", "cleaner", "shaker", "seasoning", "combo"]
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a phrase.

    Attributes:
        tokens: Its words, compounds as one.
        heads: The noun; where a synonym was taken, every word of it. Without them the product is not meant.
        is_rewritten: The words are the shelf's, by a curated synonym.
        is_whole: The synonym stands for the whole phrase.
        is_overruled: A synonym exists for its noun and was not taken.
        is_part: It is one of several products that the phrase names.
        is_shortened: The form was left off: "taco seasoning packet" read as "taco seasoning".
    """

    tokens: Words
    heads: Words
    is_rewritten: bool = False
    is_whole: bool = False
    is_overruled: bool = False
    is_part: bool = False
    is_shortened: bool = False


@dataclass(frozen=True, slots=True)
class _Draft:
    """Words as they were said: the core ends in the noun, the tail says for whom or with what."""

    core: Words
    tail: Words
    is_part: bool
    is_shortened: bool = False


def _is_plural(text: str) -> bool:
    last = text.split()[-1:] or [""]
    return words(last[0]) != (last[0],)


def _parts(text: str) -> list[str]:
    """The products a phrase names: "vegetable and flower seeds" -> "vegetable seeds", "flower seeds"."""
    parts = [part.strip() for part in _JOIN.split(text) if words(part)]
    if not parts[1:]:
        return parts
    noun = parts[-1].split()[-1]
    describes = words(noun)[0] in _SHARED_NOUNS if words(noun) else False
    if describes or (_is_plural(noun) and not _is_plural(parts[0])):
        return [*(f"{part} {noun}" for part in parts[:-1]), parts[-1]]
    return parts


def _draft(text: str, *, is_part: bool) -> _Draft | None:
    core = _TAIL.split(text, maxsplit=1)[0].strip() or text
    tail = _TAIL.sub(" ", text[len(core) :])
    before, of, after = core.partition(" of ")
    if of and words(before)[-1:] and words(before)[-1] in _CONTAINERS:
        core = after
    tokens = content_words(core)
    return _Draft(tokens, content_words(tail), is_part) if tokens else None


def _shortened(draft: _Draft) -> _Draft | None:
    if draft.core[-1] not in _FORMS or not draft.core[1:]:
        return None
    return replace(draft, core=draft.core[:-1], is_shortened=True)


def _spans(tokens: Words, curated: Curated) -> list[tuple[int, int]]:
    """Where a synonym applies, the longest first, none inside another."""
    found: list[tuple[int, int]] = []
    for length in range(min(LONGEST_SYNONYM, len(tokens)), 0, -1):
        for at in range(len(tokens) - length + 1):
            inside = any(a <= at and at + length <= b for a, b in found)
            if not inside and tokens[at : at + length] in curated.synonyms:
                found.append((at, at + length))
    return found


def _finished(draft: _Draft, curated: Curated, core: Words, heads: Words, **flags: bool) -> Reading:
    tokens = tuple(dict.fromkeys((*compound(core, curated), *compound(draft.tail, curated))))
    return Reading(tokens, heads, is_part=draft.is_part, is_shortened=draft.is_shortened, **flags)


def _contradicts(rest: set[str], new: Words, curated: Curated) -> bool:
    """Whether what stays rules out what a synonym brings: "kids' cereal" is no "adult cereal"."""
    return any(rest & set(g) and set(new) & set(g) and not rest & set(new) & set(g) for g in curated.rivals)


def _read(draft: _Draft, curated: Curated) -> list[Reading]:
    """The draft as it stands and with every synonym that applies."""
    size = len(draft.core)
    spans = _spans(draft.core, curated)
    noun = compound(draft.core, curated)[-1:]
    is_overruled = any(stop == size for _, stop in spans)
    found = [_finished(draft, curated, draft.core, noun, is_overruled=is_overruled)]
    for start, stop in spans:
        rest = {*draft.core[:start], *draft.core[stop:]}
        for new in curated.synonyms[draft.core[start:stop]]:
            if _contradicts(rest, new, curated):
                continue
            core = (*draft.core[:start], *new, *draft.core[stop:])
            heads = tuple(dict.fromkeys(compound(new, curated))) if stop == size else noun
            whole = stop == size and rest <= curated.soft
            overruled = is_overruled and stop != size
            found.append(
                _finished(
                    draft, curated, core, heads, is_rewritten=True, is_whole=whole, is_overruled=overruled
                )
            )
    return found


def readings(phrase: str, curated: Curated) -> tuple[Reading, ...]:
    """Every way to read a phrase, as it stands first; none where it holds no word."""
    text = " ".join(plain(phrase).split())
    parts = [] if content_words(text) in curated.synonyms else _parts(text)
    texts = [(text, False), *((part, True) for part in parts if parts[1:])]
    drafts = [d for t, is_part in texts if (d := _draft(t, is_part=is_part))]
    drafts += [short for draft in drafts if (short := _shortened(draft))]
    found = [reading for draft in drafts for reading in _read(draft, curated)]
    return tuple(dict.fromkeys(r for r in found if r.tokens))[:MAX_READINGS]
