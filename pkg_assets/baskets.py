"""Stage 1b: which kinds are bought together more often than chance, from training weeks only."""

import dagster as dg
import polars as pl

from pkg_assets.reporting import table_result, table_spec
from pkgraph.tables import CO_PURCHASE
from resources.shop import Shop

GROUP = "catalog"


@dg.asset(**table_spec(CO_PURCHASE, GROUP), code_version="1")
def co_purchase(products: pl.DataFrame, shop: Shop) -> dg.MaterializeResult[pl.DataFrame]:
    raise NotImplementedError
