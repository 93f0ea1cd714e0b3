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
# fmt: off
_CONTAINERS = frozenset([
    "bottle", "box", "bag", "pack", "package", "packet", "can", "jar", "case", "carton", "tub", "tube",
    "roll", "bunch", "bouquet", "loaf", "dozen", "piece", "slice", "stick", "cup", "pouch", "block",
])
# fmt: on
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
        said: Its words and those that a synonym took the place of; neither may have a rival on the label.
        is_rewritten: The words are the shelf's, by a curated synonym.
        is_whole: The synonym stands for the whole phrase.
        is_overruled: A synonym exists for its noun and was not taken.
        is_part: It is one of several products that the phrase names.
        is_shortened: The form was left off: "taco seasoning packet" read as "taco seasoning".
    """

    tokens: Words
    heads: Words
    said: Words
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


def _start(core: Words, curated: Curated) -> int | None:
    """Where the longest synonym with the noun begins; one for a mere modifier says something else."""
    for length in range(min(LONGEST_SYNONYM, len(core)), 0, -1):
        if core[-length:] in curated.synonyms:
            return len(core) - length
    return None


def _finished(draft: _Draft, curated: Curated, core: Words, heads: Words, **flags: bool) -> Reading:
    tail = compound(draft.tail, curated)
    tokens = tuple(dict.fromkeys((*compound(core, curated), *tail)))
    said = tuple(dict.fromkeys((*tokens, *compound(draft.core, curated))))
    return Reading(tokens, heads, said, is_part=draft.is_part, is_shortened=draft.is_shortened, **flags)


def _contradicts(rest: set[str], new: Words, curated: Curated) -> bool:
    """Whether what stays rules out what a synonym brings: "kids' cereal" is no "adult cereal"."""
    return any(rest & set(g) and set(new) & set(g) and not rest & set(new) & set(g) for g in curated.rivals)


def _read(draft: _Draft, curated: Curated) -> list[Reading]:
    """The draft as it stands and with the synonym of its noun in every meaning."""
    start = _start(draft.core, curated)
    noun = compound(draft.core, curated)[-1:]
    meanings = () if start is None else curated.synonyms[draft.core[start:]]
    # A synonym that is the word itself says that the shelf uses it too.
    is_overruled = bool(meanings) and draft.core[start:] not in meanings
    found = [_finished(draft, curated, draft.core, noun, is_overruled=is_overruled)]
    rest = draft.core[:start]
    is_whole = set(rest) <= curated.soft
    for new in meanings:
        if not _contradicts(set(rest), new, curated):
            heads = tuple(dict.fromkeys(compound(new, curated)))
            found.append(
                _finished(draft, curated, (*rest, *new), heads, is_rewritten=True, is_whole=is_whole)
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
