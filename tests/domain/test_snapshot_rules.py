"""Every rule of a graph has a counterexample that breaks that rule alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pkgraph.errors import InputError
from pkgraph.snapshot import RULES, CompiledGraph, judge_by_rules
from pkgraph.snapshot.cards import with_cards
from pkgraph.snapshot.compile import compile_graph
from pkgraph.snapshot.format import CARDS, RELATION_TYPES
from pkgraph.snapshot.layout import Sections, Strings
from pkgraph.snapshot.merging import merge_paths
from pkgraph.snapshot.paths import Edges, Readings, readings_of
from tests.shop import STATEMENTS, accepted, products


def good() -> CompiledGraph:
    return compile_graph(products(), accepted([*STATEMENTS, STATEMENTS[0]]))


def with_value(sections: Sections, name: str, row: int, value: float) -> Sections:
    array = getattr(sections, name).copy()
    array[row] = value
    return replace(sections, **{name: array})


def swapped(sections: Sections, names: tuple[str, ...], first: int, second: int) -> Sections:
    changed: dict[str, Any] = {}
    for name in names:
        array = getattr(sections, name).copy()
        array[[first, second]] = array[[second, first]]
        changed[name] = array
    return replace(sections, **changed)


def edge_of(sections: Sections, explanation: str) -> int:
    return list(sections.edge_explanations).index(explanation)


VASE, TULIPS, CANDLES = STATEMENTS[1][5], STATEMENTS[2][5], STATEMENTS[5][5]


def no_edges(_: CompiledGraph) -> CompiledGraph:
    return compile_graph(products(), accepted([]))


def a_kind_without_products(graph: CompiledGraph) -> CompiledGraph:
    s = graph.sections
    vase, tulips = s.sku_ids.find("v1"), int(s.sku_kind[s.sku_ids.find("t1")])
    moved = with_value(s, "sku_kind", vase, tulips)
    order = np.lexsort((np.arange(len(moved.sku_kind)), -moved.sku_popularity, moved.sku_kind))
    offsets = np.searchsorted(moved.sku_kind[order], np.arange(len(s.kind_ids) + 1))
    return replace(graph, sections=replace(moved, kind_skus=order, kind_sku_offsets=offsets))


def an_edge_onto_itself(_: CompiledGraph) -> CompiledGraph:
    """The one edge of a graph, read as if it had been stated of its own target."""
    graph = compile_graph(products(), accepted(STATEMENTS[5:]))
    s = with_value(graph.sections, "edge_source", 0, graph.sections.edge_target[0])
    edges = Edges(
        s.edge_source,
        s.edge_type,
        s.edge_rationale,
        s.edge_target,
        s.edge_probability,
        len(s.kind_ids),
        len(s.rationale_ids),
    )
    readings = readings_of(edges)
    s = replace(s, **{name: getattr(readings, name) for name in Readings.__slots__})
    rows = merge_paths(s)
    merged = {f"row_{name}": getattr(rows, name) for name in ("offsets", "target", "weight", "edge", "via")}
    return replace(graph, sections=replace(s, rationale_is_asked=s.rationale_is_asked * 0, **merged))


def an_unknown_type(graph: CompiledGraph) -> CompiledGraph:
    return replace(graph, sections=with_value(graph.sections, "edge_type", edge_of(graph.sections, VASE), 17))


def a_substitute_turned_accessory(graph: CompiledGraph) -> CompiledGraph:
    """What could be read backwards becomes what cannot, but is still read so."""
    edge, code = edge_of(graph.sections, TULIPS), RELATION_TYPES.index("accessory")
    return replace(graph, sections=with_value(graph.sections, "edge_type", edge, code))


def another_probability(graph: CompiledGraph) -> CompiledGraph:
    s, edge = graph.sections, edge_of(graph.sections, CANDLES)
    s = with_value(s, "statement_probability", int(s.edge_statement_offsets[edge]), 0.2)
    return replace(graph, sections=with_value(s, "edge_probability", edge, 0.2))


def a_less_sure_statement(graph: CompiledGraph) -> CompiledGraph:
    s, edge = graph.sections, edge_of(graph.sections, VASE)
    row = int(s.edge_statement_offsets[edge])
    return replace(graph, sections=with_value(s, "statement_probability", row, 0.1))


def rows_of(graph: CompiledGraph, sku: str) -> int:
    s = graph.sections
    return int(s.row_offsets[s.sku_kind[s.sku_ids.find(sku)]])


def a_card_of_another_price(graph: CompiledGraph) -> CompiledGraph:
    price = graph.sections.sku_cards[2] + np.uint64(1)
    return replace(graph, sections=with_value(graph.sections, "sku_cards", 2, price))


def a_row_too_light(graph: CompiledGraph) -> CompiledGraph:
    row = rows_of(graph, "t1")  # the only row of tulips
    return replace(
        graph, sections=with_value(graph.sections, "row_weight", row, graph.sections.row_weight[row] - 1)
    )


def neighbours_swapped(graph: CompiledGraph) -> CompiledGraph:
    first = rows_of(graph, "f1")
    names = ("row_target", "row_weight", "row_edge", "row_via")
    return replace(graph, sections=swapped(graph.sections, names, first, first + 1))


def a_product_named_twice(graph: CompiledGraph) -> CompiledGraph:
    s = graph.sections
    first = int(s.kind_sku_offsets[s.sku_kind[s.sku_ids.find("f1")]])
    return replace(graph, sections=with_value(s, "kind_skus", first + 1, s.kind_skus[first]))


def the_less_popular_first(graph: CompiledGraph) -> CompiledGraph:
    s = graph.sections
    first = int(s.kind_sku_offsets[s.sku_kind[s.sku_ids.find("f1")]])
    return replace(graph, sections=swapped(s, ("kind_skus",), first, first + 1))


def ids_swapped(graph: CompiledGraph) -> CompiledGraph:
    ids = list(graph.sections.rationale_ids)
    ids[:2] = reversed(ids[:2])
    return replace(graph, sections=replace(graph.sections, rationale_ids=Strings.of(ids)))


def a_falling_offset(graph: CompiledGraph) -> CompiledGraph:
    offsets = graph.sections.posting_offsets
    return replace(graph, sections=with_value(graph.sections, "posting_offsets", 1, offsets[2] + 1))


def value_at(name: str, row: int, value: float) -> Callable[[CompiledGraph], CompiledGraph]:
    return lambda graph: replace(graph, sections=with_value(graph.sections, name, row, value))


def a_sku_in_no_slot(graph: CompiledGraph) -> CompiledGraph:
    taken = int(np.flatnonzero(graph.sections.sku_slots)[0])
    return replace(graph, sections=with_value(graph.sections, "sku_slots", taken, 0))


def a_lost_row(graph: CompiledGraph) -> CompiledGraph:
    return replace(graph, intake=graph.intake._replace(n_accepted=graph.intake.n_accepted + 1))


BREAKING: dict[str, Callable[[CompiledGraph], CompiledGraph]] = {
    "a_graph_has_edges": no_edges,
    "every_edge_starts_and_ends_in_the_catalog": a_kind_without_products,
    "every_edge_has_a_type_a_rationale_and_a_sentence": an_unknown_type,
    "no_product_recommends_itself": an_edge_onto_itself,
    "every_score_is_finite_and_a_share": value_at("sku_popularity", 0, 1.5),
    "every_edge_has_provenance": value_at("response_model", 0, 99),
    "every_edge_is_as_sure_as_its_surest_statement": a_less_sure_statement,
    "every_edge_is_read_where_it_holds": a_substitute_turned_accessory,
    "every_edge_weighs_what_its_statements_say": another_probability,
    "every_merged_score_is_the_sum_of_its_paths": a_row_too_light,
    "neighbours_are_sorted": neighbours_swapped,
    "purposes_stand_by_the_kinds_they_serve": value_at("rationale_is_asked", 0, 7),
    "every_kind_stands_on_a_shelf": value_at("kind_category", 0, 99),
    "every_product_is_found_by_its_id": a_sku_in_no_slot,
    "offsets_are_monotone": a_falling_offset,
    "every_product_belongs_to_one_kind": a_product_named_twice,
    "popular_products_come_first": the_less_popular_first,
    "ids_are_unique_and_sorted": ids_swapped,
    "every_word_leads_somewhere": value_at("posting_documents", 0, 999),
    "every_accepted_row_is_accounted_for": a_lost_row,
    "every_card_repeats_what_the_arrays_say": a_card_of_another_price,
}

ABOUT_CARDS = "every_card_repeats_what_the_arrays_say"


def with_its_cards(graph: CompiledGraph) -> CompiledGraph:
    """The graph with the cards that its arrays stand for, where they stand for any."""
    with suppress(IndexError, ValueError, InputError):
        return replace(graph, sections=with_cards(graph.sections))
    return graph


def test_every_rule_has_a_counterexample() -> None:
    assert BREAKING.keys() == RULES.keys()


def test_a_compiled_graph_breaks_no_rule_and_every_rule_looked_at_something() -> None:
    report = judge_by_rules(good().sections, good().intake)
    assert dict(report.broken) == {}
    assert report.is_open


@pytest.mark.parametrize("rule", sorted(BREAKING))
def test_a_graph_breaking_a_rule_breaks_that_rule_alone(rule: str) -> None:
    broken = BREAKING[rule](good())
    broken = broken if rule == ABOUT_CARDS else with_its_cards(broken)
    assert dict(judge_by_rules(broken.sections, broken.intake).broken) == {rule: 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.0000001])
@pytest.mark.parametrize("name", ["edge_probability", "statement_probability", "sku_popularity"])
def test_a_score_that_is_no_share_is_found_wherever_it_stands(name: str, value: float) -> None:
    broken = value_at(name, 0, value)(good())
    assert "every_score_is_finite_and_a_share" in judge_by_rules(broken.sections, broken.intake).broken


@pytest.mark.parametrize("name", CARDS)
def test_every_word_of_every_card_is_compared(name: str) -> None:
    graph = good()
    words = getattr(graph.sections, name)
    for place in range(len(words)):
        broken = with_value(graph.sections, name, place, words[place] ^ np.uint64(1))
        assert judge_by_rules(broken, graph.intake).broken == {ABOUT_CARDS: 1}, place


def test_an_empty_graph_does_not_open_the_gate() -> None:
    empty = compile_graph(products(), accepted([]))
    assert not judge_by_rules(empty.sections, empty.intake).is_open
