"""From edges to paths: where every edge may be read from, and what it weighs there.

A path's share is the probability of its statements: p of one edge, p1 * p2 of two kinds named for a purpose.
A path that is read off statements rather than stated (an edge read backwards, a shared purpose) counts
INFERRED_SHARE of that: typicality has a direction (aspirin asks for water, water does not ask for aspirin).
Paths are not stored but read off the lists of edges, by source, by target and by rationale: at 30 million
edges the paths would be four times as many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkgraph.snapshot.format import HOLDS_BOTH_WAYS, MAX_SHARE, RELATION_TYPES, SHARES_A_PURPOSE, WEIGHT_SCALE
from pkgraph.snapshot.layout import Array
from pkgraph.snapshot.threads import beside, slices, threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkgraph.snapshot.layout import Sections

INFERRED_SHARE = 0.5
"""Judgement, to be measured on held-out baskets: of equal p, the stated relation comes first."""

MAX_PURPOSE_KINDS = 64
"""Kinds of one purpose that are joined pairwise, surest first; 64 give 4 032 paths a purpose."""

SHARES_AT_ONCE = 1 << 17
"""Shares that are weighed at a time: their temporary arrays stay in the cache."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges in the order of source (those without one last), target, type and rationale; see Sections."""

    source: Array
    type: Array
    rationale: Array
    target: Array
    probability: Array
    n_kinds: int
    n_rationales: int


@dataclass(frozen=True, slots=True)
class Readings:
    """Where the edges may be read from, and their weights; the arrays of Sections with these names."""

    edge_offsets: Array
    edge_weight: Array
    edge_inferred_weight: Array
    backward_offsets: Array
    backward_edges: Array
    rationale_edge_offsets: Array
    rationale_edges: Array
    shared_offsets: Array
    shared_edge: Array
    shared_via: Array
    shared_weight: Array


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of some nodes, in no order: node, target kind, edge, via (-1 where there is none), weight."""

    node: Array
    target: Array
    edge: Array
    via: Array
    weight: Array


def weight_of(share: Array) -> Array:
    """Shares 0-1 as integer weights, at least 1; what is no share weighs 1 and is refused by the gate."""
    weights = np.empty(len(share), dtype="<u4")

    def weigh(part: slice) -> None:
        usable = np.clip(np.nan_to_num(share[part], nan=0.0), 0.0, MAX_SHARE)
        weights[part] = np.maximum(1, np.rint(-np.log1p(-usable) * WEIGHT_SCALE))

    beside(weigh, slices(len(share), SHARES_AT_ONCE), len(share))
    return weights


def type_mask(edge_type: Array, allowed: frozenset[str]) -> Array:
    """Which edges are of an allowed type; an unknown type is not."""
    holds = np.zeros(256, dtype=bool)
    holds[[code for code, relation_type in enumerate(RELATION_TYPES) if relation_type in allowed]] = True
    found: Array = holds[edge_type]
    return found


def offsets_of(owner: Array, n: int) -> Array:
    """Offsets of n owners, from the ascending owner of every entry."""
    counts = np.bincount(owner, minlength=n)
    offsets = np.zeros(n + 1, dtype="<i8")
    np.cumsum(counts, out=offsets[1:])
    return offsets


def _grouped(owner: Array, rows: Array) -> Array:
    """The rows by owner, ascending within each; packed into one integer, numpy sorts 30 million in 2 s."""
    keys = owner.astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= rows.astype(np.uint64)
    keys.sort()
    keys &= np.uint64(0xFFFFFFFF)
    return keys.astype("<i4")


def _purpose_members(edges: Edges) -> list[Array]:
    """Edges of every purpose that was asked about, the surest of each kind, at most MAX_PURPOSE_KINDS."""
    rows = np.flatnonzero((edges.source < 0) & type_mask(edges.type, SHARES_A_PURPOSE))
    rows = rows[np.lexsort((rows, -edges.probability[rows], edges.rationale[rows]))]
    pairs = edges.rationale[rows].astype(np.int64) * max(1, edges.n_kinds) + edges.target[rows]
    _, first = np.unique(pairs, return_index=True)
    rows = rows[np.sort(first)]
    starts = np.flatnonzero(np.diff(edges.rationale[rows], prepend=-1))
    return [group[:MAX_PURPOSE_KINDS] for group in np.split(rows, starts[1:])] if len(rows) else []


def _shared_pairs(edges: Edges) -> tuple[Array, Array]:
    """Via and edge of every ordered pair of kinds that were named for one purpose, by kind, via, edge."""
    groups = _purpose_members(edges)
    members = np.concatenate([np.empty(0, dtype=np.int64), *groups])
    order = np.lexsort((members, edges.target[members]))
    place = np.empty(len(order), dtype=np.uint64)
    place[order] = np.arange(len(order))
    places = np.split(place, np.cumsum([len(group) for group in groups])[:-1]) if groups else []
    pairs = [_pairs(*group) for group in zip(places, groups, strict=True)]
    packed = np.concatenate([np.empty(0, dtype=np.uint64), *pairs])
    packed.sort()
    via = members[order][(packed >> np.uint64(32)).astype(np.int64)]
    return via, (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _pairs(places: Array, edges: Array) -> Array:
    """Place of the one and edge of the other, of every two of them, in one integer."""
    packed = (places[:, np.newaxis] << np.uint64(32)) | edges.astype(np.uint64)
    others: Array = packed[~np.eye(len(edges), dtype=bool)]
    return others


def readings_of(edges: Edges) -> Readings:
    """Lay out where every edge may be read from."""
    backwards = np.flatnonzero((edges.source >= 0) & type_mask(edges.type, HOLDS_BOTH_WAYS))
    every = np.arange(len(edges.target), dtype=np.uint32)
    with threads(len(every)) as pool:
        pairs = pool.submit(_shared_pairs, edges)
        backward_edges = pool.submit(_grouped, edges.target[backwards], backwards)
        rationale_edges = pool.submit(_grouped, edges.rationale, every)
    via, edge = pairs.result()
    share = edges.probability
    return Readings(
        edge_offsets=offsets_of(np.where(edges.source < 0, edges.n_kinds, edges.source), edges.n_kinds + 1),
        edge_weight=weight_of(share),
        edge_inferred_weight=weight_of(INFERRED_SHARE * share),
        backward_offsets=offsets_of(edges.target[backwards], edges.n_kinds),
        backward_edges=backward_edges.result(),
        rationale_edge_offsets=offsets_of(edges.rationale, edges.n_rationales),
        rationale_edges=rationale_edges.result(),
        shared_offsets=offsets_of(edges.target[via], edges.n_kinds),
        shared_edge=edge.astype("<i4"),
        shared_via=via.astype("<i4"),
        shared_weight=weight_of(INFERRED_SHARE * share[via] * share[edge]),
    )


def _alone(node: Array, target: Array, edge: Array, weight: Array) -> Paths:
    return Paths(node, target, edge, np.full(len(edge), -1, dtype="<i4"), weight)


def _of_kinds(s: Sections, first: int, end: int) -> Iterator[Paths]:
    stated = np.arange(s.edge_offsets[first], s.edge_offsets[end])
    yield _alone(s.edge_source[stated], s.edge_target[stated], stated, s.edge_weight[stated])
    back = s.backward_edges[s.backward_offsets[first] : s.backward_offsets[end]]
    yield _alone(s.edge_target[back], s.edge_source[back], back, s.edge_inferred_weight[back])
    pairs = slice(int(s.shared_offsets[first]), int(s.shared_offsets[end]))
    edge, via = s.shared_edge[pairs], s.shared_via[pairs]
    yield Paths(s.edge_target[via], s.edge_target[edge], edge, via, s.shared_weight[pairs])


def _of_rationales(s: Sections, first: int, end: int) -> Iterator[Paths]:
    n_kinds = len(s.kind_ids)
    rows = s.rationale_edges[s.rationale_edge_offsets[first] : s.rationale_edge_offsets[end]]
    yield _alone(n_kinds + s.edge_rationale[rows], s.edge_target[rows], rows, s.edge_weight[rows])
    back = rows[(s.edge_source[rows] >= 0) & type_mask(s.edge_type[rows], SHARES_A_PURPOSE)]
    yield _alone(n_kinds + s.edge_rationale[back], s.edge_source[back], back, s.edge_inferred_weight[back])


def paths_of(s: Sections, first: int, end: int) -> Paths:
    """Every path of the nodes first to end - 1, in no order; a range must not hold both kinds and rationales.

    A node is a kind, or a rationale behind the last kind.
    """
    n_kinds = len(s.kind_ids)
    is_kind = first < n_kinds
    parts = list(_of_kinds(s, first, end) if is_kind else _of_rationales(s, first - n_kinds, end - n_kinds))
    node, target, edge, via, weight = (
        np.concatenate([getattr(part, name) for part in parts]) for name in Paths.__slots__
    )
    return Paths(node, target, edge, via, weight.astype(np.int64))
