"""From sources to ranked target kinds: precomputed rows where they suffice, all paths where they do not.

Both tiers add the same integer weights, so where no row was cut they agree to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkgraph.snapshot.layout import MAX_ROW, RELATION_TYPES, WEIGHT_SCALE, Array, Sections

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Filter:
    """Which paths count; the default lets all pass."""

    relation_types: frozenset[str] | None = None
    min_probability: float = 0.0

    @property
    def lets_all_pass(self) -> bool:
        return self.relation_types is None and self.min_probability <= 0


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Where the paths of some sources end.

    Attributes:
        source: Place of the source in the question.
        target: Kind.
        weight: Integer weight; the sum over the sources is a target's rank.
        path: Heaviest path behind it, a position in the snapshot's paths.
        is_cut: A row had no room for all targets.
    """

    source: Array
    target: Array
    weight: Array
    path: Array
    is_cut: bool


def score_of(weight: int) -> float:
    """The share that a weight stands for, rounded so that no machine's last bit shows."""
    return round(float(-np.expm1(-weight / WEIGHT_SCALE)), 6)


def path_probability(s: Sections, paths: Array) -> Array:
    """Probability that the one or two statements of each path hold."""
    first = s.edge_probability[s.path_edge[paths]]
    via = s.path_via[paths]
    return np.where(via < 0, first, first * s.edge_probability[np.maximum(via, 0)])


def _slices(offsets: Array, nodes: Sequence[int]) -> tuple[Array, Array]:
    """Positions owned by the nodes one after the other, and the place of each one's node."""
    bounds = [offsets[node : node + 2].tolist() for node in nodes]
    positions = [np.arange(start, end) for start, end in bounds]
    places = [np.full(end - start, place) for place, (start, end) in enumerate(bounds)]
    empty = [np.empty(0, dtype=np.int64)]
    return np.concatenate(positions or empty), np.concatenate(places or empty)


def arrivals_by_rows(s: Sections, nodes: Sequence[int]) -> Arrivals:
    rows, places = _slices(s.row_offsets, nodes)
    is_cut = any(int(s.row_offsets[node + 1] - s.row_offsets[node]) >= MAX_ROW for node in nodes)
    return Arrivals(places, s.row_target[rows], s.row_weight[rows].astype(np.int64), s.row_path[rows], is_cut)


def arrivals_by_paths(s: Sections, nodes: Sequence[int], wanted: Filter) -> Arrivals:
    """The exact answer from every path that passes the filter."""
    paths, places = _slices(s.path_offsets, nodes)
    passes = path_probability(s, paths) >= wanted.min_probability
    if wanted.relation_types is not None:
        codes = [code for code, name in enumerate(RELATION_TYPES) if name in wanted.relation_types]
        passes &= np.isin(s.edge_type[s.path_edge[paths]], codes)
    paths, places = paths[passes], places[passes]
    return _merged(places, s.path_target[paths], s.path_weight[paths].astype(np.int64), paths)


def _merged(places: Array, target: Array, weight: Array, path: Array) -> Arrivals:
    order = np.lexsort((path, -weight, target, places))
    places, target, weight, path = places[order], target[order], weight[order], path[order]
    is_first = (np.diff(places, prepend=-1) != 0) | (np.diff(target, prepend=-1) != 0)
    starts = np.flatnonzero(is_first)
    total = np.add.reduceat(weight, starts) if len(starts) else weight
    return Arrivals(places[starts], target[starts], total, path[starts], is_cut=False)


def ranked(arrivals: Arrivals) -> tuple[Array, Array]:
    """Target kinds with their summed weights, heaviest first, ties by kind."""
    targets, inverse = np.unique(arrivals.target, return_inverse=True)
    weights = np.zeros(len(targets), dtype=np.int64)
    np.add.at(weights, inverse, arrivals.weight)
    order = np.lexsort((targets, -weights))
    return targets[order], weights[order]


def phrase_of_each(s: Sections, arrivals: Arrivals) -> dict[int, int]:
    """The product phrase behind each target on its heaviest path; -1 where the target is the source of it."""
    order = np.lexsort((arrivals.path, arrivals.weight))
    target, path = arrivals.target[order], arrivals.path[order]
    edge = s.path_edge[path]
    phrase = s.statement_phrase[s.edge_statement_offsets[edge]]
    named = np.where(s.edge_target[edge] == target, phrase, -1)
    return dict(zip(target.tolist(), named.tolist(), strict=True))  # the heaviest comes last and stays
