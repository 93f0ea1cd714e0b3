"""Counting what breaks the rules of a graph, in its arrays.

A count must not stumble over what another rule is there to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pkgraph.errors import InputError
from pkgraph.snapshot.cards import lengths_of_cards, parts_of_cards
from pkgraph.snapshot.format import OFFSETS, RELATION_TYPES, SPECS, Intake
from pkgraph.snapshot.layout import Array, Sections, Strings, to_arrays
from pkgraph.snapshot.merging import Rows, merge_paths
from pkgraph.snapshot.paths import INFERRED_SHARE, Edges, Readings, readings_of, weight_of
from pkgraph.snapshot.slots import slots_of
from pkgraph.snapshot.threads import beside

if TYPE_CHECKING:
    from collections.abc import Callable

READ_FROM = (
    ("edge_offsets",),
    ("backward_offsets", "backward_edges"),
    ("rationale_edge_offsets", "rationale_edges"),
    ("shared_offsets", "shared_via", "shared_edge"),
)
"""The lists of edges that follow from the edges alone."""


@dataclass(frozen=True)
class Derived:
    """What follows from the sections and more than one rule needs; worked out once."""

    sections: Sections
    intake: Intake

    @cached_property
    def readings(self) -> Readings | None:
        """Where edges may be read from; None where they name what does not exist, which a rule reports."""
        s = self.sections
        outside = _outside(s.edge_source, -1, len(s.kind_ids)) | _outside(s.edge_target, 0, len(s.kind_ids))
        outside |= _outside(s.edge_rationale, 0, len(s.rationale_ids))
        if (outside | _outside(s.edge_type, 0, len(RELATION_TYPES))).any():
            return None
        told = (s.edge_source, s.edge_type, s.edge_rationale, s.edge_target, s.edge_probability)
        return readings_of(Edges(*told, len(s.kind_ids), len(s.rationale_ids)))

    @cached_property
    def rows(self) -> Rows | None:
        """The merged rows; None where the lists of edges are not what they must be, which a rule reports."""
        if self.readings is None or misread_edges(self.sections, self):
            return None
        return merge_paths(self.sections)


def _outside(values: Array, low: int, high: int) -> Array:
    return (values < low) | (values >= high)


def _at(values: Array, rows: Array, missing: float = -1) -> Array:
    """values[rows]; `missing` where a row does not exist, which another rule reports."""
    fits = ~_outside(rows, 0, len(values))
    if fits.all():
        whole: Array = values[rows]
        return whole
    found = np.full(len(rows), missing, dtype=np.promote_types(values.dtype, np.int64))
    found[fits] = values[rows[fits]]
    return found


def _owner(offsets: Array, n: int) -> Array:
    """Which item owns each of n entries, by its offsets."""
    lengths = np.diff(offsets)
    if len(offsets) and (lengths >= 0).all() and offsets[0] == 0 and offsets[-1] == n:
        return np.repeat(np.arange(len(lengths)), lengths)
    owner: Array = np.searchsorted(offsets, np.arange(n), side="right") - 1
    return owner


def _has_no_product(s: Sections, kinds: Array) -> Array:
    has_one = np.zeros(len(s.kind_ids), dtype=bool)
    has_one[s.sku_kind[~_outside(s.sku_kind, 0, len(has_one))]] = True
    found: Array = _at(has_one, kinds, missing=0) == 0
    return found


def edges_to_ghosts(s: Sections, _: Derived) -> int:
    is_ghost_source = (s.edge_source != -1) & _has_no_product(s, s.edge_source)
    return int((is_ghost_source | _has_no_product(s, s.edge_target)).sum())


def untyped_edges(s: Sections, _: Derived) -> int:
    without_rationale = _outside(s.edge_rationale, 0, len(s.rationale_ids))
    without_sentence = np.diff(s.edge_explanations.offsets) < 1
    return int((_outside(s.edge_type, 0, len(RELATION_TYPES)) | without_rationale | without_sentence).sum())


def self_recommendations(s: Sections, _: Derived) -> int:
    nodes = _owner(s.row_offsets, len(s.row_target))
    return max(int((s.edge_source == s.edge_target).sum()), int((nodes == s.row_target).sum()))


def _not_a_share(values: Array) -> int:
    return int((~((values >= 0) & (values <= 1))).sum())


def scores_that_are_no_shares(s: Sections, _: Derived) -> int:
    shares = (s.edge_probability, s.statement_probability, s.sku_popularity)
    return sum(_not_a_share(values) for values in shares) + int((s.row_weight == 0).sum())


def edges_without_provenance(s: Sections, _: Derived) -> int:
    tables = (
        (s.statement_response, s.response_ids),
        (s.statement_phrase, s.phrase_texts),
        (s.response_prompt, s.prompt_ids),
        (s.response_model, s.model_names),
    )
    nameless = sum(int(_outside(rows, 0, len(names)).sum()) for rows, names in tables)
    return int((np.diff(s.edge_statement_offsets) < 1).sum()) + nameless


def edges_unlike_their_statements(s: Sections, _: Derived) -> int:
    first = np.where(np.diff(s.edge_statement_offsets) > 0, s.edge_statement_offsets[:-1], -1)
    surest, phrase = _at(s.statement_probability, first, np.nan), _at(s.statement_phrase, first, -2)
    is_share = np.isfinite(s.edge_probability) & np.isfinite(surest)
    is_other = is_share & (surest != s.edge_probability)
    return int((is_other | ((phrase >= 0) & (phrase != s.edge_phrase))).sum())


def _out_of_order(node: Array, weight: Array, target: Array) -> int:
    same = node[1:] == node[:-1]
    is_lighter = weight[1:] < weight[:-1]
    is_tied = weight[1:] == weight[:-1]
    return int((same & ~is_lighter & ~(is_tied & (target[1:] >= target[:-1]))).sum())


def unsorted_neighbours(s: Sections, _: Derived) -> int:
    return _out_of_order(_owner(s.row_offsets, len(s.row_target)), s.row_weight, s.row_target)


def unsteady_offsets(s: Sections, _: Derived) -> int:
    arrays = to_arrays(s)
    lengths = {spec.dimension: len(arrays[spec.name]) for spec in SPECS}
    lengths |= {name: lengths[f"{name}+1"] - 1 for name in ("skus", "kinds", "rationales")}
    wrong = 0
    for name, dimension in OFFSETS.items():
        offsets = arrays[name]
        wrong += int(offsets[0] != 0) + int(offsets[-1] != lengths[dimension])
        wrong += int((offsets[1:] < offsets[:-1]).sum())
    return wrong


def cards_unlike_their_arrays(s: Sections, _: Derived) -> int:
    wrong = sum(abs(len(getattr(s, name)) - length) for name, length in lengths_of_cards(s).items())
    try:
        wrong += sum(beside(lambda part: _unlike_cards(s, *part), parts_of_cards(s), len(s.edge_target)))
    except (IndexError, ValueError, InputError):
        return 0  # what cards are made of is broken itself, which a rule reports
    return wrong


def _unlike_cards(s: Sections, name: str, start: int, made: Callable[[], Array]) -> int:
    words = made()
    return _n_unlike(getattr(s, name)[start : start + len(words)], words)


def lost_rows(s: Sections, derived: Derived) -> int:
    intake = derived.intake
    return abs(intake.n_accepted - sum(intake.refused.values()) - len(s.statement_response))


def _n_unlike(found: Array, expected: Array) -> int:
    n = min(len(found), len(expected))
    return abs(len(found) - len(expected)) + int((found[:n] != expected[:n]).sum())


def misread_edges(s: Sections, derived: Derived) -> int:
    """Entries of the lists of edges that are not those which follow from the edges."""
    expected = derived.readings
    return 0 if expected is None else sum(_n_misread(s, expected, *names) for names in READ_FROM)


def _n_misread(s: Sections, expected: Readings, *names: str) -> int:
    pairs = [(getattr(s, name), getattr(expected, name)) for name in names]
    if all(np.array_equal(found, wanted) for found, wanted in pairs):
        return 0
    found, wanted = (_entries([pair[side] for pair in pairs], len(s.edge_target)) for side in (0, 1))
    return max(1, len(found ^ wanted))


def _entries(arrays: list[Array], n_edges: int) -> set[tuple[int, ...]]:
    """The entries of a list with their owners, where there is one list at least that is wrong."""
    offsets, *members = arrays
    columns = members or [np.arange(n_edges)]
    return set(
        zip(*(column.tolist() for column in (_owner(offsets, len(columns[0])), *columns)), strict=False)
    )


def misweighed_edges(s: Sections, _: Derived) -> int:
    """Edges and pairs that do not weigh what their statements say; one off is another log1p's last bit."""
    share, n = s.edge_probability, len(s.edge_probability)
    stated = np.abs(s.edge_weight.astype(np.int64) - weight_of(share)) > 1
    inferred = np.abs(s.edge_inferred_weight.astype(np.int64) - weight_of(INFERRED_SHARE * share)) > 1
    joined = INFERRED_SHARE * _at(share, s.shared_via, 0) * _at(share, s.shared_edge, 0)
    shared = np.abs(s.shared_weight.astype(np.int64) - weight_of(joined)) > 1
    shared &= ~_outside(s.shared_via, 0, n) & ~_outside(s.shared_edge, 0, n)
    return int((stated | inferred).sum() + shared.sum())


def rows_unlike_their_paths(s: Sections, derived: Derived) -> int:
    """Merged rows that are not those which follow from the paths, in whatever order they stand."""
    expected = derived.rows
    if expected is None:
        return 0
    names = ("target", "weight", "edge", "via")
    found = Rows(s.row_offsets, s.row_target, s.row_weight, s.row_edge, s.row_via, expected.n_targets)
    if len(found.target) != len(expected.target):
        return abs(len(found.target) - len(expected.target))
    if all(np.array_equal(getattr(found, name), getattr(expected, name)) for name in names):
        return 0
    places = [_by_node_and_target(rows) for rows in (found, expected)]
    unlike = np.zeros(len(found.target), dtype=bool)
    for name in names:
        unlike |= getattr(found, name)[places[0]] != getattr(expected, name)[places[1]]
    return int(unlike.sum())


def _by_node_and_target(rows: Rows) -> Array:
    return np.lexsort((rows.target, _owner(rows.offsets, len(rows.target))))


def misplaced_purposes(s: Sections, derived: Derived) -> int:
    if derived.rows is None:
        return 0
    n_kinds = derived.rows.n_targets[len(s.kind_ids) :]
    asked = np.isin(np.arange(len(s.rationale_ids)), s.edge_rationale[s.edge_source < 0])
    order = _at(-s.rationale_n_kinds.astype(np.int64), s.rationale_order, 1)
    is_complete = len(np.unique(s.rationale_order)) == len(s.rationale_ids)
    return (
        _n_unlike(s.rationale_n_kinds, n_kinds)
        + _n_unlike(s.rationale_is_asked, asked)
        + int((np.diff(order) < 0).sum())
        + int(not is_complete)
    )


def misplaced_skus(s: Sections, _: Derived) -> int:
    owner = _owner(s.kind_sku_offsets, len(s.kind_skus))
    misplaced = int((_at(s.sku_kind, s.kind_skus) != owner).sum())
    return misplaced + len(s.sku_kind) - len(np.unique(s.kind_skus))


def unplaced_kinds(s: Sections, _: Derived) -> int:
    outside = _outside(s.kind_category, 0, len(s.category_names))
    return int((outside | _outside(s.kind_department, 0, len(s.department_names))).sum())


def unfindable_skus(s: Sections, _: Derived) -> int:
    return _n_unlike(s.sku_slots, slots_of(s.sku_ids))


def less_popular_first(s: Sections, _: Derived) -> int:
    owner = _owner(s.kind_sku_offsets, len(s.kind_skus))
    popularity = _at(s.sku_popularity, s.kind_skus, np.nan)
    same, step = owner[1:] == owner[:-1], np.diff(popularity)
    return int((same & ((step > 0) | ((step == 0) & (np.diff(s.kind_skus) < 0)))).sum())


def _n_unsorted(table: Strings) -> int:
    """Neighbours that do not ascend strictly, compared eight bytes at a time."""
    starts, lengths = table.offsets[:-1], np.diff(table.offsets)
    rows, unsorted, place = np.arange(len(table) - 1), 0, 0
    data = np.concatenate([table.data, np.zeros(8, dtype="<u1")])
    while len(rows):
        first, second = (_eight_bytes(data, starts, lengths, rows + step, place) for step in (0, 1))
        unsorted += int((first > second).sum())
        ends = (lengths[rows] <= place + 8) & (lengths[rows + 1] <= place + 8)
        tied = first == second
        unsorted += int((tied & ends & (lengths[rows] >= lengths[rows + 1])).sum())
        rows, place = rows[tied & ~ends], place + 8
    return unsorted


def _eight_bytes(data: Array, starts: Array, lengths: Array, rows: Array, place: int) -> Array:
    """Bytes place to place + 7 of each text as one number, zero behind its end."""
    value = np.zeros(len(rows), dtype=np.uint64)
    for byte in range(place, place + 8):
        inside = lengths[rows] > byte
        at = np.minimum(starts[rows] + byte, len(data) - 1)
        value = (value << np.uint64(8)) | np.where(inside, data[at], 0).astype(np.uint64)
    return value


def unsorted_ids(s: Sections, _: Derived) -> int:
    return sum(_n_unsorted(table) for table in (s.sku_ids, s.kind_ids, s.rationale_ids, s.words))


def postings_to_nothing(s: Sections, _: Derived) -> int:
    n_documents = len(s.sku_ids) + len(s.kind_ids) + len(s.rationale_ids)
    return int(_outside(s.posting_documents, 0, n_documents).sum())
