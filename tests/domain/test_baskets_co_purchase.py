"""Co-purchase: counts are exact, lift is corrected for basket size, and weak pairs are not listed."""

# ruff: noqa: DTZ001  (shops' clocks have no zone)
from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.baskets import MIN_BOTH, MIN_EXPECTED, basket_matrix, co_purchase, read_baskets, size_correction
from pkgraph.catalog import kinds_of, read_catalog
from pkgraph.settings import CatalogSettings
from pkgraph.tables import BASKET_LINES, CO_PURCHASE, PRODUCTS


def _products(n_kinds: int, skus_a_kind: int = 2) -> pl.DataFrame:
    rows = [
        {"sku": f"{kind}-{i}", "title": "t", "kind_id": f"k{kind:02d}", "kind": "k", "category": "c"}
        | {"category_key": "c-0", "popularity": 0.0}
        for kind in range(n_kinds)
        for i in range(skus_a_kind)
    ]
    return PRODUCTS.conform(pl.DataFrame(rows, schema=PRODUCTS.schema))


def _lines(baskets: list[list[str]], time: datetime | None = None) -> pl.DataFrame:
    rows = [
        {"basket": f"{n:05d}", "sku": sku, "time": time}
        for n, basket in enumerate(baskets)
        for sku in set(basket)
    ]
    return BASKET_LINES.conform(pl.DataFrame(rows, schema=BASKET_LINES.schema))


def test_a_pair_is_counted_once_a_basket_whatever_its_products() -> None:
    pairs = co_purchase(_products(3), _lines([["0-0", "0-1", "1-0", "1-1"]] * 4 + [["0-0"], ["2-0"]]))
    assert pairs.select("kind_a_id", "kind_b_id", "n_a", "n_b", "n_both", "n_baskets").rows() == [
        ("k00", "k01", 5, 4, 4, 6)
    ]


def test_products_that_the_catalog_lacks_count_for_nothing() -> None:
    baskets = [["0-0", "1-0"]] * 4
    known = co_purchase(_products(2), _lines(baskets))
    assert co_purchase(_products(2), _lines([[*b, "ghost"] for b in baskets] + [["ghost"]])).equals(known)
    assert basket_matrix(_products(2), _lines([["ghost", "0-0"]])).n_unknown_lines == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=40))
def test_counts_and_lift_equal_a_count_by_hand(baskets: list[list[int]]) -> None:
    sets = [set(b) for b in baskets]
    n, sizes = len(sets), [len(s) for s in sets]
    single = Counter(k for s in sets for k in s)
    both = Counter(pair for s in sets for pair in combinations(sorted(s), 2))
    c = n * sum(s * (s - 1) for s in sizes) / sum(sizes) ** 2
    chance = {(a, b): single[a] * single[b] / n * c for a, b in combinations(sorted(single), 2)}

    found = co_purchase(_products(6), _lines([[f"{k}-0" for k in b] for b in baskets]))

    listed = {
        (int(a[1:]), int(b[1:])): (n_both, expected, lift)
        for a, b, n_both, expected, lift in found.select(
            "kind_a_id", "kind_b_id", "n_both", "expected", "lift"
        ).iter_rows()
    }
    assert listed.keys() == {p for p, e in chance.items() if both[p] >= MIN_BOTH or e >= MIN_EXPECTED}
    for pair, (n_both, expected, lift) in listed.items():
        assert n_both == both[pair]
        assert (expected, lift) == (pytest.approx(chance[pair]), pytest.approx(both[pair] / chance[pair]))


def test_a_pair_that_never_meets_is_listed_where_chance_foretells_it() -> None:
    baskets = [["0-0", "2-0"]] * 40 + [["1-0", "2-0"]] * 40
    never = co_purchase(_products(3), _lines(baskets)).filter(pl.col("n_both") == 0).row(0, named=True)
    assert (never["kind_a_id"], never["kind_b_id"]) == ("k00", "k01")
    assert never["lift"] == never["lift_low"] == 0
    assert 0 < never["lift_high"] < 1


def test_baskets_filled_at_random_have_a_lift_of_one_however_their_sizes_differ() -> None:
    random = np.random.default_rng(7)
    share = np.linspace(2, 1, 100) / np.linspace(2, 1, 100).sum()
    sizes = np.minimum(random.geometric(0.2, 8_000), 30)
    baskets = [[f"{k}-0" for k in random.choice(100, size, replace=False, p=share)] for size in sizes]
    pairs = co_purchase(_products(100), _lines(baskets))

    raw = pairs["n_both"] * pairs["n_baskets"] / (pairs["n_a"] * pairs["n_b"])
    assert pairs.height == 100 * 99 // 2
    assert raw.median() == pytest.approx(1.6, abs=0.1)
    assert pairs["lift"].median() == pytest.approx(1, abs=0.02)
    inside = pairs.filter(pl.col("lift_low") < 1, pl.col("lift_high") > 1).height / pairs.height
    assert inside > 0.94


def test_baskets_of_one_kind_correct_to_nothing() -> None:
    assert size_correction(np.array([1, 1, 1])) == 0
    assert size_correction(np.array([], dtype=np.int64)) == 0
    assert co_purchase(_products(2), _lines([["0-0"], ["1-0"]])).is_empty()


def test_later_baskets_teach_nothing() -> None:
    early, late = datetime(2017, 11, 30), datetime(2017, 12, 1)
    learned = _lines([["0-0", "1-0"]] * 5, early)
    later = _lines([["0-0", "2-0"]] * 50, late).with_columns(
        pl.concat_str(pl.lit("x"), "basket").alias("basket")
    )
    found = co_purchase(_products(3), pl.concat([learned, later]), until=late)
    assert found.equals(co_purchase(_products(3), learned))
    assert co_purchase(_products(3), later, until=late).equals(CO_PURCHASE.empty())


def test_the_order_of_lines_never_shows() -> None:
    lines = _lines([["0-0", "1-0", "2-0"]] * 9 + [["1-0", "2-1"]] * 9)
    assert co_purchase(_products(3), lines).equals(
        co_purchase(_products(3), lines.sample(fraction=1, shuffle=True, seed=1))
    )


def test_the_demo_shop_s_lift_is_one_in_the_middle_and_high_for_what_belongs_together() -> None:
    demo = CatalogSettings.model_validate({"source": "complete_journey"})
    products, baskets = read_catalog(demo).products, read_baskets(None, demo)
    assert baskets is not None
    pairs = co_purchase(products, baskets.lines, until=baskets.cut_off)
    assert pairs.filter(pl.col("expected") >= 30)["lift"].median() == pytest.approx(1, abs=0.02)

    names = dict(kinds_of(products).select("kind_id", "kind").iter_rows())
    supported = pairs.filter(pl.col("n_both") >= 30)
    together = {
        frozenset((names[a], names[b])): low
        for a, b, low in supported.select("kind_a_id", "kind_b_id", "lift_low").iter_rows()
    }
    assert together[frozenset(("SALSA/DIPS", "TORTILLA CHIPS"))] > 40
    assert together[frozenset(("EGGS - LARGE", "EGGS - X-LARGE"))] < 0.2
