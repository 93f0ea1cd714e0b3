"""Kinds out of titles, for a shop without a column of kinds: sizes, counts and brand go, words stay.

    "Acme Whole Milk, 1 gal"            (brand Acme)   -> "whole milk"
    "WHOLE MILK 2 x 500ml"                             -> "whole milk"
    "Dish Soap – Lemon (6-pack)"                       -> "dish soap lemon"
    "Paper Towels, 12 Rolls / 2-ply"                   -> "paper towels 2-ply"
    "Crème fraîche 30 % 200 g"                         -> "crème fraîche 30%"
    "7-Up 12oz"                         (brand 7-Up)   -> "7-up"

Case, punctuation and word spacing go; the order of words stays, so that the kind reads well in a prompt. A
percentage and a ply stay: they tell products apart that a shopper tells apart. Where nothing with a letter is
left, the steps that took too much are not done. Near duplicates ("milk whole") are joined in `grouping`.
"""

from __future__ import annotations

import polars as pl

# Longer ones are whole sentences; a kind is a value in a prompt.
MAX_KIND_CHARS = 120

_NUMBER = r"\d+(?:[.,/]\d+)*"
_UNIT = (
    r"(?:fl\.?\s?oz|fluid\s?ounces?|oz|ounces?|lbs?|pounds?|gal|gallons?|qts?|quarts?|pts?|pints?|"
    r"ml|cl|dl|l|lt|ltr|liters?|litres?|mg|g|gr|grams?|kg|kilos?|mm|cm|m|ft|feet|inch(?:es)?|yds?)"
)
_COUNT = (
    r"(?:ct|cnt|counts?|pks?|packs?|pcs?|pieces?|rolls?|sheets?|bags?|cans?|bottles?|btls?|ea|each|"
    r"dozen|units?|tablets?|tabs?|capsules?|caplets?|softgels?)"
)
_EDGE = r"(?:^|[\s,;:()\[\]/*+–—-])"
_END = r"(?:[\s,;:()\[\]/*+–—.-]|$)"
# A size, alone or multiplied: "12 oz", "500ml", "2x1L", "6 x 330 ml", "12-oz".
# "in" counts only where it touches the number: "3 in 1" is no length.
_SIZE = rf"(?:{_NUMBER}\s?[x×]\s?)?{_NUMBER}(?:[\s-]?{_UNIT}|-?in)"
# A count of things: "6-pack", "24 ct", "12 rolls", "pack of 6".
_PACK = rf"(?:{_NUMBER}[\s-]?{_COUNT}|(?:pack|case|box|set|bag)\s+of\s+\d+)"
# "6 x Cola" and "Cola x6"; "2 x 4" between other words is a size of timber and stays.
_TIMES_FIRST = r"^\s*\d+\s?[x×]\s+(\p{L})"
_TIMES_LAST = r"\s[x×]\s?\d+\s*$"
_MEASURE = rf"{_EDGE}(?:{_SIZE}|{_PACK}){_END}"
# A percentage, an ampersand and an apostrophe or hyphen within a word belong to it.
_LOOSE = r"[^\p{L}\p{M}\p{N}%&'’+.-]+|(?:^|\s)['’.+-]+|['’.+-]+(?:\s|$)"


def _folded(text: pl.Expr) -> pl.Expr:
    return text.str.normalize("NFC").str.to_lowercase().str.replace_all(r"\s+%", "%")


def _without_measures(text: pl.Expr) -> pl.Expr:
    # Twice, because two measures side by side share the space between them.
    once = text.str.replace_all(_MEASURE, " ").str.replace_all(_MEASURE, " ")
    return once.str.replace(_TIMES_FIRST, "$1").str.replace(_TIMES_LAST, "")


def _without_brand(text: pl.Expr, brand: pl.Expr) -> pl.Expr:
    """Without the brand where the title starts with it, as a word of its own."""
    rest = text.str.strip_prefix(brand)
    is_word = text.str.starts_with(brand) & rest.str.contains(r"^[^\p{L}\p{N}]")
    return pl.when(is_word.fill_null(value=False)).then(rest).otherwise(text)


def _tidy(text: pl.Expr) -> pl.Expr:
    loose = text.str.replace_all(_LOOSE, " ").str.replace_all(_LOOSE, " ")
    return loose.str.replace_all(r"\s+", " ").str.strip_chars(" &+'’.-")


def _if_words(text: pl.Expr) -> pl.Expr:
    """The text, or null where it holds fewer than two letters: no name for a kind."""
    return pl.when(text.str.contains(r"\p{L}.*\p{L}")).then(text)


def with_derived_kind(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with a kind made from title and brand, null where there is no title.

    Args:
        rows: Columns title and brand, text or null.
    """
    title = _folded(pl.col("title"))
    brand = _folded(pl.col("brand")).str.strip_chars()
    bare = _tidy(_without_measures(title))
    named = _tidy(_without_measures(_without_brand(title, brand)))
    whole = pl.col("title").str.strip_chars()
    kind = pl.coalesce(_if_words(named), _if_words(bare), _if_words(_tidy(title)), whole)
    return rows.with_columns(kind=kind.str.slice(0, MAX_KIND_CHARS).str.strip_chars())


def derived_kind(title: str, brand: str | None = None) -> str:
    """The kind of one title; a whole catalog goes through `with_derived_kind`."""
    schema = {"title": pl.String, "brand": pl.String}
    frame = pl.DataFrame({"title": [title], "brand": [brand]}, schema=schema)
    return str(with_derived_kind(frame)["kind"][0])
