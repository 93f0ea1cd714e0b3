"""Baskets or sessions: what was bought together, and how far that exceeds chance.

Recommending from them does not belong here: the baselines are in `pkgraph.measurement`.
"""

from pkgraph.baskets.co_purchase import MIN_BOTH, MIN_EXPECTED, co_purchase, size_correction
from pkgraph.baskets.delivery import (
    DEMO_CUT_OFF,
    BasketDelivery,
    before,
    cut_off_of,
    n_unknown_lines,
    read_baskets,
    since,
)
from pkgraph.baskets.matrix import BasketMatrix, basket_matrix

__all__ = [
    "DEMO_CUT_OFF",
    "MIN_BOTH",
    "MIN_EXPECTED",
    "BasketDelivery",
    "BasketMatrix",
    "basket_matrix",
    "before",
    "co_purchase",
    "cut_off_of",
    "n_unknown_lines",
    "read_baskets",
    "since",
    "size_correction",
]
