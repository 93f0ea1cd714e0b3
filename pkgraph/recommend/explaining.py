"""Positions in the arrays become products and paths that a person can read."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from pkgraph.recommend.answers import Path, Product, Recommendation
from pkgraph.recommend.ranking import path_probability, score_of
from pkgraph.snapshot.format import MICRO, RELATION_TYPES

if TYPE_CHECKING:
    from pkgraph.recommend.answers import Recommendations
    from pkgraph.recommend.picking import Pick
    from pkgraph.recommend.ranking import Source, Way
    from pkgraph.snapshot.layout import Sections


def product_at(s: Sections, row: int) -> Product:
    kind, price = int(s.sku_kind[row]), float(s.sku_price[row])
    return Product(
        sku=s.sku_ids[row],
        title=s.sku_titles[row],
        kind=s.kind_titles[kind],
        category=s.category_of(kind),
        price=price if math.isfinite(price) else None,
    )


def explained(s: Sections, sources: Sequence[Source], pick: Pick) -> Recommendation:
    """A chosen product with the heaviest path of every source that leads to its kind."""
    paths = tuple(path_at(s, sources[way.source], way, pick.kind) for way in pick.ways)
    product = product_at(s, pick.sku_row)
    return Recommendation(
        sku=product.sku,
        title=product.title,
        kind=product.kind,
        category=product.category,
        price=product.price,
        score=score_of(pick.weight),
        probability=paths[0].probability,
        paths=paths,
    )


def path_at(s: Sections, source: Source, way: Way, kind: int) -> Path:
    rationale = int(s.edge_rationale[way.edge])
    probability = path_probability(s, np.array([way.edge]), np.array([way.via]))[0]
    return Path(
        seed_sku=source.seed_sku,
        seed_kind=s.kind_titles[source.node] if source.seed_sku is not None else None,
        rationale=s.rationale_texts[rationale],
        rationale_id=s.rationale_ids[rationale],
        relation_type=str(RELATION_TYPES[int(s.edge_type[way.edge])]),
        explanation=s.edge_explanations[way.edge],
        probability=int(np.rint(probability * MICRO)) / MICRO,
        relation_id=s.surest_relation_id(way.edge),
        is_reversed=int(s.edge_target[way.edge]) != kind,
        via_relation_id=s.surest_relation_id(way.via) if way.via >= 0 else None,
        edge=way.edge,
    )


def as_json(answer: Recommendations) -> bytes:
    """The answer as one JSON object in UTF-8 without white space."""
    body = {
        "snapshot_id": answer.snapshot_id,
        "items": [asdict(item) for item in answer.items],
        "unknown_skus": answer.unknown_skus,
        "rationales": answer.rationales,
    }
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="replace")  # half a character in an unknown SKU
