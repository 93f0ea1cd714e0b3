"""A shopper's phrase is read: its parts, its noun, and the shelf's words for the same thing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pkgraph.mapping.curated import Curated, Words
from pkgraph.mapping.labels import merge_negations
from pkgraph.mapping.words import content_words, plain, words

MAX_READINGS = 12
LONGEST_SYNONYM = 4
_TAIL = re.compile(r"\b(?:for|with|without|in|from|to)\b")
_JOIN = re.compile(r"\b(?:and|or)\b|[&/,;]")
_CONTAINERS = frozenset(
    "bottle box bag pack package packet can jar case carton tub tube roll bunch bouquet loaf dozen piece "
    "slice stick cup pouch six".split()  # noqa: SIM905 - reads better than sixteen quotes
)
# Said last, they name the form in which the product comes; without them the product is the same.
_FORMS = frozenset("packet jar carton pouch tube tablet capsule can case piece pack multipack".split())  # noqa: SIM905
# After one of these, what stands before "and" only describes it: "salt and pepper shakers".
_SHARED_NOUNS = frozenset("tray set kit mix dip platter cleaner shaker seasoning combo".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a phrase.

    Attributes:
        tokens: Its words, no filler among them.
        head: The noun; without it the product is not meant.
        is_rewritten: The words are the shelf's, by a curated synonym.
        is_part: It is one of several products that the phrase names.
        is_shortened: The form was left off: "taco seasoning packet" read as "taco seasoning".
    """

    tokens: Words
    head: str
    is_rewritten: bool = False
    is_part: bool = False
    is_shortened: bool = False


def _is_plural(text: str) -> bool:
    last = text.split()[-1:] or [""]
    return words(last[0]) != (last[0],)


def _parts(text: str) -> list[str]:
    """The products a phrase names: "paper plates and napkins" -> "paper plates", "napkins", "paper napkins"."""
    parts = [part.strip() for part in _JOIN.split(text) if part.strip()]
    if len(parts) < 2:  # noqa: PLR2004
        return parts
    last = parts[-1].split()
    first_describes = (
        len(parts) == 2
        and (  # noqa: PLR2004
            words(last[-1])[:1] and words(last[-1])[0] in _SHARED_NOUNS
        )
    )
    if first_describes or (_is_plural(parts[-1]) and not _is_plural(parts[0])):
        return [*(f"{part} {last[-1]}" for part in parts[:-1]), *parts[-1:]]
    return parts


def _reading(text: str, *, is_part: bool) -> Reading | None:
    core = _TAIL.split(text, maxsplit=1)[0].strip() or text
    before, of, after = core.partition(" of ")
    if of and words(before)[-1:] and words(before)[-1] in _CONTAINERS:
        core = after
    tokens = merge_negations(content_words(core))
    if not tokens:
        return None
    extra = () if of else tuple(t for t in content_words(text[len(core) :]) if not _TAIL.fullmatch(t))
    return Reading((*tokens, *(e for e in extra if e not in tokens)), tokens[-1], is_part=is_part)


def _shortened(reading: Reading) -> Reading | None:
    rest = tuple(t for t in reading.tokens if t != reading.head)
    if reading.head not in _FORMS or not rest:
        return None
    return Reading(rest, rest[-1], is_part=reading.is_part, is_shortened=True)


def _spans(tokens: Words, curated: Curated) -> list[tuple[int, int]]:
    """Where a synonym applies, the longest first, none inside another."""
    found: list[tuple[int, int]] = []
    for length in range(min(LONGEST_SYNONYM, len(tokens)), 0, -1):
        for at in range(len(tokens) - length + 1):
            inside = any(a <= at and at + length <= b for a, b in found)
            if not inside and tokens[at : at + length] in curated.synonyms:
                found.append((at, at + length))
    return found


def _rewritten(reading: Reading, curated: Curated) -> list[Reading]:
    readings = []
    for start, stop in _spans(reading.tokens, curated):
        old = reading.tokens[start:stop]
        for new in curated.synonyms[old]:
            tokens = (*reading.tokens[:start], *new, *reading.tokens[stop:])
            head = new[-1] if reading.head in old else reading.head
            unique = tuple(dict.fromkeys(tokens))
            readings.append(
                Reading(
                    unique,
                    head,
                    is_rewritten=True,
                    is_part=reading.is_part,
                    is_shortened=reading.is_shortened,
                )
            )
    return readings


def readings(phrase: str, curated: Curated) -> tuple[Reading, ...]:
    """Every way to read a phrase, as it stands first; none where it holds no word."""
    text = " ".join(plain(phrase).split())
    parts = _parts(text)
    is_compound = content_words(text) in curated.synonyms or len(parts) < 2  # noqa: PLR2004
    texts = [(text, False)] if is_compound else [(text, False), *((part, True) for part in parts)]
    base = [r for t, is_part in texts if (r := _reading(t, is_part=is_part))]
    base += [s for r in base if (s := _shortened(r))]
    everything = [*base, *(new for r in base for new in _rewritten(r, curated))]
    return tuple(dict.fromkeys(everything))[:MAX_READINGS]
