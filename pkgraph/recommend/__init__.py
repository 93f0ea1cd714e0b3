"""Recommending from an opened snapshot, with reasons; the standard library and, beyond SKUs, numpy only."""

from pkgraph.recommend.answers import Hit, Path, Product, Purpose, Recommendation, Recommendations
from pkgraph.recommend.graph import Graph
from pkgraph.recommend.in_stock import InStock

__all__ = ["Graph", "Hit", "InStock", "Path", "Product", "Purpose", "Recommendation", "Recommendations"]
