"""What must hold for every published graph: publisher, `verify`, checks and tests walk these rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pkgraph.errors import SnapshotDamaged
from pkgraph.model import GateReport
from pkgraph.snapshot import offenders
from pkgraph.snapshot.format import OFFSETS, Intake
from pkgraph.snapshot.layout import Sections
from pkgraph.snapshot.reader import Snapshot
from pkgraph.snapshot.threads import beside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pkgraph.snapshot.manifest import Manifest
    from pkgraph.snapshot.offenders import Derived


@dataclass(frozen=True, slots=True)
class Rule:
    """A sentence that is true of a good graph.

    Attributes:
        looks_at: How many things the rule looks at; a rule that looked at nothing does not pass.
        offenders: How many of them break it.
    """

    sentence: str
    looks_at: Callable[[Sections], int]
    offenders: Callable[[Sections, Derived], int]


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
        "Source and target of every edge are kinds with a product.", _n_edges, offenders.edges_to_ghosts
    ),
    "every_edge_has_a_type_a_rationale_and_a_sentence": Rule(
        "Every edge names a known relation type, a rationale and an explanation.",
        _n_edges,
        offenders.untyped_edges,
    ),
    "no_product_recommends_itself": Rule(
        "No edge and no merged row starts and ends at one kind.", _n_edges, offenders.self_recommendations
    ),
    "every_score_is_finite_and_a_share": Rule(
        "Probabilities and popularities are shares 0-1, weights are positive.",
        _n_edges,
        offenders.scores_that_are_no_shares,
    ),
    "every_edge_has_provenance": Rule(
        "Every edge names at least one statement with prompt, response, model and phrase.",
        _n_edges,
        offenders.edges_without_provenance,
    ),
    "every_edge_is_as_sure_as_its_surest_statement": Rule(
        "Probability and phrase of an edge are those of its first statement.",
        _n_edges,
        offenders.edges_unlike_their_statements,
    ),
    "every_edge_is_read_where_it_holds": Rule(
        "The lists of edges by source, target, rationale and shared purpose are those that follow from the "
        "edges; none reads an accessory backwards.",
        _n_edges,
        offenders.misread_edges,
    ),
    "every_edge_weighs_what_its_statements_say": Rule(
        "The weights of an edge and of a shared purpose follow from the probability of their statements.",
        _n_edges,
        offenders.misweighed_edges,
    ),
    "every_merged_score_is_the_sum_of_its_paths": Rule(
        "A merged row holds the sum of its paths' weights and the heaviest of them.",
        _n_rows,
        offenders.rows_unlike_their_paths,
    ),
    "neighbours_are_sorted": Rule(
        "Merged rows of a node stand by weight, ties by target.", _n_rows, offenders.unsorted_neighbours
    ),
    "purposes_stand_by_the_kinds_they_serve": Rule(
        "A rationale counts the kinds its paths lead to; the widest comes first.",
        lambda s: len(s.rationale_ids),
        offenders.misplaced_purposes,
    ),
    "offsets_are_monotone": Rule(
        "Offsets start at 0, never fall, and end at the length of what they cut.",
        lambda _: len(OFFSETS),
        offenders.unsteady_offsets,
    ),
    "every_product_belongs_to_one_kind": Rule(
        "Every SKU stands once, under its own kind.", _n_skus, offenders.misplaced_skus
    ),
    "every_kind_stands_on_a_shelf": Rule(
        "Every kind names a category and a department.", lambda s: len(s.kind_ids), offenders.unplaced_kinds
    ),
    "every_product_is_found_by_its_id": Rule(
        "The hash table leads from every SKU to its row.", _n_skus, offenders.unfindable_skus
    ),
    "popular_products_come_first": Rule(
        "SKUs of a kind stand by popularity, ties by SKU.", _n_skus, offenders.less_popular_first
    ),
    "ids_are_unique_and_sorted": Rule(
        "Ids and words stand in strictly ascending order.", _n_skus, offenders.unsorted_ids
    ),
    "every_card_repeats_what_the_arrays_say": Rule(
        "A card of a SKU, kind, edge or merged row says what the arrays say of it.",
        lambda s: len(s.sku_cards) + len(s.edge_cards),
        offenders.cards_unlike_their_arrays,
    ),
    "every_word_leads_somewhere": Rule(
        "Every posting of the index names a SKU, a kind or a rationale.",
        lambda s: len(s.posting_documents),
        offenders.postings_to_nothing,
    ),
    "every_accepted_row_is_accounted_for": Rule(
        "Accepted rows = statements in the graph + refused rows.",
        lambda s: len(s.statement_response),
        offenders.lost_rows,
    ),
}
"""Name to the rule; the name is a sentence that is true on a good day."""


def judge_by_rules(sections: Sections, intake: Intake) -> GateReport:
    """What every rule looked at, and the offenders of the broken ones."""
    evaluated = {name: rule.looks_at(sections) for name, rule in RULES.items()}
    derived = offenders.Derived(sections, intake)
    derived.rows  # noqa: B018 - what rules share is there before they run beside each other
    found = beside(lambda rule: rule.offenders(sections, derived), RULES.values(), _n_edges(sections))
    counted = dict(zip(RULES, found, strict=True))
    return GateReport(evaluated, {name: count for name, count in counted.items() if count})


def verify(path: Path) -> Manifest:
    """Check a snapshot byte by byte, and its invariants.

    Raises:
        SnapshotMissing: There is no such folder.
        SnapshotDamaged: A file was changed, or the graph breaks one of its rules; the message names it.
    """
    snapshot = Snapshot.open(path, verify=True)
    report = judge_by_rules(snapshot.sections, snapshot.manifest.intake)
    if not report.is_open:
        raise SnapshotDamaged(f"{path} breaks its own rules: {dict(report.broken)}.")
    return snapshot.manifest
