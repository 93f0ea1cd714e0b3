"""How well recommenders complete baskets that were bought after everything they learned from.

Reading baskets does not belong here (`pkgraph.baskets`), nor does the graph's own recommender.
"""

from pkgraph.measurement.baselines import CoPurchase, Popularity, TextSimilarity
from pkgraph.measurement.cases import Case, Cases, completion_cases
from pkgraph.measurement.evaluation import SLICES, Recommender, measure
from pkgraph.measurement.metrics import hit_rate, ndcg, recall

__all__ = [
    "SLICES",
    "Case",
    "Cases",
    "CoPurchase",
    "Popularity",
    "Recommender",
    "TextSimilarity",
    "completion_cases",
    "hit_rate",
    "measure",
    "ndcg",
    "recall",
]
