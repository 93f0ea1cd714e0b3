"""Positions in the arrays become products and paths that a person can read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkgraph.recommend.answers import Path, Product, Recommendation
from pkgraph.recommend.ranking import path_probability, score_of
from pkgraph.snapshot.layout import RELATION_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkgraph.recommend.picking import Picked
    from pkgraph.recommend.ranking import Arrivals
    from pkgraph.snapshot.layout import Sections


@dataclass(frozen=True, slots=True)
class Source:
    """Where paths start: the kind of a seed, or a rationale (then there is no seed)."""

    node: int
    seed_sku: str | None


def product_at(s: Sections, row: int) -> Product:
    kind, price = int(s.sku_kind[row]), float(s.sku_price[row])
    return Product(
        sku=s.sku_ids[row],
        title=s.sku_titles[row],
        kind=s.kind_titles[kind],
        category=s.kind_categories[kind],
        price=None if math.isnan(price) else price,
    )


def explained(s: Sections, sources: Sequence[Source], arrivals: Arrivals, picked: Picked) -> Recommendation:
    """A chosen product with the heaviest path of every source that leads to its kind."""
    places = np.flatnonzero(arrivals.target == picked.kind)
    places = places[np.lexsort((arrivals.source[places], -arrivals.weight[places]))]
    paths = tuple(
        path_at(s, sources[int(arrivals.source[place])], int(arrivals.path[place]), picked.kind)
        for place in places
    )
    product = product_at(s, picked.sku_row)
    return Recommendation(
        sku=product.sku,
        title=product.title,
        kind=product.kind,
        category=product.category,
        price=product.price,
        score=score_of(picked.weight),
        probability=paths[0].probability,
        paths=paths,
    )


def path_at(s: Sections, source: Source, position: int, kind: int) -> Path:
    edge, via = int(s.path_edge[position]), int(s.path_via[position])
    rationale = int(s.edge_rationale[edge])
    return Path(
        seed_sku=source.seed_sku,
        seed_kind=s.kind_titles[source.node] if source.seed_sku is not None else None,
        rationale=s.rationale_texts[rationale],
        rationale_id=s.rationale_ids[rationale],
        relation_type=str(RELATION_TYPES[int(s.edge_type[edge])]),
        explanation=s.explanation_texts[int(s.edge_explanation[edge])],
        probability=round(float(path_probability(s, np.array([position]))[0]), 6),
        relation_id=_surest(s, edge),
        is_reversed=int(s.edge_target[edge]) != kind,
        via_relation_id=_surest(s, via) if via >= 0 else None,
        edge=edge,
    )


def _surest(s: Sections, edge: int) -> str:
    return s.statement_relation_ids[int(s.edge_statement_offsets[edge])]
