"""Baskets from a file: a bad line costs that line, and nothing is lost."""

# ruff: noqa: DTZ001  (shops' clocks have no zone)
from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from pkgraph.baskets import before, n_unknown_lines, read_baskets, since
from pkgraph.baskets.delivery import REFUSALS, BasketDelivery
from pkgraph.catalog import read_catalog
from pkgraph.errors import CatalogError, InputError
from pkgraph.settings import BasketSettings, CatalogSettings
from pkgraph.tables import BASKET_LINES, REJECTED_BASKET_LINES

SHOP = CatalogSettings.model_validate({"path": "unused.csv"})
DEMO = CatalogSettings.model_validate({"source": "complete_journey"})
HEADER = "basket,sku,who,t\n"


def _delivered(folder: Path, text: str) -> BasketDelivery:
    (folder / "baskets.csv").write_text(HEADER + text)
    columns = {"shopper": "who", "time": "t"}
    found = read_baskets(
        BasketSettings.model_validate({"path": str(folder / "baskets.csv"), "columns": columns}), SHOP
    )
    assert found is not None
    assert found.n_lines == found.lines.height + found.n_repeated + found.rejected.height
    assert (found.lines.schema, found.rejected.schema) == (BASKET_LINES.schema, REJECTED_BASKET_LINES.schema)
    return found


BAD_LINES = {
    "text_too_long": "1," + "9" * 201 + ",,",
    "missing_basket": ",00123,,",
    "missing_sku": "1,,,",
    "unreadable_time": "1,00124,,yesterday",
}


@pytest.mark.parametrize("reason", [*BAD_LINES, "ragged_row"])
def test_a_bad_line_costs_that_line_and_is_listed_with_its_reason(tmp_path: Path, reason: str) -> None:
    found = _delivered(tmp_path, "1,00123,,\n" + BAD_LINES.get(reason, "1,2") + "\n")
    assert found.lines.select("basket", "sku").rows() == [("1", "00123")]
    assert found.rejected.select("row", "reason").rows() == [(3, reason)]


def test_every_reason_has_a_counterexample() -> None:
    assert BAD_LINES.keys() == REFUSALS.keys()


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        ("2017-12-01", 0),
        ("2017-12-01T10:00", 10),
        ("2017-12-01 10:00:00", 10),
        ("2017-12-01T10:00:00.000", 10),
        ("2017-12-01T10:00:00Z", 10),
        ("2017-12-01T10:00:00+02:00", 8),
        ("2017-12-01T10:00:00.000-0200", 12),
    ],
)
def test_a_time_is_iso_8601_and_an_offset_becomes_utc(tmp_path: Path, written: str, hour: int) -> None:
    assert _delivered(tmp_path, f"1,2,,{written}\n").lines["time"].to_list() == [datetime(2017, 12, 1, hour)]


def test_a_product_twice_in_a_basket_is_one_line_and_no_fault(tmp_path: Path) -> None:
    found = _delivered(tmp_path, "1,2,a,\n1,2,a,\n")
    assert (found.lines.height, found.n_repeated, found.rejected.height) == (1, 1, 0)


def test_a_basket_is_never_cut_in_two(tmp_path: Path) -> None:
    found = _delivered(tmp_path, "1,2,,2017-11-30T23:59\n1,3,,2017-12-01T00:01\n2,2,,2017-12-01T00:01\n")
    noon = datetime(2017, 12, 1)
    assert before(found.lines, noon)["basket"].to_list() == ["1", "1"]
    assert since(found.lines, noon)["basket"].to_list() == ["2"]


def test_the_last_tenth_of_the_baskets_is_held_out(tmp_path: Path) -> None:
    found = _delivered(tmp_path, "".join(f"{i},2,,2017-01-{i:02d}\n" for i in range(1, 21)))
    assert found.cut_off == datetime(2017, 1, 19)


def test_baskets_without_times_hold_nothing_out(tmp_path: Path) -> None:
    assert _delivered(tmp_path, "1,2,,\n").cut_off is None


def test_a_shop_without_baskets_has_none() -> None:
    assert read_baskets(None, SHOP) is None


def test_a_file_without_one_good_line_or_without_its_columns_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"None of the 1 lines .* missing_sku"):
        _delivered(tmp_path, "1,,,\n")
    columns = {"basket": "receipt", "sku": "item"}
    other = BasketSettings.model_validate({"path": str(tmp_path / "baskets.csv"), "columns": columns})
    with pytest.raises(CatalogError, match=r"lacks columns 'receipt' .*, 'item'"):
        read_baskets(other, SHOP)


def test_the_demo_shop_brings_its_baskets_and_lines_of_unknown_products_are_counted() -> None:
    found = read_baskets(None, DEMO)
    assert found is not None
    assert (found.n_lines, found.lines["basket"].n_unique()) == (1_469_307, 155_848)
    assert found.cut_off == datetime(2017, 12, 1)
    # 4 836 of products that the catalog lacks, the others of products that were refused.
    delivery = read_catalog(DEMO)
    named = pl.concat([delivery.products.select("sku"), delivery.rejected.select("sku")])
    assert n_unknown_lines(delivery.products, found.lines) == 7_181
    assert n_unknown_lines(named, found.lines) == 4_836
