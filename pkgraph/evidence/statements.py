"""Signals that a statement carries itself: its wording, its confidence, the answer it stands in."""

from __future__ import annotations

import polars as pl

from pkgraph.evidence.words import rarity, share_used, similarity, specificity, stems, word_list
from pkgraph.model import RelationType

# The one-shot example of the templates companions.v1 and occasions.v1: small models repeat it anywhere.
_EXAMPLE_TEXTS = frozenset(
    {
        "carnations for mother's day are usually given with a card.",
        "carnations are the traditional flower of mother's day.",
    }
)
_EXAMPLE_RATIONALE = "mother's day gift"
_EXAMPLE_WORD = "carnation"
# Nothing about these is a leak: the example is true of them.
_FLOWERS = frozenset({"carnation", "floral", "flower", "rose", "bouquet", "mother", "mothers"})


def _flag(expression: pl.Expr) -> pl.Expr:
    return expression.cast(pl.Float64)


def _share_of_others(column: str) -> pl.Expr:
    """Share of the answer's other statements with the same value; null where it is the only one."""
    others = pl.len().over("response_id") - 1
    same = pl.len().over("response_id", column) - 1
    return pl.when(others > 0).then(same / others)


def _standing() -> pl.Expr:
    """Share of the answer's other statements with less confidence, ties half."""
    others = pl.len().over("response_id") - 1
    rank = pl.col("stated_confidence").rank("average").over("response_id") - 1
    return pl.when(others > 0).then(rank / others)


def answer_signals(statements: pl.DataFrame) -> pl.DataFrame:
    """Signals of a statement's place among all statements of its answer, a row a relation_id."""
    kinds = [
        _flag(pl.col("relation_type") == str(kind)).alias(f"is_{kind}")
        for kind in RelationType
        if kind != RelationType.COMPLEMENT
    ]
    folded = statements.with_columns(pl.col("product").str.to_lowercase())
    return folded.select(
        "relation_id",
        "stated_confidence",
        *kinds,
        confidence_standing=_standing(),
        is_about_purpose=_flag(pl.col("source_kind_id").is_null()),
        position=pl.col("position").cast(pl.Float64),
        answer_size=pl.len().over("response_id").cast(pl.Float64),
        # Rounded, so that the order of a sum in threads never shows.
        answer_confidence=pl.col("stated_confidence").mean().over("response_id").round(9).clip(0, 1),
        is_repaired=_flag(pl.col("is_repaired")),
        repeats_product=_share_of_others("product"),
        # In an answer about a purpose all statements share the rationale, by the way it was asked.
        repeats_rationale=pl.when(pl.col("source_kind_id").is_not_null()).then(
            _share_of_others("rationale_id")
        ),
    )


def leaks_example(source: str, rationale: str, product: str, explanation: str) -> bool:
    """Whether a statement repeats the prompt's one-shot example about a source it is not true of."""
    if stems(source) & stems(" ".join(_FLOWERS)):
        return False
    is_example = explanation.casefold() in _EXAMPLE_TEXTS or rationale.casefold() == _EXAMPLE_RATIONALE
    return is_example or _EXAMPLE_WORD in f"{product} {explanation}".casefold()


def wording_signals(statements: pl.DataFrame, everything: pl.DataFrame) -> pl.DataFrame:
    """Signals of a statement's words, a row a relation_id.

    Args:
        statements: Statements to look at, each once.
        everything: All statements of the shop; what is rare is counted among them.
    """
    products, rationales = rarity(everything["product"]), rarity(everything["rationale"])
    source = pl.coalesce("source_kind", "rationale").alias("source")
    columns = statements.select("relation_id", source, "rationale", "product", "explanation")
    rows = [
        {
            "relation_id": relation_id,
            "product_specificity": specificity(texts[2], products),
            "rationale_specificity": specificity(texts[1], rationales),
            **_wording(*texts),
        }
        for relation_id, *texts in columns.iter_rows()
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(_WORDING, pl.Float64) | {"relation_id": pl.String})


_WORDING = (
    "relation_id",
    "n_product_words",
    "n_rationale_words",
    "product_specificity",
    "rationale_specificity",
    "leaks_example",
    "product_in_explanation",
    "source_in_explanation",
    "rationale_in_explanation",
    "source_product_similarity",
    "rationale_product_similarity",
    "explanation_words",
)


def _wording(source: str, rationale: str, product: str, explanation: str) -> dict[str, float]:
    return {
        "n_product_words": float(len(word_list(product))),
        "n_rationale_words": float(len(word_list(rationale))),
        "leaks_example": float(leaks_example(source, rationale, product, explanation)),
        "product_in_explanation": share_used(product, explanation),
        "source_in_explanation": share_used(source, explanation),
        "rationale_in_explanation": share_used(rationale, explanation),
        "source_product_similarity": similarity(source, product),
        "rationale_product_similarity": similarity(rationale, product),
        "explanation_words": float(len(word_list(explanation))),
    }
