"""Recommending from an opened snapshot, with reasons; numpy and the standard library only."""

from pkgraph.recommend.answers import Hit, Path, Product, Purpose, Recommendation, Recommendations
from pkgraph.recommend.graph import Graph
from pkgraph.recommend.shelf import Shelf

__all__ = ["Graph", "Hit", "Path", "Product", "Purpose", "Recommendation", "Recommendations", "Shelf"]
