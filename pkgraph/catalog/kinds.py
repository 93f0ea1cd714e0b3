"""Kinds of the catalog, and how popular products and kinds are in the baskets."""

from __future__ import annotations

import polars as pl

from pkgraph.tables import KINDS, PRODUCTS


def _share_of_baskets(lines: pl.DataFrame, what: str) -> pl.DataFrame:
    """Share of the baskets that hold each value of the column `what`; null is an unknown product."""
    n_baskets = max(lines["basket"].n_unique(), 1)
    held = lines.drop_nulls(what).group_by(what).agg(popularity=pl.col("basket").n_unique() / n_baskets)
    return held.with_columns(pl.col("popularity").cast(pl.Float64))


def with_popularity(products: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """The products with the share of baskets that hold them.

    Args:
        products: Table `products`.
        lines: Table `basket_lines`. Lines of products that the catalog lacks count as part of their basket
        only.
    """
    shares = _share_of_baskets(lines.select("basket", "sku"), "sku")
    joined = products.drop("popularity").join(shares, on="sku", how="left")
    return PRODUCTS.conform(joined.with_columns(pl.col("popularity").fill_null(0.0)))


def _department() -> pl.Expr:
    """The department that most products of the kind stand in, the first of the alphabet among equals.

    Thirty kinds of the demo shop stand in two; the recorded answers were asked for under this one.
    """
    return pl.col("department").drop_nulls().sort().mode(maintain_order=True).first()


def _any_of() -> pl.Expr:
    """Share of baskets with any product of the kind, as if bought independently: 1 - prod(1 - p).

    It lies between the most popular product's share and the sum. Rounded, so that the order of a sum in
    threads never shows.
    """
    return (1 - (1 - pl.col("popularity")).product()).round(12).clip(0, 1)


def kinds_of(products: pl.DataFrame, lines: pl.DataFrame | None = None) -> pl.DataFrame:
    """One row a kind, table `kinds`.

    Args:
        products: Table `products`.
        lines: Table `basket_lines` of the training weeks, where there are baskets: popularity is evidence,
            and what is held out for measuring must not be in it. Then a kind's popularity is counted.
            Without, it is estimated from the products' own as if they were bought independently.
    """
    same = pl.col("kind", "category", "category_key").first()
    kinds = (
        products.sort("sku")
        .group_by("kind_id", maintain_order=True)
        .agg(same, department=_department(), n_skus=pl.len(), popularity=_any_of())
    )
    if lines is not None:
        held = lines.select("basket", "sku").join(products.select("sku", "kind_id"), on="sku", how="left")
        counted = _share_of_baskets(held, "kind_id")
        kinds = kinds.drop("popularity").join(counted, on="kind_id", how="left")
        kinds = kinds.with_columns(pl.col("popularity").fill_null(0.0))
    return KINDS.conform(kinds)
