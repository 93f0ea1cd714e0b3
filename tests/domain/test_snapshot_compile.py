"""What becomes of products and accepted relations, on a shop small enough to count by hand."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.errors import CatalogError
from pkgraph.snapshot import CompiledGraph, judge_by_rules
from pkgraph.snapshot.compile import compile_graph
from pkgraph.snapshot.format import HOLDS_BOTH_WAYS, MAX_ROW
from pkgraph.snapshot.layout import Strings, to_arrays
from pkgraph.snapshot.paths import paths_of
from tests.random_graph import random_graph
from tests.shop import STATEMENTS, Told, accepted, key_of, products


def edges(graph: CompiledGraph) -> list[tuple[str | None, str, str, float]]:
    s = graph.sections
    return [
        (
            s.kind_titles[int(s.edge_source[edge])] if s.edge_source[edge] >= 0 else None,
            s.rationale_texts[int(s.edge_rationale[edge])],
            s.kind_titles[int(s.edge_target[edge])],
            float(s.edge_probability[edge]),
        )
        for edge in range(graph.n_edges)
    ]


def targets(graph: CompiledGraph, kind: str) -> dict[str, int]:
    """Merged target kinds of a kind with their weights."""
    s = graph.sections
    node = list(s.kind_titles).index(kind)
    rows = range(*s.row_offsets[node : node + 2].tolist())
    return {s.kind_titles[int(s.row_target[row])]: int(s.row_weight[row]) for row in rows}


def weight(share: float) -> int:
    return round(-math.log(1 - share) * 4096)


def test_every_statement_becomes_an_edge() -> None:
    told = {(source, rationale, target, p) for source, _, rationale, target, p, _ in STATEMENTS}
    assert set(edges(compile_graph(products(), accepted()))) == told


def test_a_kind_reaches_what_was_stated_and_less_surely_what_shares_its_purpose() -> None:
    assert targets(compile_graph(products(), accepted()), "carnations") == {
        "greeting cards": weight(0.9),
        "vases": weight(0.8),
        "tulips": weight(0.7),
        "chocolates": weight(0.5 * 0.95 * 0.9),
    }


def test_a_complement_and_a_substitute_are_read_backwards_an_accessory_is_not() -> None:
    graph = compile_graph(products(), accepted())
    assert targets(graph, "greeting cards") == {"carnations": weight(0.5 * 0.9)}
    assert targets(graph, "tulips") == {"carnations": weight(0.5 * 0.7)}
    assert targets(graph, "vases") == {}


def test_only_an_accessory_has_a_direction() -> None:
    assert sorted(HOLDS_BOTH_WAYS) == ["audience", "complement", "ingredient", "occasion", "substitute"]


def test_several_reasons_for_one_target_merge_by_noisy_or() -> None:
    more: Told = ("carnations", "occasion", "birthday party", "greeting cards", 0.6, "Birthdays too.")
    reached = targets(compile_graph(products(), accepted([*STATEMENTS, more])), "carnations")
    share = 1 - math.exp(-reached["greeting cards"] / 4096)
    assert share == pytest.approx(1 - (1 - 0.9) * (1 - 0.6), abs=1e-3)


def test_one_statement_of_two_models_is_one_edge_with_the_surest_sentence_and_both_sources() -> None:
    surer: Told = (*STATEMENTS[0][:4], 0.97, "Said better.")
    frames = [accepted(STATEMENTS[:1]), accepted([surer], model="model-b")]
    graph = compile_graph(products(), pl.concat(frames))
    s = graph.sections
    assert edges(graph) == [("carnations", "mother's day gift", "greeting cards", 0.97)]
    assert s.edge_explanations[0] == "Said better."
    assert [s.model_names[int(s.response_model[row])] for row in s.statement_response] == [
        "model-b",
        "model-a",
    ]
    assert s.statement_probability.tolist() == [0.97, 0.9]


def test_relations_to_or_from_what_the_shop_does_not_sell_are_counted_not_compiled() -> None:
    strange: list[Told] = [
        ("carnations", "complement", "mother's day gift", "jewelry", 0.9, "No such kind here."),
        ("orchids", "complement", "mother's day gift", "vases", 0.9, "No such source here."),
        ("vases", "complement", "home decor", "vases", 0.9, "Names itself."),
    ]
    graph = compile_graph(products(), accepted([*STATEMENTS, *strange]))
    assert graph.n_edges == len(STATEMENTS)
    assert graph.intake.n_accepted == len(STATEMENTS) + 3
    assert graph.intake.refused == {
        "names_its_source": 1,
        "source_not_in_catalog": 1,
        "target_not_in_catalog": 1,
    }
    assert graph.intake.kinds_without_relations == 1  # batteries


def test_a_relation_type_nobody_knows_is_refused_by_name() -> None:
    odd = accepted().with_columns(relation_type=pl.lit("astrology"))
    assert compile_graph(products(), odd).intake.refused == {"unknown_relation_type": len(STATEMENTS)}


def test_products_of_a_kind_stand_by_popularity_then_sku() -> None:
    s = compile_graph(products(), accepted()).sections

    def skus(kind: str) -> list[str]:
        node = list(s.kind_titles).index(kind)
        rows = s.kind_skus[slice(*s.kind_sku_offsets[node : node + 2].tolist())]
        return [s.sku_ids[int(row)] for row in rows]

    assert skus("carnations") == ["f2", "f1"]
    assert skus("chocolates") == ["k1", "k2"]


def test_a_node_keeps_its_heaviest_targets_and_all_its_paths() -> None:
    shop = {f"kind {n:02d}": ("all", [(f"s{n:02d}", f"thing {n}", 0.0)]) for n in range(MAX_ROW + 8)}
    told: list[Told] = [
        ("kind 00", "accessory", f"purpose {n}", f"kind {n:02d}", 0.1 + n / 50, "Because.")
        for n in range(1, MAX_ROW + 8)
    ]
    frame = accepted(told).with_columns(
        source_kind_id=pl.lit(key_of("kind 00", shop)),
        target_kind_id=pl.col("target_kind").map_elements(lambda kind: key_of(kind, shop), pl.String),
    )
    graph = compile_graph(products(shop), frame)
    kept = targets(graph, "kind 00")
    assert list(kept) == [f"kind {n:02d}" for n in range(MAX_ROW + 7, 7, -1)]
    node = list(graph.sections.kind_titles).index("kind 00")
    assert len(paths_of(graph.sections, node, node + 1).target) == MAX_ROW + 7


def test_a_sku_that_stands_twice_is_an_error() -> None:
    twice = pl.concat([products(), products().head(1)])
    with pytest.raises(CatalogError, match="twice"):
        compile_graph(twice, accepted())


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_order_of_the_rows_does_not_matter(data: st.DataObject) -> None:
    shop, told = products(), pl.concat([accepted(), accepted(STATEMENTS[:3], model="model-b")])
    shuffled = [frame[data.draw(st.permutations(range(frame.height)))] for frame in (shop, told)]
    expected, found = compile_graph(shop, told), compile_graph(*shuffled)
    assert found.intake == expected.intake
    for name, array in to_arrays(expected.sections).items():
        assert array.tobytes() == to_arrays(found.sections)[name].tobytes(), name


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_edges_stand_by_source_target_type_and_rationale_those_without_a_source_last(seed: int) -> None:
    graph = random_graph(seed)
    s = graph.sections
    source = [kind if kind >= 0 else len(s.kind_ids) for kind in s.edge_source.tolist()]
    keys = list(
        zip(source, *(a.tolist() for a in (s.edge_target, s.edge_type, s.edge_rationale)), strict=True)
    )
    assert keys == sorted(set(keys))
    assert judge_by_rules(s, graph.intake).is_open


def test_kinds_of_high_numbers_that_are_targets_alone_are_sorted_too() -> None:
    """Source and target are sorted as one integer: the wider of both decides how many bits each gets."""
    shop = {f"kind {n:02d}": ("all", [(f"s{n:02d}", "thing", 0.0)]) for n in range(40)}
    order = sorted(shop, key=lambda kind: key_of(kind, shop))
    told: list[Told] = [
        (order[source], "accessory", "a purpose", order[target], 0.9, "Because.")
        for source, target in [(0, 39), (1, 2), (0, 38), (1, 3), (0, 2)]
    ]
    s = compile_graph(products(shop), accepted(told, shop=shop)).sections
    pairs = list(zip(s.edge_source.tolist(), s.edge_target.tolist(), strict=True))
    assert pairs == [(0, 2), (0, 38), (0, 39), (1, 2), (1, 3)]


@given(st.lists(st.text(max_size=8), unique=True, max_size=20), st.text(max_size=8))
def test_a_text_is_found_in_a_sorted_table_exactly_where_it_stands(texts: list[str], other: str) -> None:
    ordered = sorted(texts, key=str.encode)
    table = Strings.of(ordered)
    assert list(table) == ordered
    assert [table.find(text) for text in ordered] == list(range(len(ordered)))
    assert table.find(other) == (ordered.index(other) if other in ordered else -1)
    assert [ordered[row] for row in table.starting_with(other)] == [t for t in ordered if t.startswith(other)]
