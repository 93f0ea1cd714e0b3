"""What must hold for every published graph: publisher, `verify`, checks and tests walk these rules.

A rule counts offenders in the arrays and must not stumble over what another rule is there to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkgraph.model import GateReport
from pkgraph.snapshot.layout import (
    HOLDS_BOTH_WAYS,
    MAX_ROW,
    OFFSETS,
    RELATION_TYPES,
    SHARES_A_PURPOSE,
    Array,
    Intake,
    Sections,
    to_arrays,
)
from pkgraph.snapshot.paths import INFERRED_SHARE, type_mask, weight_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Rule:
    """A sentence that is true of a good graph.

    Attributes:
        looks_at: How many things the rule looks at; a rule that looked at nothing does not pass.
        offenders: How many of them break it.
    """

    sentence: str
    looks_at: Callable[[Sections], int]
    offenders: Callable[[Sections, Intake], int]


def _outside(values: Array, low: int, high: int) -> Array:
    return (values < low) | (values >= high)


def _at(values: Array, rows: Array) -> Array:
    """values[rows]; -1 where a row does not exist, which another rule reports."""
    found = np.full(len(rows), -1, dtype=np.int64)
    fits = ~_outside(rows, 0, len(values))
    found[fits] = values[rows[fits]]
    return found


def _owner(offsets: Array, n: int) -> Array:
    """Which item owns each of n entries, by its offsets."""
    return np.searchsorted(offsets, np.arange(n), side="right") - 1


def _has_no_product(s: Sections, kinds: Array) -> Array:
    return _outside(kinds, 0, len(s.kind_ids)) | ~np.isin(kinds, s.sku_kind)


def _edges_to_ghosts(s: Sections, _: Intake) -> int:
    is_ghost_source = (s.edge_source != -1) & _has_no_product(s, s.edge_source)
    return int((is_ghost_source | _has_no_product(s, s.edge_target)).sum())


def _untyped_edges(s: Sections, _: Intake) -> int:
    without_rationale = _outside(s.edge_rationale, 0, len(s.rationale_ids))
    without_sentence = _outside(s.edge_explanation, 0, len(s.explanation_texts))
    return int((_outside(s.edge_type, 0, len(RELATION_TYPES)) | without_rationale | without_sentence).sum())


def _self_recommendations(s: Sections, _: Intake) -> int:
    nodes = _owner(s.row_offsets, len(s.row_target))
    return int((s.edge_source == s.edge_target).sum() + (nodes == s.row_target).sum())


def _not_a_share(values: Array) -> int:
    return int((~np.isfinite(values) | (values < 0) | (values > 1)).sum())


def _scores_that_are_no_shares(s: Sections, _: Intake) -> int:
    shares = (s.edge_probability, s.statement_probability, s.sku_popularity)
    without_weight = int((s.path_weight == 0).sum() + (s.row_weight == 0).sum())
    return sum(_not_a_share(values) for values in shares) + without_weight


def _edges_without_provenance(s: Sections, _: Intake) -> int:
    tables = (
        (s.statement_prompt, s.prompt_ids),
        (s.statement_response, s.response_ids),
        (s.statement_model, s.model_names),
        (s.statement_phrase, s.phrase_texts),
    )
    nameless = sum(int(_outside(rows, 0, len(names)).sum()) for rows, names in tables)
    return int((np.diff(s.edge_statement_offsets) < 1).sum()) + nameless


def _edges_unlike_their_statements(s: Sections, _: Intake) -> int:
    surest = _first_of_each(s.statement_probability, s.edge_statement_offsets)
    is_share = np.isfinite(s.edge_probability) & np.isfinite(surest)
    return int((is_share & (surest != s.edge_probability)).sum())


def _float_at(values: Array, rows: Array) -> Array:
    found = np.full(len(rows), np.nan)
    fits = ~_outside(rows, 0, len(values))
    found[fits] = values[rows[fits]]
    return found


def _first_of_each(values: Array, offsets: Array) -> Array:
    return _float_at(values, np.where(np.diff(offsets) > 0, offsets[:-1], -1))


def _out_of_order(node: Array, weight: Array, target: Array) -> int:
    same = node[1:] == node[:-1]
    step = np.diff(weight.astype(np.int64))
    return int((same & ((step > 0) | ((step == 0) & (np.diff(target) < 0)))).sum())


def _unsorted_neighbours(s: Sections, _: Intake) -> int:
    rows = _out_of_order(_owner(s.row_offsets, len(s.row_target)), s.row_weight, s.row_target)
    return rows + _out_of_order(_owner(s.path_offsets, len(s.path_target)), s.path_weight, s.path_target)


def _unsteady_offsets(s: Sections, _: Intake) -> int:
    arrays = to_arrays(s)
    lengths = {
        "skus": len(s.kind_skus),
        "statements": len(s.statement_prompt),
        "paths": len(s.path_target),
        "rows": len(s.row_target),
        "postings": len(s.posting_documents),
    }
    wrong = 0
    for name, dimension in OFFSETS.items():
        offsets = arrays[name]
        length = lengths[dimension] if dimension in lengths else len(arrays[dimension])
        wrong += int(offsets[0] != 0) + int(offsets[-1] != length) + int((np.diff(offsets) < 0).sum())
    return wrong


def _lost_rows(s: Sections, intake: Intake) -> int:
    return abs(intake.n_accepted - sum(intake.refused.values()) - len(s.statement_relation_ids))


def _stray_paths(s: Sections, _: Intake) -> int:
    """Paths that do not start at their node and end at their target, or read an accessory backwards."""
    node = _owner(s.path_offsets, len(s.path_target))
    edge, via, n_kinds = s.path_edge, s.path_via, len(s.kind_ids)
    source, target = _at(s.edge_source, edge), _at(s.edge_target, edge)
    rationale = n_kinds + _at(s.edge_rationale, edge)
    both, shares = type_mask(s.edge_type, HOLDS_BOTH_WAYS), type_mask(s.edge_type, SHARES_A_PURPOSE)
    alone, is_kind, ends = via == -1, node < n_kinds, target == s.path_target
    starts = (source == s.path_target) & (source >= 0)
    forwards = alone & ends & np.where(is_kind, source == node, rationale == node)
    backwards = alone & starts & (_at(both, edge) == 1) & (target == node)
    of_purpose = alone & starts & (_at(shares, edge) == 1) & (rationale == node)
    shared = ends & (source == -1) & (_at(s.edge_target, via) == node) & (_at(s.edge_source, via) == -1)
    shared &= ~alone & (n_kinds + _at(s.edge_rationale, via) == rationale) & (_at(shares, edge) == 1)
    return int((~(forwards | backwards | of_purpose | shared)).sum())


def _misweighed_paths(s: Sections, _: Intake) -> int:
    """Paths whose weight is not that of their statements; one off is the last bit of another log1p."""
    node, n_kinds = _owner(s.path_offsets, len(s.path_target)), len(s.kind_ids)
    share = np.nan_to_num(_float_at(s.edge_probability, s.path_edge))
    joined = s.path_via != -1
    share[joined] *= np.nan_to_num(_float_at(s.edge_probability, s.path_via[joined]))
    is_stated = ~joined & (_at(s.edge_target, s.path_edge) == s.path_target)
    is_stated &= (node >= n_kinds) | (_at(s.edge_source, s.path_edge) == node)
    expected = weight_of(np.where(is_stated, share, INFERRED_SHARE * share)).astype(np.int64)
    return int((np.abs(expected - s.path_weight) > 1).sum())


def _rows_unlike_their_paths(s: Sections, _: Intake) -> int:
    """Merged rows whose weight is not the sum of their paths, or whose path leads elsewhere."""
    node = _owner(s.row_offsets, len(s.row_target))
    path_node = _owner(s.path_offsets, len(s.path_target))
    n_kinds = max(1, len(s.kind_ids))
    pairs, inverse = np.unique(path_node * n_kinds + s.path_target, return_inverse=True)
    sums = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(sums, inverse, s.path_weight.astype(np.int64))
    place = np.searchsorted(pairs, node * n_kinds + s.row_target)
    leads = (_at(path_node, s.row_path) == node) & (_at(s.path_target, s.row_path) == s.row_target)
    is_sum = _at(sums, place) == s.row_weight
    strays = int((~(leads & is_sum & (_at(pairs, place) == node * n_kinds + s.row_target))).sum())
    n_targets = np.bincount(pairs // n_kinds, minlength=len(s.row_offsets) - 1)
    return strays + int(
        (np.diff(s.row_offsets) < np.minimum(n_targets, MAX_ROW)[: len(s.row_offsets) - 1]).sum()
    )


def _misplaced_skus(s: Sections, _: Intake) -> int:
    owner = _owner(s.kind_sku_offsets, len(s.kind_skus))
    misplaced = int((_at(s.sku_kind, s.kind_skus) != owner).sum())
    return misplaced + len(s.sku_kind) - len(np.unique(s.kind_skus))


def _less_popular_first(s: Sections, _: Intake) -> int:
    owner = _owner(s.kind_sku_offsets, len(s.kind_skus))
    popularity = _float_at(s.sku_popularity, s.kind_skus)
    same, step = owner[1:] == owner[:-1], np.diff(popularity)
    return int((same & ((step > 0) | ((step == 0) & (np.diff(s.kind_skus) < 0)))).sum())


def _unsorted_ids(s: Sections, _: Intake) -> int:
    tables = (s.sku_ids, s.kind_ids, s.rationale_ids, s.words)
    return sum(int(table.raw(row) >= table.raw(row + 1)) for table in tables for row in range(len(table) - 1))


def _postings_to_nothing(s: Sections, _: Intake) -> int:
    n_documents = len(s.sku_ids) + len(s.kind_ids) + len(s.rationale_ids)
    return int(_outside(s.posting_documents, 0, n_documents).sum())


def _n_edges(s: Sections) -> int:
    return len(s.edge_target)


def _n_skus(s: Sections) -> int:
    return len(s.sku_kind)


def _n_rows(s: Sections) -> int:
    return len(s.row_target)


RULES: Mapping[str, Rule] = {
    "a_graph_has_edges": Rule(
        "The graph holds at least one edge.", lambda _: 1, lambda s, _: int(len(s.edge_target) == 0)
    ),
    "every_edge_starts_and_ends_in_the_catalog": Rule(
        "Source and target of every edge are kinds with a product.", _n_edges, _edges_to_ghosts
    ),
    "every_edge_has_a_type_a_rationale_and_a_sentence": Rule(
        "Every edge names a known relation type, a rationale and an explanation.", _n_edges, _untyped_edges
    ),
    "no_product_recommends_itself": Rule(
        "No edge and no merged row starts and ends at one kind.", _n_edges, _self_recommendations
    ),
    "every_score_is_finite_and_a_share": Rule(
        "Probabilities and popularities are shares 0-1, weights are positive.",
        _n_edges,
        _scores_that_are_no_shares,
    ),
    "every_edge_has_provenance": Rule(
        "Every edge names at least one statement with prompt, response, model and phrase.",
        _n_edges,
        _edges_without_provenance,
    ),
    "every_edge_is_as_sure_as_its_surest_statement": Rule(
        "The probability of an edge is that of its first statement.", _n_edges, _edges_unlike_their_statements
    ),
    "every_path_follows_its_statement": Rule(
        "Every path runs along its edges, and none reads an accessory backwards.",
        lambda s: len(s.path_target),
        _stray_paths,
    ),
    "every_path_weighs_what_its_statements_say": Rule(
        "The weight of a path follows from the probability of its statements.",
        lambda s: len(s.path_target),
        _misweighed_paths,
    ),
    "every_merged_score_is_the_sum_of_its_paths": Rule(
        "The weight of a merged row is the sum of its paths' weights.", _n_rows, _rows_unlike_their_paths
    ),
    "neighbours_are_sorted": Rule(
        "Paths and merged rows of a node stand by weight, ties by target.", _n_rows, _unsorted_neighbours
    ),
    "offsets_are_monotone": Rule(
        "Offsets start at 0, never fall, and end at the length of what they cut.",
        lambda _: len(OFFSETS),
        _unsteady_offsets,
    ),
    "every_product_belongs_to_one_kind": Rule(
        "Every SKU stands once, under its own kind.", _n_skus, _misplaced_skus
    ),
    "popular_products_come_first": Rule(
        "SKUs of a kind stand by popularity, ties by SKU.", _n_skus, _less_popular_first
    ),
    "ids_are_unique_and_sorted": Rule(
        "Ids and words stand in strictly ascending order.", _n_skus, _unsorted_ids
    ),
    "every_word_leads_somewhere": Rule(
        "Every posting of the index names a SKU, a kind or a rationale.",
        lambda s: len(s.posting_documents),
        _postings_to_nothing,
    ),
    "every_accepted_row_is_accounted_for": Rule(
        "Accepted rows = statements in the graph + refused rows.",
        lambda s: len(s.statement_prompt),
        _lost_rows,
    ),
}
"""Name to the rule; the name is a sentence that is true on a good day."""


def judge_by_rules(sections: Sections, intake: Intake) -> GateReport:
    """What every rule looked at, and the offenders of the broken ones."""
    evaluated = {name: rule.looks_at(sections) for name, rule in RULES.items()}
    counted = {name: rule.offenders(sections, intake) for name, rule in RULES.items()}
    return GateReport(evaluated, {name: count for name, count in counted.items() if count})
