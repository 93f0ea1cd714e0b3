"""Text becomes words that compare: one case, no accents, singular, capped."""

from __future__ import annotations

import re
import unicodedata

MAX_CHARACTERS = 200
MAX_WORDS = 16

_WORD = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"(?<=\w)['’`´](s\b)?|(?<=\w) s(?= )")
_IRREGULAR = {
    "children": "child",
    "men": "man",
    "women": "woman",
    "teeth": "tooth",
    "feet": "foot",
    "mice": "mouse",
    "leaves": "leaf",
    "loaves": "loaf",
    "knives": "knife",
    "halves": "half",
    "shoes": "shoe",
    "toes": "toe",
    "lenses": "lens",
    "mens": "man",
    "womens": "woman",
    "childrens": "child",
}
_KEEP = frozenset({"christmas", "xmas", "gas", "canvas", "bias", "lens", "as", "is", "us"})
_IE = frozenset(
    {"cookie", "brownie", "movie", "smoothie", "veggie", "pie", "tie", "calorie", "hoodie", "doggie"}
)


def singular(word: str) -> str:
    """The singular by rule; both sides of a comparison go through it, so a wrong one does no harm.

    "potatoes" -> "potato", "berries" -> "berry", "cookies" -> "cookie", "glass" -> "glass"
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word in _KEEP or word.endswith(("ss", "us", "is")):  # noqa: PLR2004
        return word
    if word.endswith("ies"):
        return word[:-1] if word[:-1] in _IE else word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes", "oes")):
        return word[:-2]
    return word[:-1]


def plain(text: str) -> str:
    """Lower case without accents, possessives or anything past the cap."""
    text = unicodedata.normalize("NFKD", text[:MAX_CHARACTERS])
    text = "".join(c for c in text if not unicodedata.combining(c)).casefold()
    return _POSSESSIVE.sub("", text)


def words(text: str) -> tuple[str, ...]:
    """The words of a text in their order, singular.

    "Men's Body Washes" -> ("men", "body", "wash")
    """
    return tuple(singular(word) for word in _WORD.findall(plain(text))[:MAX_WORDS])


_STOP = frozenset({"a", "an", "the", "of", "and", "or", "your", "some", "any", "extra", "other"})


def content_words(text: str) -> tuple[str, ...]:
    """The words of a text without those that only join others."""
    return tuple(word for word in words(text) if word not in _STOP)
