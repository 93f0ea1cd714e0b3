"""How well recommenders complete baskets that were bought after everything they learned from.

Reading baskets does not belong here (`pkgraph.baskets`), nor does the graph's own recommender.
"""

from pkgraph.measurement.baselines import CoPurchase, Popularity, TextSimilarity, baselines
from pkgraph.measurement.cases import Case, Cases, completion_cases
from pkgraph.measurement.evaluation import SLICES, Recommender, measure
from pkgraph.measurement.graph import GraphRecommender, measure_graph
from pkgraph.measurement.metrics import hit_rate, ndcg, recall

__all__ = [
    "SLICES",
    "Case",
    "Cases",
    "CoPurchase",
    "GraphRecommender",
    "Popularity",
    "Recommender",
    "TextSimilarity",
    "baselines",
    "completion_cases",
    "hit_rate",
    "measure",
    "measure_graph",
    "ndcg",
    "recall",
]
