"""Stage 1: the shop's delivery becomes clean products, cut by category."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import polars as pl

from pkg_assets.partitions import CATEGORIES, sync_categories
from pkg_assets.reporting import count_table, counts, table_result, table_spec
from pkgraph.model import PURPOSES
from pkgraph.tables import CATALOG, KINDS, PRODUCTS, REJECTED_PRODUCTS
from resources.shop import Shop

GROUP = "catalog"
Tables = Iterator[dg.MaterializeResult[pl.DataFrame]]


@dg.multi_asset(
    name="delivery",
    outs={t.name: dg.AssetOut(**table_spec(t, GROUP), code_version="1") for t in (PRODUCTS, REJECTED_PRODUCTS)},
)
def delivery(context: dg.AssetExecutionContext, shop: Shop) -> Tables:
    """The whole catalog as the shop delivered it; its categories become the partitions."""
    from pkgraph.catalog import read_catalog

    read = read_catalog(shop.settings().catalog)
    keys = [*read.products["category_key"].unique().sort(), PURPOSES]
    added, removed = sync_categories(context.instance, keys)
    yield table_result(
        PRODUCTS,
        read.products,
        sample=("sku", "title", "kind", "category"),
        n_rows_delivered=read.n_rows,
        n_categories=len(keys) - 1,
        categories_added=added[:50],
        categories_removed=removed[:50],
    )
    yield table_result(
        REJECTED_PRODUCTS,
        read.rejected,
        sample=("row", "sku", "reason", "detail"),
        by_reason=count_table(counts(read.rejected, "reason"), "reason"),
    )


@dg.asset(**table_spec(KINDS, GROUP), code_version="1")
def kinds(products: pl.DataFrame) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.catalog import kinds_of

    found = kinds_of(products)
    return table_result(
        KINDS,
        found,
        sample=("kind", "category", "n_skus", "popularity"),
        skus_per_kind=products.height / max(found.height, 1),
    )


@dg.asset(**table_spec(CATALOG, GROUP), partitions_def=CATEGORIES, code_version="1")
def catalog(context: dg.AssetExecutionContext, products: pl.DataFrame) -> dg.MaterializeResult[pl.DataFrame]:
    found = products.filter(pl.col("category_key") == context.partition_key)
    return table_result(CATALOG, found, sample=("sku", "title", "kind"), n_kinds=found["kind_id"].n_unique())
