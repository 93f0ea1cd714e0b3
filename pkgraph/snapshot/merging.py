"""A node's paths merged by target: the rows that most requests are answered from.

Paths to one target merge by noisy-or, 1 - prod(1 - share): the target fits unless every reason for it fails.
With weights -ln(1 - share) that is a sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pkgraph.kernel import kernel
from pkgraph.snapshot.format import MAX_ROW, SHARED_TYPES
from pkgraph.snapshot.layout import Array
from pkgraph.snapshot.paths import Paths, Readings, paths_of
from pkgraph.snapshot.threads import beside, n_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkgraph.snapshot.layout import Sections

MAX_WEIGHT = (1 << 32) - 1
PATHS_AT_ONCE = 2_000_000
"""Paths that are sorted together; about 150 MB of temporary arrays."""

MERGED_FROM = (*Readings.__slots__, "edge_source", "edge_type", "edge_target")
"""The arrays that the kernel merges paths from."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The heaviest MAX_ROW targets of every node, ties by target; see Sections.

    Attributes:
        n_targets: int32, a node; how many different targets it has, before the cut.
    """

    offsets: Array
    target: Array
    weight: Array
    edge: Array
    via: Array
    n_targets: Array


def merged_by_target(paths: Paths) -> Paths:
    """One path a node and target: the heaviest, ties by edge and via, with the weight of all together."""
    order = np.lexsort((paths.via, paths.edge, -paths.weight, paths.target, paths.node))
    node, target = paths.node[order], paths.target[order]
    is_first = (np.diff(node, prepend=-1) != 0) | (np.diff(target, prepend=-1) != 0)
    starts = np.flatnonzero(is_first)
    total = np.add.reduceat(paths.weight[order], starts) if len(starts) else paths.weight[:0]
    first = order[starts]
    return Paths(
        node[starts], target[starts], paths.edge[first], paths.via[first], np.minimum(total, MAX_WEIGHT)
    )


def _n_paths(s: Sections) -> Array:
    """At most how many paths each node has."""
    n_kinds = len(s.kind_ids)
    of_kinds = (
        np.diff(s.edge_offsets[: n_kinds + 1]) + np.diff(s.backward_offsets) + np.diff(s.shared_offsets)
    )
    return np.concatenate([of_kinds, 2 * np.diff(s.rationale_edge_offsets)])


def _ranges(s: Sections) -> Iterator[tuple[int, int]]:
    """Ranges of nodes with about PATHS_AT_ONCE paths, none across the border from kinds to rationales."""
    n_kinds, n_nodes = len(s.kind_ids), len(s.kind_ids) + len(s.rationale_ids)
    ends = np.cumsum(_n_paths(s))
    first = 0
    while first < n_nodes:
        reached = int(ends[first - 1]) if first else 0
        end = max(first + 1, int(np.searchsorted(ends, reached + PATHS_AT_ONCE, side="right")))
        end = min(end, n_kinds if first < n_kinds else n_nodes)
        yield first, end
        first = end


def merge_paths(s: Sections) -> Rows:
    """Merge the paths of every node by target and keep the heaviest; compiled where it can be."""
    compiled = kernel()
    if compiled is None:
        return merge_in_numpy(s)
    arrays = {name: getattr(s, name) for name in MERGED_FROM}
    n_edges = len(s.edge_target)
    shares = _equal_shares(s, n_threads(n_edges))
    parts = beside(lambda ends: compiled.merge_paths(arrays, SHARED_TYPES, MAX_ROW, *ends), shares, n_edges)
    target, weight, edge, via, n_targets = (
        np.frombuffer(b"".join(part), dtype)
        for part, dtype in zip(zip(*parts, strict=True), ("<i4", "<u4", "<i4", "<i4", "<i4"), strict=True)
    )
    return Rows(_row_offsets(n_targets), target, weight, edge, via, n_targets)


def _equal_shares(s: Sections, n: int) -> list[tuple[int, int]]:
    """Ranges of nodes with about equally many paths."""
    ends = np.cumsum(_n_paths(s))
    n_paths = int(ends[-1]) if len(ends) else 0
    cuts = [int(np.searchsorted(ends, n_paths * i // n)) for i in range(1, n)]
    return list(pairwise([0, *cuts, len(ends)]))


def _row_offsets(n_targets: Array) -> Array:
    offsets = np.zeros(len(n_targets) + 1, dtype="<i8")
    np.cumsum(np.minimum(n_targets, MAX_ROW), out=offsets[1:])
    return offsets


def merge_in_numpy(s: Sections) -> Rows:
    """The same without a kernel; some twenty times slower."""
    n_nodes = len(s.kind_ids) + len(s.rationale_ids)
    n_targets, kept = np.zeros(n_nodes, dtype="<i4"), [_no_paths()]
    for first, end in _ranges(s):
        merged = merged_by_target(paths_of(s, first, end))
        n_targets[first:end] = np.bincount(merged.node - first, minlength=end - first)
        order = np.lexsort((merged.target, -merged.weight, merged.node))
        node = merged.node[order]
        order = order[np.arange(len(order)) - np.searchsorted(node, node) < MAX_ROW]
        kept.append(Paths(*(getattr(merged, name)[order] for name in Paths.__slots__)))
    node, target, edge, via, weight = (
        np.concatenate([getattr(part, name) for part in kept]) for name in Paths.__slots__
    )
    target, edge, via = target.astype("<i4"), edge.astype("<i4"), via.astype("<i4")
    return Rows(_row_offsets(n_targets), target, weight.astype("<u4"), edge, via, n_targets)


def _no_paths() -> Paths:
    return Paths(*[np.empty(0, dtype=np.int64)] * 5)
