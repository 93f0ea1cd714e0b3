"""The catalog door: what a shop delivers becomes clean products and kinds; every refused row has a reason.

Baskets do not belong here (`pkgraph.baskets`), nor does anything that asks a language model.
"""

from pkgraph.catalog.changes import CHANGES, CatalogChange, compare_deliveries
from pkgraph.catalog.cleaning import REFUSALS
from pkgraph.catalog.delivery import Delivery, read_catalog
from pkgraph.catalog.kinds import kinds_of, with_popularity
from pkgraph.catalog.naming import derived_kind

__all__ = [
    "CHANGES",
    "REFUSALS",
    "CatalogChange",
    "Delivery",
    "compare_deliveries",
    "derived_kind",
    "kinds_of",
    "read_catalog",
    "with_popularity",
]
