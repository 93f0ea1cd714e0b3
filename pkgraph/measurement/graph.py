"""The published graph as one of the recommenders that are measured: kinds in, kinds out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pkgraph.measurement.baselines import baselines
from pkgraph.measurement.cases import completion_cases
from pkgraph.measurement.evaluation import Recommender, measure
from pkgraph.recommend.graph import MAX_SEEDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pkgraph.recommend import Graph


class GraphRecommender:
    """Asks the graph for the most popular SKU of every seed kind, as a shopper's basket would."""

    def __init__(self, graph: Graph, products: pl.DataFrame) -> None:
        """Learn which SKU stands for which kind.

        Args:
            graph: An opened snapshot.
            products: Table `products`.
        """
        ranked = products.sort("popularity", "sku", descending=[True, False])
        self._graph = graph
        self._sku_of = dict(
            ranked.unique("kind_id", keep="first", maintain_order=True).select("kind_id", "sku").rows()
        )
        self._kind_of = dict(products.select("sku", "kind_id").rows())

    def recommend(self, seed_kind_ids: Sequence[str], k: int) -> Sequence[str]:
        skus = [self._sku_of[kind] for kind in seed_kind_ids if kind in self._sku_of][:MAX_SEEDS]
        found = self._graph.recommend(skus, k=k, max_per_phrase=k) if skus else None
        return [self._kind_of[item.sku] for item in found.items if item.sku in self._kind_of] if found else []


def measure_graph(
    graph: Graph,
    products: pl.DataFrame,
    kinds: pl.DataFrame,
    lines: pl.DataFrame,
    *,
    cut_off: datetime,
    n_cases: int = 1_000,
) -> pl.DataFrame:
    """Table `offline_metrics` of the graph beside the baselines, on baskets since the cut-off.

    Args:
        graph: An opened snapshot.
        products: Table `products`.
        kinds: Table `kinds`.
        lines: Table `basket_lines`.
        cut_off: Earlier baskets are training, later ones are asked about.
        n_cases: Held-out baskets at most; 1 000 make the interval of 0.12 two points wide each side.
    """
    cases = completion_cases(products, lines, cut_off=cut_off, n_cases=n_cases)
    recommenders: dict[str, Recommender] = {
        "graph": GraphRecommender(graph, products),
        **baselines(cases.training, kinds),
    }
    sections = graph.snapshot.sections
    distilled = {sections.kind_ids[int(row)] for row in set(sections.edge_source.tolist()) if row >= 0}
    return measure(recommenders, cases, n_kinds=kinds.height, distilled=distilled)
