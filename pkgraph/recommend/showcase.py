"""A few recommendations that show what a graph knows: popular products of different categories."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkgraph.recommend.answers import Product, Recommendations
    from pkgraph.recommend.graph import Graph


def showcase(graph: Graph, n: int = 5, *, k: int = 3) -> list[tuple[Product, Recommendations]]:
    """The most popular SKU of `n` categories that the graph can recommend `k` products for."""
    sections = graph.snapshot.sections
    has_rows = sections.row_offsets[1:] - sections.row_offsets[:-1] >= k
    seen: set[str] = set()
    found: list[tuple[Product, Recommendations]] = []
    for row in (-sections.sku_popularity).argsort(kind="stable").tolist():
        kind = int(sections.sku_kind[row])
        category = sections.category_of(kind)
        product = graph.product(sections.sku_ids[row]) if has_rows[kind] and category not in seen else None
        if product is not None:
            seen.add(category)
            found.append((product, graph.recommend([product.sku], k=k)))
        if len(found) == n:
            break
    return found
