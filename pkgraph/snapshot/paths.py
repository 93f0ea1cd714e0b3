"""From edges to what a request reads: every node's paths, and its paths merged by target.

A path's share is the probability of its statements: p of one edge, p1 * p2 of two kinds named for a purpose.
A path that is read off statements rather than stated (an edge read backwards, a shared purpose) counts
INFERRED_SHARE of that: typicality has a direction (aspirin asks for water, water does not ask for aspirin).
Paths to one target merge by noisy-or, 1 - prod(1 - share): the target fits unless every reason for it fails.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkgraph.snapshot.layout import (
    HOLDS_BOTH_WAYS,
    MAX_ROW,
    MAX_SHARE,
    RELATION_TYPES,
    SHARES_A_PURPOSE,
    WEIGHT_SCALE,
    Array,
)

INFERRED_SHARE = 0.5
"""Judgement, to be measured on held-out baskets: of equal p, the stated relation comes first."""

MAX_PURPOSE_KINDS = 64
"""Kinds of one purpose that are joined pairwise, surest first; 64 give 4 032 paths a purpose."""


@dataclass(frozen=True, slots=True)
class Edges:
    """The arrays of the edges that paths are made from; see Sections."""

    source: Array
    type: Array
    rationale: Array
    target: Array
    probability: Array
    n_kinds: int
    n_rationales: int


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of all nodes; `node` is ascending and stands in for the offsets of the snapshot."""

    node: Array
    target: Array
    edge: Array
    via: Array
    weight: Array

    def offsets(self, n_nodes: int) -> Array:
        found: Array = np.searchsorted(self.node, np.arange(n_nodes + 1)).astype("<i8")
        return found


def weight_of(share: Array) -> Array:
    """Shares 0-1 as integer weights, at least 1; what is no share weighs 1 and is refused by the gate."""
    usable = np.clip(np.nan_to_num(share, nan=0.0), 0.0, MAX_SHARE)
    weights: Array = np.maximum(1, np.rint(-np.log1p(-usable) * WEIGHT_SCALE)).astype("<u4")
    return weights


def type_mask(edge_type: Array, allowed: frozenset[str]) -> Array:
    """Which edges are of an allowed type; an unknown type is not."""
    codes = [code for code, relation_type in enumerate(RELATION_TYPES) if relation_type in allowed]
    found: Array = np.isin(edge_type, codes)
    return found


def _paths(node: Array, target: Array, edge: Array, via: Array, share: Array) -> Paths:
    return Paths(
        node.astype("<i4"), target.astype("<i4"), edge.astype("<i4"), via.astype("<i4"), weight_of(share)
    )


def _alone(rows: Array) -> Array:
    return np.full(len(rows), -1, dtype="<i4")


def _stated(edges: Edges) -> Paths:
    rows = np.flatnonzero(edges.source >= 0)
    return _paths(edges.source[rows], edges.target[rows], rows, _alone(rows), edges.probability[rows])


def _backwards(edges: Edges) -> Paths:
    rows = np.flatnonzero((edges.source >= 0) & type_mask(edges.type, HOLDS_BOTH_WAYS))
    share = INFERRED_SHARE * edges.probability[rows]
    return _paths(edges.target[rows], edges.source[rows], rows, _alone(rows), share)


def _of_rationales(edges: Edges) -> Paths:
    rows = np.arange(len(edges.target))
    node = edges.n_kinds + edges.rationale
    return _paths(node, edges.target, rows, _alone(rows), edges.probability)


def _of_rationales_backwards(edges: Edges) -> Paths:
    rows = np.flatnonzero((edges.source >= 0) & type_mask(edges.type, SHARES_A_PURPOSE))
    share = INFERRED_SHARE * edges.probability[rows]
    return _paths(edges.n_kinds + edges.rationale[rows], edges.source[rows], rows, _alone(rows), share)


def _purpose_members(edges: Edges) -> list[Array]:
    """Edges of every purpose that was asked about, the surest of each kind, at most MAX_PURPOSE_KINDS."""
    rows = np.flatnonzero((edges.source < 0) & type_mask(edges.type, SHARES_A_PURPOSE))
    rows = rows[np.lexsort((rows, -edges.probability[rows], edges.rationale[rows]))]
    pairs = np.stack([edges.rationale[rows], edges.target[rows]], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    rows = rows[np.sort(first)]
    starts = np.flatnonzero(np.diff(edges.rationale[rows], prepend=-1))
    return [group[:MAX_PURPOSE_KINDS] for group in np.split(rows, starts[1:])] if len(rows) else []


def _shared_purpose(edges: Edges) -> Paths:
    joined = [np.array([(a, b) for a in group for b in group if a != b]) for group in _purpose_members(edges)]
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *(pair for pair in joined if len(pair))])
    via, edge = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    share = INFERRED_SHARE * edges.probability[via] * edges.probability[edge]
    return _paths(edges.target[via], edges.target[edge], edge, via, share)


def find_paths(edges: Edges) -> Paths:
    """Every path of every node, the heaviest first; ties by target, edge and via."""
    makers = (_stated, _backwards, _shared_purpose, _of_rationales, _of_rationales_backwards)
    parts = [maker(edges) for maker in makers]
    node, target, edge, via, weight = (
        np.concatenate([getattr(part, name) for part in parts]) for name in Paths.__slots__
    )
    order = np.lexsort((via, edge, target, -weight.astype(np.int64), node))
    return Paths(node[order], target[order], edge[order], via[order], weight[order])


@dataclass(frozen=True, slots=True)
class Rows:
    """Paths merged by target; the heaviest MAX_ROW targets of every node, ties by target."""

    offsets: Array
    target: Array
    weight: Array
    path: Array


def merge_paths(paths: Paths, n_nodes: int) -> Rows:
    """Add the weights of a node's paths to each target, and remember the heaviest of them."""
    order = np.lexsort((paths.target, paths.node))  # stable: the heaviest path of a pair stays first
    node, target = paths.node[order], paths.target[order]
    is_first = (np.diff(node, prepend=-1) != 0) | (np.diff(target, prepend=-1) != 0)
    starts = np.flatnonzero(is_first)
    total = np.add.reduceat(paths.weight[order].astype(np.int64), starts) if len(starts) else starts
    weight = np.minimum(total, np.iinfo(np.uint32).max)
    node, target, path = node[starts], target[starts], order[starts]
    by_weight = np.lexsort((target, -weight, node))
    place = np.arange(len(by_weight)) - np.searchsorted(node[by_weight], node[by_weight])
    kept = by_weight[place < MAX_ROW]
    offsets = np.searchsorted(node[kept], np.arange(n_nodes + 1)).astype("<i8")
    return Rows(offsets, target[kept], weight[kept].astype("<u4"), path[kept].astype("<i4"))
