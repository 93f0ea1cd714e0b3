"""Raw rows become products; a bad row costs that row and is listed with its first reason.

Every text is brought to Unicode NFC, line breaks and tabs become spaces, and surrounding whitespace goes;
case and inner spaces stay, because kinds and recorded answers are keyed by the exact words.
"""

from __future__ import annotations

import polars as pl

from pkgraph.model import category_key, kind_id
from pkgraph.tables import PRODUCTS, REJECTED_PRODUCTS

# FACTS C3: rapidfuzz needs half a second for a pair of 10 MB titles, and a title goes into a prompt.
MAX_TITLE_CHARS = 1_000
MAX_TEXT_CHARS = 200
MAX_DETAIL_CHARS = 200

_TEXTS = ("sku", "title", "category", "kind", "department", "brand", "price")
_LABELS = ("sku", "category", "kind", "department", "brand")
_CONTENT = ("title", "category", "kind", "department", "brand", "price")
# Direction overrides make what a reviewer sees differ from what is stored.
_UNPRINTABLE = r"[\p{Cc}\x{202A}-\x{202E}\x{2066}-\x{2069}]"
# Zero-width characters are legitimate in words of some scripts and in emoji, but never in an id.
_INVISIBLE = r"\p{Cf}"

_NUMBER = pl.col("price").cast(pl.Float64, strict=False)
_OVERLONG = [pl.col(name).str.len_chars() > MAX_TEXT_CHARS for name in _LABELS]

REFUSALS: dict[str, tuple[str, pl.Expr]] = {
    "unprintable_text": (
        "No text holds control characters or direction overrides, no id an invisible character.",
        pl.any_horizontal(
            *(pl.col(name).str.contains(_UNPRINTABLE) for name in _TEXTS),
            pl.col("sku").str.contains(_INVISIBLE),
        ),
    ),
    "text_too_long": (
        "A title has at most 1 000 characters, any other text 200; nothing is cut.",
        pl.any_horizontal(pl.col("title").str.len_chars() > MAX_TITLE_CHARS, *_OVERLONG),
    ),
    "missing_sku": ("Every product has an id.", pl.col("sku").is_null()),
    "missing_category": ("Every product has a category.", pl.col("category").is_null()),
    "missing_title": ("Every product has a title.", pl.col("title").is_null()),
    "missing_kind": (
        "Every product has a kind, where the catalog has a column of kinds.",
        pl.col("kind").is_null(),
    ),
    "unreadable_price": (
        "A price is a plain number (3.99), or absent.",
        pl.col("price").is_not_null() & ~_NUMBER.is_finite().fill_null(value=False),
    ),
    "negative_price": ("A price is zero or more.", _NUMBER < 0),
}
"""Reason -> (the rule it breaks, what offends), for a row by itself, in the order of looking."""

REPEATS: dict[str, str] = {
    "duplicate_row": "A row is delivered once; of equal rows the first is kept.",
    "conflicting_sku": "Rows of one id say the same; where they do not, all of them are refused.",
}
"""Reason -> the rule it breaks, for good rows that share their id."""


def normalised(text: pl.Expr) -> pl.Expr:
    """Unicode NFC, one line, no surrounding whitespace; nothing visible left is null."""
    flat = text.str.normalize("NFC").str.replace_all(r"[\t\r\n]+", " ").str.strip_chars()
    return pl.when(flat.str.contains(r"[^\p{C}\p{Z}]")).then(flat)


def _first_reason() -> pl.Expr:
    found = [pl.when(offends).then(pl.lit(name)) for name, (_, offends) in REFUSALS.items()]
    return pl.coalesce(pl.col("fault"), *found)


def _shown() -> pl.Expr:
    """What was found, as far as it can be shown on a line."""
    parts = [pl.format(f"{name}={{}}", pl.col(name).str.slice(0, 60)) for name in _TEXTS]
    row = pl.concat_str(parts, separator=" | ", ignore_nulls=True)
    return pl.coalesce("detail", row).str.replace_all(_UNPRINTABLE, "�").str.slice(0, MAX_DETAIL_CHARS)


def _judged_alone(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(normalised(pl.col(name)) for name in _TEXTS).with_columns(reason=_first_reason())


def _judged_together(good: pl.DataFrame) -> pl.DataFrame:
    """Good rows that share their id get a reason, except the first of equal ones."""
    # A price counts as a number: "1.2" is "1.20". Adding zero turns -0.0 into 0.0.
    good = good.with_columns(_NUMBER + 0.0)
    distinct = good.unique(["sku", *_CONTENT], keep="first", maintain_order=True)
    conflicting = distinct.filter(pl.col("sku").is_duplicated()).get_column("sku").unique()
    is_repeat = ~pl.col("row").is_in(distinct.get_column("row").implode())
    return good.with_columns(
        reason=pl.when(pl.col("sku").is_in(conflicting.implode()))
        .then(pl.lit("conflicting_sku"))
        .when(is_repeat)
        .then(pl.lit("duplicate_row"))
    )


def _keyed(good: pl.DataFrame) -> pl.DataFrame:
    """Keys are computed once a kind and once a category, not once a product."""
    kinds = good.select("category", "kind").unique(maintain_order=True)
    kinds = kinds.with_columns(
        kind_id=pl.Series([kind_id(*pair) for pair in kinds.iter_rows()], dtype=pl.String)
    )
    categories = kinds.select("category").unique(maintain_order=True)
    keys = [category_key(title) for title in categories["category"]]
    categories = categories.with_columns(category_key=pl.Series(keys, dtype=pl.String))
    return good.join(kinds, on=["category", "kind"], how="left").join(categories, on="category", how="left")


def _products(good: pl.DataFrame) -> pl.DataFrame:
    return PRODUCTS.conform(
        _keyed(good).with_columns(
            popularity=pl.lit(0.0),
        )
    )


def clean(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Products and refused rows; together they are as many as the rows.

    Args:
        rows: Columns row (Int64, from 1), the seven texts of `_TEXTS` and, where a row could not even be
            split into fields, `fault` (the reason) and `detail` (what was found), else null.
    """
    alone = _judged_alone(rows)
    refused = alone.filter(pl.col("reason").is_not_null())
    together = _judged_together(alone.filter(pl.col("reason").is_null()))
    repeats = together.filter(pl.col("reason").is_not_null())
    repeats = repeats.with_columns(pl.col("price").cast(pl.String))
    listed = pl.concat([refused, repeats]).with_columns(detail=_shown())
    return _products(together.filter(pl.col("reason").is_null())), REJECTED_PRODUCTS.conform(listed)
