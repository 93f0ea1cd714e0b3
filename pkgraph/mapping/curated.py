"""What is known about the words of supermarkets, read once from the data files beside this module.

Every file is one line a fact; "#" starts a comment. A shop adds lines of its own to the synonyms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from pkgraph.errors import SettingsError
from pkgraph.mapping.words import content_words, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Words = tuple[str, ...]
MAX_OWN_SYNONYMS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Curated:
    """The curated knowledge.

    Attributes:
        abbreviations: Words of a shelf label to the words they stand for.
        glued: Words that ran together, as text in which slashes keep products apart.
        synonyms: Words of a shopper to the shelf's words for the same thing, best first.
        rivals: Groups of words of which a product has at most one: dog, cat, bird.
        soft: Words that say little about which product is meant: fresh, large, assorted.
        fillers: Words of shelf labels that say nothing: premium, regular, misc.
        changing: Words of shelf labels that make another product: chocolate, substitute, accessory.
        compounds: Pairs of words that mean one thing: ice cream.
    """

    abbreviations: Mapping[Words, Words]
    glued: Mapping[str, str]
    synonyms: Mapping[Words, tuple[Words, ...]]
    rivals: tuple[Words, ...]
    soft: frozenset[str]
    fillers: frozenset[str]
    changing: frozenset[str]
    compounds: frozenset[Words]


def _lines(text: str) -> list[str]:
    stripped = (line.split("#", 1)[0].rstrip() for line in text.splitlines())
    return [line for line in stripped if line.strip()]


def data_lines(name: str) -> list[str]:
    """The facts of one of the data files, a line each."""
    return _lines((files("pkgraph.mapping") / "data" / name).read_text(encoding="utf-8"))


def _pairs(lines: Iterable[str], *, name: str, is_phrase: bool = True) -> dict[Words, tuple[Words, ...]]:
    pairs: dict[Words, tuple[Words, ...]] = {}
    for line in lines:
        left, _, right = line.partition("\t")
        meanings = tuple(filter(None, (words(part) for part in right.split("|"))))
        key = content_words(left) if is_phrase else words(left)
        if not key or not (meanings or right.strip() == "-"):
            raise SettingsError(
                f"{name} holds a line without two sides: {line[:80]!r}.",
                remedy="Write shopper words, a tab, shelf words; several meanings are separated by |.",
            )
        pairs[key] = (*pairs.get(key, ()), *meanings)
    return pairs


def read_synonyms(path: Path) -> tuple[str, ...]:
    """A shop's own synonym lines: shopper words, a tab, shelf words.

    Raises:
        SettingsError: The file is missing, is not UTF-8, or a line has not two sides.
    """
    try:
        lines = _lines(path.read_text(encoding="utf-8"))[:MAX_OWN_SYNONYMS]
    except (OSError, ValueError) as error:
        raise SettingsError(f"The synonyms {path} cannot be read: {error}.") from error
    _pairs(lines, name=str(path))
    return tuple(lines)


@cache
def curated(own_synonyms: tuple[str, ...] = ()) -> Curated:
    """The curated knowledge, with a shop's own synonym lines before the package's."""
    abbreviations = _pairs(data_lines("abbreviations.tsv"), name="abbreviations.tsv", is_phrase=False)
    glued = (line.partition("\t") for line in data_lines("abbreviations.tsv") if "/" in line)
    synonyms = _pairs((*own_synonyms, *data_lines("synonyms.tsv")), name="synonyms")
    return Curated(
        abbreviations={short: meanings[0] if meanings else () for short, meanings in abbreviations.items()},
        glued={left: right for left, _, right in glued},
        synonyms=synonyms,
        rivals=tuple(words(line) for line in data_lines("rivals.txt")),
        soft=frozenset(word for line in data_lines("soft_words.txt") for word in words(line)),
        fillers=frozenset(word for line in data_lines("filler_words.txt") for word in words(line)),
        changing=frozenset(word for line in data_lines("changing_words.txt") for word in words(line)),
        compounds=frozenset(words(line) for line in data_lines("compounds.txt")),
    )
