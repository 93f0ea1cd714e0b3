"""Two deliveries compared: what came, what went, and how much was lost."""

from __future__ import annotations

from dataclasses import fields

import polars as pl
import pytest

from pkgraph.catalog import CHANGES, CatalogChange, compare_deliveries
from pkgraph.model import category_key, kind_id
from pkgraph.tables import PRODUCTS


def _products(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """Rows of sku, title and category."""
    return PRODUCTS.conform(
        pl.DataFrame(
            [
                {"sku": sku, "title": title, "kind": title, "category": category}
                | {
                    "kind_id": kind_id(category, title),
                    "category_key": category_key(category),
                    "popularity": 0.0,
                }
                for sku, title, category in rows
            ],
            schema=PRODUCTS.schema,
        )
    )


BEFORE = _products(*((str(i), f"milk {i}", "Dairy") for i in range(9)), ("9", "soap", "Drugs"))


def test_the_same_delivery_again_changes_nothing() -> None:
    change = compare_deliveries(BEFORE, BEFORE.with_columns(popularity=pl.lit(0.5)))
    assert change == CatalogChange(10, 10, 0, 0, 0, (), (), ())
    assert change.sku_loss == 0


def test_without_a_former_delivery_everything_is_new_and_nothing_lost() -> None:
    change = compare_deliveries(None, BEFORE)
    assert (change.n_before, change.n_added, change.sku_loss) == (0, 10, 0)
    assert change.new_categories == tuple(sorted(map(category_key, ("Dairy", "Drugs"))))


def test_a_category_without_products_has_vanished() -> None:
    change = compare_deliveries(BEFORE, BEFORE.filter(pl.col("category") != "Drugs"))
    assert change.vanished_categories == (category_key("Drugs"),)
    assert change.changed_categories == ()
    assert change.sku_loss == pytest.approx(0.1)
    assert change.loses_at_most(0.10)
    assert not change.loses_at_most(0.09)


def test_a_renamed_category_is_one_gone_and_one_new() -> None:
    renamed = _products(*((str(i), f"milk {i}", "Dairy") for i in range(9)), ("9", "soap", "Care"))
    change = compare_deliveries(BEFORE, renamed)
    assert (change.vanished_categories, change.new_categories) == (
        (category_key("Drugs"),),
        (category_key("Care"),),
    )
    assert (change.n_changed, change.n_removed) == (1, 0)


def test_a_product_that_moved_touches_both_categories() -> None:
    moved = _products(
        *((str(i), f"milk {i}", "Dairy") for i in range(8)), ("8", "milk 8", "Drugs"), ("9", "soap", "Drugs")
    )
    change = compare_deliveries(BEFORE, moved)
    assert change.changed_categories == tuple(sorted(map(category_key, ("Dairy", "Drugs"))))


@pytest.mark.parametrize("column", ["brand", "department", "title"])
def test_a_changed_text_changes_its_category_alone(column: str) -> None:
    other = pl.when(pl.col("sku") == "9").then(pl.lit("new")).otherwise(pl.col(column)).alias(column)
    change = compare_deliveries(BEFORE, BEFORE.with_columns(other))
    assert change.n_changed == 1
    assert change.changed_categories == (category_key("Drugs"),)


def test_everything_a_comparison_counts_has_a_sentence() -> None:
    assert CHANGES.keys() == {field.name for field in fields(CatalogChange)} - {"n_before", "n_now"}
