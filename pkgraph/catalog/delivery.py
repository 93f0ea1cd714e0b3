"""A delivery of the shop is read, and splits into products and refused rows with nothing lost between."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pkgraph.catalog.cleaning import clean
from pkgraph.catalog.complete_journey import demo_products
from pkgraph.catalog.files import read_rows
from pkgraph.catalog.grouping import with_grouped_kinds
from pkgraph.catalog.naming import with_derived_kind
from pkgraph.errors import CatalogError
from pkgraph.settings import CatalogSettings

_FIELDS = ("sku", "title", "category", "kind", "department", "brand", "price")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the rows of a catalog.

    Attributes:
        products: Table `products`, popularity 0; see `with_popularity`.
        rejected: Table `rejected_products`, one row a refused row.
        n_rows: Rows delivered; always `products.height + rejected.height`.
    """

    products: pl.DataFrame
    rejected: pl.DataFrame
    n_rows: int


def _columns_of(settings: CatalogSettings) -> dict[str, str]:
    mapped = settings.columns.model_dump()
    return {field: mapped[field] for field in _FIELDS if mapped[field] is not None}


def _rows_of_file(settings: CatalogSettings) -> pl.DataFrame:
    rows = read_rows(settings.path or "", settings.format, _columns_of(settings))
    absent = [pl.lit(None, pl.String).alias(field) for field in _FIELDS if field not in rows.columns]
    rows = rows.with_columns(absent)
    return rows if settings.columns.kind else with_derived_kind(rows)


def _most_frequent_reasons(rejected: pl.DataFrame) -> str:
    counts = rejected.group_by("reason").len().sort("len", "reason", descending=[True, False]).head(5)
    return ", ".join(f"{reason} ({count})" for reason, count in counts.iter_rows())


def read_catalog(settings: CatalogSettings, former: pl.DataFrame | None = None) -> Delivery:
    """The shop's catalog, cleaned.

    A bad row costs that row; `REFUSALS` lists the reasons.

    Args:
        settings: Where it is and which column holds what.
        former: Table `products` of the delivery before; where kinds are derived, its titles keep theirs.

    Raises:
        CatalogError: The source as a whole cannot be used: it is missing, empty, too large, lacks columns, or
            not one of its rows is good.
    """
    demo = settings.source == "complete_journey"
    rows = demo_products() if demo else _rows_of_file(settings)
    products, rejected = clean(rows)
    if products.is_empty():
        raise CatalogError(
            f"None of the {rows.height} rows of the catalog can be used: {_most_frequent_reasons(rejected)}.",
            remedy=f"First: line {rejected['row'][0]}, {rejected['detail'][0]}. Check the column mapping.",
        )
    if not demo and settings.columns.kind is None:
        products = with_grouped_kinds(products, max_kinds=settings.max_kinds, former=former)
    return Delivery(products, rejected, rows.height)
