"""What a shopper gets, worked out by hand on the small shop."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.errors import InputError
from pkgraph.model import kind_id
from pkgraph.recommend import Graph, Recommendations
from pkgraph.recommend.question import ALL_TYPES
from pkgraph.recommend.ranking import Source, arrivals_by_paths, arrivals_by_rows, ranked
from pkgraph.recommend.search import search
from pkgraph.snapshot.arrays import HEADER_SIZE
from pkgraph.snapshot.compile import compile_graph
from tests.published import graph_of, publish_shop
from tests.random_graph import random_graph
from tests.shop import STATEMENTS, Told, accepted, products


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return Graph.open(publish_shop(tmp_path_factory.mktemp("graph")).path)


def skus(answer: Recommendations) -> list[str]:
    return [item.sku for item in answer.items]


def test_one_product_leads_to_what_belongs_with_it_best_first(graph: Graph) -> None:
    answer = graph.recommend(["f1"])
    assert skus(answer) == ["c2", "v1", "t1", "k1"]
    assert [item.score for item in answer.items] == pytest.approx([0.9, 0.8, 0.7, 0.4275], abs=2e-4)
    assert answer.snapshot_id == graph.snapshot_id


def test_every_recommendation_says_why(graph: Graph) -> None:
    path = graph.recommend(["f1"]).items[0].path
    assert (path.seed_sku, path.seed_kind) == ("f1", "carnations")
    assert (path.rationale, path.relation_type) == ("mother's day gift", "complement")
    assert path.explanation == "A card goes with the flowers."
    assert (path.probability, path.is_reversed, path.via_relation_id) == (0.9, False, None)
    [statement] = graph.statements(path.edge)
    assert (statement.relation_id, statement.prompt_id, statement.model) == (
        "model-a-answer-0-0",
        "prompt-carnations",
        "model-a",
    )


def test_what_shares_a_purpose_says_by_which_two_statements(graph: Graph) -> None:
    path = graph.recommend(["f1"]).items[3].path
    assert path.explanation == "Chocolates are given to mothers."
    assert path.probability == pytest.approx(0.95 * 0.9)
    assert (path.relation_id, path.via_relation_id) == ("model-a-answer-4-0", "model-a-answer-3-0")


def test_a_relation_read_backwards_is_marked_so(graph: Graph) -> None:
    [item] = graph.recommend(["c1"]).items
    assert (item.sku, item.path.is_reversed) == ("f2", True)
    assert item.score == pytest.approx(0.45, abs=1e-4)


def test_an_accessory_is_not_recommended_backwards(graph: Graph) -> None:
    assert skus(graph.recommend(["v1"])) == []


def test_a_basket_adds_up_what_its_products_say_and_leaves_out_their_kinds(graph: Graph) -> None:
    answer = graph.recommend(["c1", "t1", "k1"])
    [item] = answer.items
    shares = [0.5 * 0.9, 0.5 * 0.7, 0.5 * 0.95 * 0.9]
    assert item.sku == "f2"
    assert item.score == pytest.approx(1 - math.prod(1 - share for share in shares), abs=1e-3)
    assert [path.seed_sku for path in item.paths] == ["c1", "k1", "t1"]
    assert skus(graph.recommend(["f1", "c1"], include_seed_kinds=True)) == ["c2", "v1", "t1", "f2", "k1"]


def test_two_products_of_one_kind_count_once(graph: Graph) -> None:
    one, two = graph.recommend(["f1"]), graph.recommend(["f1", "f2", "f1"])
    assert [(item.sku, item.score) for item in one.items] == [(item.sku, item.score) for item in two.items]


def test_a_purpose_leads_to_its_products(graph: Graph) -> None:
    answer = graph.recommend(purpose="Mother’s Day  gift!")
    assert answer.rationales == ("mother's day gift",)
    assert skus(answer) == ["f2", "c2", "k1"]
    assert answer.items[0].path.seed_sku is None
    assert answer.items[0].path.explanation == "Carnations are the flower of the day."


def test_a_purpose_in_other_words_finds_the_nearest_rationales(graph: Graph) -> None:
    assert graph.recommend(purpose="mothers day").rationales == ("mother's day gift",)
    found = graph.recommend(purpose="gifts").rationales
    assert sorted(found) == ["flowers as a gift", "mother's day gift"]
    nothing = graph.recommend(purpose="tax return")
    assert (nothing.items, nothing.rationales) == ((), ())


def test_a_purpose_and_a_product_count_together(graph: Graph) -> None:
    together = graph.recommend(["f1"], purpose="mother's day gift")
    alone = {item.sku: item.score for item in graph.recommend(["f1"]).items}
    assert skus(together) == ["c2", "k1", "v1", "t1"]
    assert {item.sku for item in together.items if item.score > alone[item.sku]} == {"c2", "k1"}


def test_seeds_exclusions_and_what_is_out_of_stock_never_appear(graph: Graph) -> None:
    assert skus(graph.recommend(["f1"], exclude=["c2", "v1"])) == ["c1", "t1", "k1"]
    assert skus(graph.recommend(["f1"], available={"c1", "k2"})) == ["c1", "k2"]
    assert skus(graph.recommend(["f1"], available=lambda sku: sku.startswith("v"))) == ["v1"]
    assert skus(graph.recommend(purpose="mother's day gift", exclude=["f1", "f2", "c1", "c2"])) == ["k1"]


def test_unknown_products_are_named_and_cost_nothing_else(graph: Graph) -> None:
    answer = graph.recommend(["nope", "f1", "0", ""])
    assert answer.unknown_skus == ("nope", "0", "")
    assert skus(answer) == skus(graph.recommend(["f1"]))
    assert graph.recommend(["nope"]).items == ()


def test_the_json_answer_is_the_answer(graph: Graph) -> None:
    answer = json.loads(graph.recommend_json(["f1", "nope"], k=2))
    assert list(answer) == ["snapshot_id", "items", "unknown_skus", "rationales"]
    assert (answer["snapshot_id"], answer["unknown_skus"]) == (graph.snapshot_id, ["nope"])
    assert [item["sku"] for item in answer["items"]] == ["c2", "v1"]
    [path] = answer["items"][0]["paths"]
    assert (path["seed_sku"], path["explanation"]) == ("f1", "A card goes with the flowers.")
    assert (graph.knows("f1"), graph.knows("nope")) == (True, False)


def test_only_wanted_relation_types_count(graph: Graph) -> None:
    assert skus(graph.recommend(["f1"], relation_types=["accessory", "substitute"])) == ["v1", "t1"]
    assert skus(graph.recommend(["f1"], relation_types=["occasion"])) == ["k1"]
    assert skus(graph.recommend(["f1"], relation_types=["audience"])) == []


def test_only_paths_as_sure_as_wanted_count(graph: Graph) -> None:
    assert skus(graph.recommend(["f1"], min_probability=0.8)) == ["c2", "v1", "k1"]
    assert skus(graph.recommend(["f1"], min_probability=0.86)) == ["c2"]


def test_only_wanted_categories_and_prices_appear(graph: Graph) -> None:
    assert skus(graph.recommend(["f1"], categories=["flowers", "nowhere"])) == ["v1", "t1"]
    assert skus(graph.recommend(["f1"], categories=["nowhere"])) == []
    assert skus(graph.recommend(["f1"], max_price=2.5)) == ["c2", "k1"]  # vases and tulips have no price
    assert skus(graph.recommend(["f1"], min_price=2.51)) == []
    assert skus(graph.recommend(["f1"], min_price=2.5, max_price=2.5)) == ["c2", "k1"]


def test_a_seed_counts_as_much_as_it_weighs(graph: Graph) -> None:
    """Of weight 2 it counts as two with the same relations: 1 - (1 - share)^2."""
    items = graph.recommend(["t1", "c1"], weights=[2.0, 0.5]).items
    assert items[0].score == pytest.approx(1 - (1 - 0.5 * 0.7) ** 2 * (1 - 0.5 * 0.9) ** 0.5, abs=1e-3)
    assert [path.seed_sku for path in items[0].paths] == ["t1", "c1"]
    assert graph.recommend(["f1"], weights=[1.0]) == graph.recommend(["f1"])


def test_of_two_seeds_of_a_kind_the_heavier_counts(graph: Graph) -> None:
    [light, heavy] = (graph.recommend(["f1", "f2"], weights=weights) for weights in ([0.5, 0.25], [0.5, 2.0]))
    assert {item.path.seed_sku for item in light.items} == {"f1"}
    assert {item.path.seed_sku for item in heavy.items} == {"f2"}


def test_a_diverse_answer_takes_another_kind_before_a_second_of_one(graph: Graph) -> None:
    plain = skus(graph.recommend(["f1"], max_per_kind=2, k=4))
    assert plain == ["c1", "c2", "v1", "t1"]
    assert skus(graph.recommend(["f1"], max_per_kind=2, k=4, diversity=0.5)) == ["c1", "v1", "t1", "k1"]
    assert skus(graph.recommend(["f1"], max_per_kind=2, k=4, diversity=0.0)) == plain


def test_more_products_of_a_kind_come_with_one_score_ties_by_sku(graph: Graph) -> None:
    assert skus(graph.recommend(["f1"], max_per_kind=2)) == ["c1", "c2", "v1", "t1", "k1", "k2"]
    assert skus(graph.recommend(["f1"], max_per_kind=2, k=3)) == ["c1", "c2", "v1"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": 1001}, "k is 1001"),
        ({"min_probability": float("nan")}, "min_probability"),
        ({"max_per_kind": 0}, "max_per_kind"),
        ({"relation_types": ["astrology"]}, "astrology"),
        ({"skus": "f1"}, "not one text"),
        ({"skus": ["f1"] * 101}, "101 seeds"),
        ({"exclude": "c2"}, "exclude is a list"),
        ({"available": "c2"}, "available is a list"),
        ({"categories": "flowers"}, "categories is a list"),
        ({"relation_types": "complement"}, "relation_types is a list"),
        ({"weights": [1.0, 1.0]}, "2 weights"),
        ({"weights": [0.0]}, "weighs 0"),
        ({"weights": [float("nan")]}, "weighs nan"),
        ({"weights": [17.0]}, "weighs 17"),
        ({"diversity": 1.5}, "diversity is 1.5"),
        ({"min_price": 3.0, "max_price": 2.0}, "lowest price is 3"),
    ],
)
def test_an_argument_out_of_range_is_named(arguments: dict[str, object], named: str, graph: Graph) -> None:
    with pytest.raises(InputError, match=named):
        graph.recommend(**{"skus": ["f1"], **arguments})  # type: ignore[arg-type]


def test_what_lies_outside_the_graph_is_named_and_no_other_row_of_it_is_shown(graph: Graph) -> None:
    for edge in (-1, 6, 10**12):
        with pytest.raises(InputError, match=f"no edge {edge}; the snapshot has 6"):
            graph.statements(edge)
    for limit, offset in ((-1, 0), (1, -1)):
        with pytest.raises(InputError, match="negative"):
            graph.purposes(limit, offset)
    assert graph.purposes(0) == graph.purposes(2, 10**12) == ()


KINDS = ["carnations", "vases", "greeting cards", "chocolates", "candles", "tulips", "batteries"]
TYPES = ["complement", "ingredient", "accessory", "occasion", "audience", "substitute"]
TELLING = st.tuples(
    st.sampled_from([None, *KINDS]),
    st.sampled_from(TYPES),
    st.sampled_from(["movie night", "spring", "a gift"]),
    st.sampled_from(KINDS),
    st.floats(0, 1),
    st.just("Because."),
)


@settings(max_examples=40, deadline=None)
@given(told=st.lists(TELLING, min_size=1, max_size=25), nodes=st.sets(st.integers(0, 6), max_size=4))
def test_merged_rows_and_all_paths_give_one_answer(told: list[Told], nodes: set[int]) -> None:
    """While no row is cut, the fast tier is the exact one to the bit."""
    s = graph_of(told).sections
    sources = [Source(node, "seed") for node in sorted(nodes)]
    fast, exact = arrivals_by_rows(s, sources), arrivals_by_paths(s, sources, ALL_TYPES, 0.0)
    assert [array.tolist() for array in ranked(fast)] == [array.tolist() for array in ranked(exact)]
    best, also = (
        sorted(
            zip(*(getattr(found, name).tolist() for name in ("source", "target", "edge", "via")), strict=True)
        )
        for found in (fast, exact)
    )
    assert best == also


def test_a_known_product_is_described_and_an_unknown_one_is_none(graph: Graph) -> None:
    product = graph.product("f2")
    assert product is not None
    assert (product.title, product.kind, product.category, product.price) == (
        "white carnations",
        "carnations",
        "flowers",
        2.5,
    )
    cheap = graph.product("v1")
    assert cheap is not None
    assert cheap.price is None
    assert graph.product("zzz") is None


def test_purposes_are_listed_the_most_widely_served_first(graph: Graph) -> None:
    purposes = graph.purposes()
    assert [(p.rationale, p.n_kinds, p.is_asked) for p in purposes] == [
        ("mother's day gift", 3, True),
        ("flowers as a gift", 1, False),
        ("keeping flowers fresh", 1, False),
        ("romantic evening", 1, True),
    ]
    assert graph.rationale(purposes[0].rationale_id) == "mother's day gift"
    assert graph.rationale("nope") is None


def test_search_finds_products_kinds_and_purposes_by_beginnings_of_words(graph: Graph) -> None:
    def found(text: str, what: str | None = None) -> list[str]:
        return [hit.id for hit in graph.search(text, what=what)]

    assert found("carnations white")[0] == "f2"
    assert found("carnation", "product") == ["f2", "f1"]
    assert found("MOTHER'S d")[0] in {"c1", graph.purposes()[0].rationale_id}
    assert found("chocolate", "kind") == [kind_id("candy", "chocolates")]
    assert found("mothers day", "purpose") == [graph.purposes()[0].rationale_id]
    assert found("xylophone") == []
    assert found("") == []
    assert [hit.what for hit in graph.search("candles", 2)] == ["kind", "product"]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    k=st.integers(1, 40),
    what=st.sampled_from([None, "product", "kind", "purpose"]),
)
def test_the_first_k_found_are_the_first_of_all_that_is_found(seed: int, k: int, what: str | None) -> None:
    """Only what may be among them is sorted: ties by worth and popularity are cut where sorting would cut."""
    sections, random = random_graph(seed % 7).sections, np.random.default_rng(seed)
    text = " ".join(
        str(random.choice(["kind", "a", "brulee", "crème", "3", "because", "shelf", "purpose", "pipe"]))
        for _ in range(random.integers(1, 5))
    )
    found = search(sections, text, 1_000, what)
    assert search(sections, text, k, what) == found[:k]
    if what is None:
        assert [hit for hit in found if hit.what == "purpose"] == list(
            search(sections, text, 1_000, "purpose")
        )


@given(text=st.text(st.characters(), max_size=60))  # lone surrogates too
def test_search_takes_any_text(text: str, graph: Graph) -> None:
    assert len(graph.search(text, 3)) <= 3
    assert graph.recommend([text], purpose=text).snapshot_id == graph.snapshot_id


def test_warming_touches_the_whole_snapshot(graph: Graph) -> None:
    on_disk = sum(path.stat().st_size - HEADER_SIZE for path in graph.snapshot.path.glob("*.arr"))
    assert graph.warm() == on_disk


def test_the_published_graph_opens_in_one_call(tmp_path: Path) -> None:
    published = publish_shop(tmp_path, graph_of(STATEMENTS[:2]))
    assert Graph.published(tmp_path).snapshot_id == published.snapshot_id


def test_kinds_of_one_product_phrase_are_shown_once(tmp_path: Path) -> None:
    told: list[Told] = [
        ("carnations", "complement", "mother's day gift", "chocolates", 0.9, "Sweets go with flowers."),
        ("carnations", "complement", "mother's day gift", "candles", 0.8, "Sweets go with flowers."),
        ("carnations", "accessory", "keeping flowers fresh", "vases", 0.7, "Cut flowers stand in a vase."),
    ]
    one_phrase = accepted(told).with_columns(
        product=pl.when(pl.col("rationale") == "mother's day gift")
        .then(pl.lit("sweets"))
        .otherwise(pl.col("product"))
    )
    graph = Graph.open(publish_shop(tmp_path, compile_graph(products(), one_phrase)).path)

    assert skus(graph.recommend(["f1"], max_per_phrase=1)) == ["k1", "v1"]
    assert skus(graph.recommend(["f1"], max_per_phrase=2)) == ["k1", "g1", "v1"]
    # Where the best kind of the phrase is out of stock, the next one stands for it.
    assert skus(graph.recommend(["f1"], available={"g1", "v1"})) == ["g1", "v1"]
