"""Offline metrics: right by an independent count, fair to every recommender, and the same every time."""

# ruff: noqa: DTZ001  (shops' clocks have no zone)
from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from pkgraph.baskets import read_baskets
from pkgraph.catalog import kinds_of, read_catalog
from pkgraph.measurement import (
    SLICES,
    Cases,
    CoPurchase,
    Popularity,
    TextSimilarity,
    baselines,
    completion_cases,
    hit_rate,
    measure,
    ndcg,
    recall,
)
from pkgraph.settings import CatalogSettings
from pkgraph.tables import BASKET_LINES, OFFLINE_METRICS, PRODUCTS

CUT = datetime(2017, 12, 1)
KINDS = [f"k{i}" for i in range(8)]
# Bread goes with butter, chips with salsa; everyone buys milk.
MENU = [("k0", "k1", "k2"), ("k0", "k3", "k4")]


def _products() -> pl.DataFrame:
    rows = [
        {"sku": f"s{kind}", "title": kind, "kind_id": kind, "kind": f"kind {kind}", "category": "c"}
        | {"category_key": "c-0", "popularity": 0.0}
        for kind in KINDS
    ]
    return PRODUCTS.conform(pl.DataFrame(rows, schema=PRODUCTS.schema))


def _lines(n_training: int = 200, n_held_out: int = 60) -> pl.DataFrame:
    rows = [
        {"basket": f"{n:05d}", "sku": f"s{kind}", "time": CUT + timedelta(hours=n - n_training)}
        for n in range(n_training + n_held_out)
        for kind in MENU[n % 2]
    ]
    return BASKET_LINES.conform(pl.DataFrame(rows, schema=BASKET_LINES.schema))


def _cases(n_cases: int = 2_000, seed: int = 0) -> Cases:
    return completion_cases(_products(), _lines(), cut_off=CUT, n_cases=n_cases, seed=seed)


def _value(table: pl.DataFrame, recommender: str, metric: str, k: int, of: str = "all") -> float:
    wanted = {"recommender": recommender, "slice": of, "metric": metric, "k": k}
    return float(table.filter(**wanted)["value"].item())


class Fixed:
    """Recommends the same list whatever is asked."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds

    def recommend(self, seed_kind_ids: Sequence[str], k: int) -> Sequence[str]:
        return self._kinds


@settings(max_examples=60, deadline=None)
@given(
    ranked=st.permutations(range(12)),
    bought=st.sets(st.integers(0, 11), min_size=1, max_size=6),
    k=st.sampled_from((1, 5, 10)),
)
def test_ndcg_equals_that_of_scikit_learn(ranked: list[int], bought: set[int], k: int) -> None:
    scores = np.zeros((1, 12))
    scores[0, ranked] = np.arange(12, 0, -1)
    relevance = np.isin(np.arange(12), list(bought)).astype(float)[None]
    ours = ndcg([str(i) for i in ranked], {str(i) for i in bought}, k)
    assert ours == pytest.approx(ndcg_score(relevance, scores, k=k))


def test_hit_rate_asks_for_one_and_recall_for_all() -> None:
    assert (hit_rate("abc", {"c"}, 2), hit_rate("abc", {"c"}, 3)) == (0, 1)
    assert (recall("abc", {"b", "z"}, 3), recall("abc", {"a", "b"}, 1)) == (0.5, 0.5)


def test_a_case_is_a_held_out_basket_with_one_kind_taken_out() -> None:
    cases = _cases()
    assert len(cases.cases) == cases.n_baskets == 60
    assert cases.training.n_baskets == 200
    for case in cases.cases:
        assert int(case.basket) >= 200
        assert sorted((*case.seeds, case.target)) == sorted(MENU[int(case.basket) % 2])


def test_the_sample_depends_on_its_seed_alone() -> None:
    assert _cases(20, seed=1).cases == _cases(20, seed=1).cases
    assert len(_cases(20, seed=1).cases) == 20
    assert _cases(20, seed=1).cases != _cases(20, seed=2).cases


def test_a_basket_of_one_kind_asks_nothing() -> None:
    one = _lines(10, 10).group_by("basket", maintain_order=True).first()
    assert completion_cases(_products(), one, cut_off=CUT).cases == ()


def test_a_recommender_that_knows_the_answer_scores_one_and_a_silent_one_nothing() -> None:
    cases = _cases()
    table = measure({"all": Fixed(*KINDS), "none": Fixed()}, cases, n_kinds=len(KINDS))
    assert _value(table, "all", "hit_rate", 5) == _value(table, "all", "recall", 5) == 1
    assert _value(table, "all", "answered", 5) == 1
    for metric in ("hit_rate", "ndcg", "answered", "coverage"):
        assert _value(table, "none", metric, 20) == 0


def test_seeds_and_repeats_in_an_answer_take_no_place() -> None:
    cases = _cases()
    noisy = Fixed("k0", "k0", "k1", "k2", "k1", "k3", "k4")
    clean = Fixed("k0", "k1", "k2", "k3", "k4")
    table = measure({"noisy": noisy, "clean": clean}, cases, n_kinds=len(KINDS))
    assert _value(table, "noisy", "ndcg", 5) == _value(table, "clean", "ndcg", 5)


def test_what_belongs_together_is_found_by_co_purchase_and_beats_best_sellers() -> None:
    cases = _cases()
    table = measure(
        {"co_purchase": CoPurchase(cases.training), "popularity": Popularity(cases.training)},
        cases,
        n_kinds=8,
    )
    assert _value(table, "co_purchase", "ndcg", 5) == 1
    assert _value(table, "popularity", "ndcg", 5) < 0.9
    assert _value(table, "popularity", "coverage", 5) == 5 / 8


def test_no_baseline_repeats_a_seed_or_stumbles_over_an_unknown_kind() -> None:
    cases = _cases()
    kinds = kinds_of(_products())
    for baseline in baselines(cases.training, kinds).values():
        assert baseline.recommend(("k0",), 2)
        assert not {"k0", "k1"} & set(baseline.recommend(("k0", "k1", "ghost"), 20))
        assert len(baseline.recommend(("k0",), 2)) <= 2
    assert CoPurchase(cases.training).recommend(("ghost",), 5) == []
    assert TextSimilarity(kinds).recommend(("ghost",), 5) == []


def test_text_similarity_finds_the_same_words() -> None:
    titles = ["frozen pizza", "pizza sauce", "cat litter"]
    kinds = pl.DataFrame({"kind_id": ["a", "b", "c"], "kind": titles, "category": ["x"] * 3})
    assert TextSimilarity(kinds).recommend(("a",), 1) == ["b"]


def test_slices_hold_the_cases_they_name() -> None:
    cases = completion_cases(_products(), _lines(40, 60), cut_off=CUT)
    table = measure({"r": Fixed("k1")}, cases, n_kinds=8, distilled=("k3",))
    n_cases = dict(table.filter(metric="ndcg", k=5).select("slice", "n_cases").iter_rows())
    assert n_cases["all"] == 60
    assert n_cases["cold_target"] == n_cases["cold_seeds"] == 60  # 40 training baskets leave all of them cold
    assert n_cases["distilled_seed"] == sum("k3" in case.seeds for case in cases.cases)
    assert "distilled_seed_and_target" not in n_cases  # k3 cannot be seed and target at once
    assert n_cases.keys() <= SLICES.keys()


def test_the_interval_holds_the_value_and_narrows_with_the_cases() -> None:
    many, few = (
        measure({"r": Fixed("k0", "k1")}, _cases(n), n_kinds=8).filter(slice="all") for n in (60, 10)
    )
    for table in (many, few):
        scored = table.drop_nulls("low")
        assert (scored["low"] <= scored["value"]).all()
        assert (scored["value"] <= scored["high"]).all()
    width = [
        float((t.filter(metric="ndcg", k=5).select(pl.col("high") - pl.col("low"))).item())
        for t in (many, few)
    ]
    assert 0 < width[0] < width[1]


def test_the_table_is_the_same_every_time() -> None:
    first, second = (measure({"r": CoPurchase(_cases().training)}, _cases(), n_kinds=8) for _ in range(2))
    assert first.equals(second)
    assert first.schema == OFFLINE_METRICS.schema


def test_the_demo_shop_s_baselines_score_as_documented() -> None:
    demo = CatalogSettings.model_validate({"source": "complete_journey"})
    products, baskets = read_catalog(demo).products, read_baskets(None, demo)
    assert baskets is not None
    cases = completion_cases(products, baskets.lines, cut_off=CUT, n_cases=800)
    table = measure(
        {"co_purchase": CoPurchase(cases.training), "popularity": Popularity(cases.training)},
        cases,
        n_kinds=kinds_of(products).height,
    )
    # demo/README.md: hit@10 of popularity 0.123, of damped lift 0.189.
    assert _value(table, "popularity", "hit_rate", 10) == pytest.approx(0.123, abs=0.03)
    assert _value(table, "co_purchase", "hit_rate", 10) == pytest.approx(0.189, abs=0.03)
