"""A small shop for tests: frames of products and accepted relations from a line or two each."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from pkgraph.model import category_key, kind_id, normalise_rationale, rationale_id
from pkgraph.tables import ACCEPTED_RELATIONS, PRODUCTS

Shop = dict[str, tuple[str, list[tuple[str, str, float]]]]
Told = tuple[str | None, str, str, str, float, str]
"""Source kind, relation type, rationale, target kind, probability, explanation."""

SHOP: Shop = {
    # kind: (category, products as sku, title, popularity)
    "carnations": ("flowers", [("f1", "red carnations", 0.02), ("f2", "white carnations", 0.05)]),
    "vases": ("flowers", [("v1", "glass vase", 0.01)]),
    "greeting cards": ("cards", [("c1", "mother's day card", 0.03), ("c2", "birthday card", 0.04)]),
    "chocolates": ("candy", [("k1", "box of chocolates", 0.06), ("k2", "chocolate bar 3 oz", 0.06)]),
    "candles": ("gifts", [("g1", "scented candle", 0.01)]),
    "tulips": ("flowers", [("t1", "yellow tulips", 0.01)]),
    "batteries": ("home", [("b1", "aa batteries 8 pk", 0.02)]),
}
STATEMENTS: list[Told] = [
    ("carnations", "complement", "mother's day gift", "greeting cards", 0.9, "A card goes with the flowers."),
    ("carnations", "accessory", "keeping flowers fresh", "vases", 0.8, "Cut flowers stand in a vase."),
    ("carnations", "substitute", "flowers as a gift", "tulips", 0.7, "Tulips are another bunch to give."),
    (None, "occasion", "mother's day gift", "carnations", 0.95, "Carnations are the flower of the day."),
    (None, "occasion", "mother's day gift", "chocolates", 0.9, "Chocolates are given to mothers."),
    (None, "occasion", "romantic evening", "candles", 0.85, "Candles set the mood."),
]


def key_of(kind: str, shop: Shop = SHOP) -> str:
    return kind_id(shop[kind][0], kind) if kind in shop else kind_id("nowhere", kind)


def products(shop: Shop = SHOP) -> pl.DataFrame:
    """The shop as a PRODUCTS frame."""
    rows = [
        {
            "sku": sku,
            "title": title,
            "kind_id": kind_id(category, kind),
            "kind": kind,
            "category": category,
            "category_key": category_key(category),
            "department": None,
            "brand": "own" if popularity > 0.03 else None,
            "price": 2.5 if popularity > 0.01 else None,
            "popularity": popularity,
        }
        for kind, (category, skus) in shop.items()
        for sku, title, popularity in skus
    ]
    return PRODUCTS.conform(pl.DataFrame(rows, schema=PRODUCTS.schema))


def statement(told: Told, *, position: int, model: str = "model-a", shop: Shop = SHOP) -> dict[str, object]:
    """One row of ACCEPTED_RELATIONS."""
    source, relation_type, rationale, target, probability, explanation = told
    return {
        "relation_id": f"{model}-answer-{position}-0",
        "response_id": f"{model}-answer-{position}",
        "prompt_id": f"prompt-{source or rationale}",
        "model": model,
        "sample": 0,
        "position": 0,
        "source_kind_id": key_of(source, shop) if source else None,
        "source_kind": source,
        "source_category": shop[source][0] if source in shop else None,
        "relation_type": relation_type,
        "rationale": normalise_rationale(rationale),
        "rationale_id": rationale_id(rationale),
        "product": target,
        "explanation": explanation,
        "stated_confidence": 0.6,
        "is_repaired": False,
        "classifier": "0123456789abcdef",
        "answer": f"{model}-answer-{position}",
        "is_covered": False,
        "target_kind_id": key_of(target, shop),
        "target_kind": target,
        "target_category": shop[target][0] if target in shop else "nowhere",
        "match_score": 0.98,
        "match_margin": 0.5,
        "match_rank": 0,
        "n_targets": 1,
        "probability": probability,
    }


def accepted(
    statements: Iterable[Told] = STATEMENTS, *, model: str = "model-a", shop: Shop = SHOP
) -> pl.DataFrame:
    """Statements as an ACCEPTED_RELATIONS frame."""
    numbered = enumerate(statements)
    rows = [statement(row, position=position, model=model, shop=shop) for position, row in numbered]
    return ACCEPTED_RELATIONS.conform(pl.DataFrame(rows, schema=ACCEPTED_RELATIONS.schema))
