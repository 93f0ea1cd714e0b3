"""Stage 1b: which kinds are bought together more often than chance, from training weeks only."""

import dagster as dg
import polars as pl

from pkg_assets.reporting import sample_rows, table_result, table_spec
from pkgraph.tables import CO_PURCHASE
from resources.shop import Shop

GROUP = "catalog"


@dg.asset(**table_spec(CO_PURCHASE, GROUP), code_version="1")
def co_purchase(
    products: pl.DataFrame, basket_lines: pl.DataFrame, kinds: pl.DataFrame, shop: Shop
) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.baskets import co_purchase as pairs_of
    from pkgraph.baskets import cut_off_of

    until = cut_off_of(shop.settings().catalog, basket_lines)
    pairs = pairs_of(products, basket_lines, until=until)
    titles = kinds.select(kind_id="kind_id", title="kind")
    named = pairs.sort("lift_low", descending=True).head(50)
    for side in ("a", "b"):
        named = named.join(
            titles.rename({"kind_id": f"kind_{side}_id", "title": f"kind_{side}"}), on=f"kind_{side}_id"
        )
    return table_result(
        CO_PURCHASE,
        pairs,
        training_until=str(until),
        surest=sample_rows(named.select("kind_a", "kind_b", "n_both", "lift", "lift_low"), 20),
    )
