"""Stage 1: the shop's delivery becomes clean products, cut by category."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from pkg_assets.partitions import CATEGORIES, sync_categories
from pkg_assets.reporting import count_table, counts, table_result, table_spec
from pkgraph.model import PURPOSES
from pkgraph.tables import (
    BASKET_LINES,
    CATALOG,
    KINDS,
    PRODUCTS,
    REJECTED_BASKET_LINES,
    REJECTED_PRODUCTS,
    Table,
)
from resources.shop import Shop
from resources.table_store import TableStore

GROUP = "catalog"
# The version of a category without kinds, as the one of the purposes is.
EMPTY = "empty"
Tables = Iterator[dg.MaterializeResult[pl.DataFrame]]


@dg.multi_asset(
    name="delivery",
    outs={
        t.name: dg.AssetOut(**table_spec(t, GROUP), code_version="1")
        for t in (PRODUCTS, REJECTED_PRODUCTS, BASKET_LINES, REJECTED_BASKET_LINES)
    },
)
def delivery(context: dg.AssetExecutionContext, shop: Shop, tables: TableStore) -> Tables:
    """The whole catalog and the baskets as the shop delivered them; the categories become the partitions."""
    from pkgraph.baskets import before, cut_off_of, read_baskets
    from pkgraph.catalog import read_catalog, with_popularity
    from pkgraph.catalog.digest import delivery_digest

    settings = shop.settings()
    digest = delivery_digest(settings)  # before reading: what is written meanwhile shows as a difference
    # Where kinds are derived, the titles of the last delivery keep theirs.
    read = read_catalog(settings.catalog, former=tables.read(PRODUCTS.name))
    baskets = read_baskets(settings.baskets, settings.catalog)
    lines = BASKET_LINES.empty() if baskets is None else baskets.lines
    # Popularity ranks and is evidence: what is held out for measuring is not in it.
    products = with_popularity(read.products, before(lines, cut_off_of(settings.catalog, lines)))
    keys = [*products["category_key"].unique().sort(), PURPOSES]
    added, removed = sync_categories(context.instance, keys)
    yield table_result(
        PRODUCTS,
        products,
        sample=("sku", "title", "kind", "category", "popularity"),
        delivery=digest,
        n_rows_delivered=read.n_rows,
        n_categories=len(keys) - 1,
        categories_added=added[:50],
        categories_removed=removed[:50],
    )
    yield _refusals(REJECTED_PRODUCTS, read.rejected)
    yield table_result(
        BASKET_LINES,
        lines,
        n_lines_delivered=0 if baskets is None else baskets.n_lines,
        n_baskets=lines["basket"].n_unique(),
        n_lines_without_product=lines.join(products, on="sku", how="anti").height,
    )
    yield _refusals(REJECTED_BASKET_LINES, None if baskets is None else baskets.rejected)


def _refusals(table: Table, rejected: pl.DataFrame | None) -> dg.MaterializeResult[pl.DataFrame]:
    frame = table.empty() if rejected is None else rejected
    by_reason = count_table(counts(frame, "reason"), "reason")
    return table_result(table, frame, sample=("row", "sku", "reason", "detail"), by_reason=by_reason)


@dg.asset(**table_spec(KINDS, GROUP), code_version="1")
def kinds(
    products: pl.DataFrame, basket_lines: pl.DataFrame, shop: Shop
) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.baskets import before, cut_off_of
    from pkgraph.catalog import kinds_of

    cut_off = cut_off_of(shop.settings().catalog, basket_lines)
    found = kinds_of(products, before(basket_lines, cut_off))
    return table_result(
        KINDS,
        found,
        sample=("kind", "category", "n_skus", "popularity"),
        skus_per_kind=products.height / max(found.height, 1),
    )


@dg.asset(**table_spec(CATALOG, GROUP), partitions_def=CATEGORIES, code_version="1")
def catalog(context: dg.AssetExecutionContext, products: pl.DataFrame) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.catalog import kinds_of
    from pkgraph.catalog.digest import category_versions

    found = products.filter(pl.col("category_key") == context.partition_key)
    result = table_result(
        CATALOG, found, sample=("sku", "title", "kind"), n_kinds=found["kind_id"].n_unique()
    )
    version = category_versions(kinds_of(found)).get(context.partition_key, EMPTY)
    return result._replace(data_version=dg.DataVersion(version))
