"""From sources to ranked target kinds: precomputed rows where they suffice, all paths where they do not.

Both tiers add the same integer weights, so where no row was cut they agree to the bit.
This is the plain NumPy way; the compiled kernel answers the same, and is tested against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pkgraph.recommend.question import ALL_TYPES, N_SCORES, WEIGHT_STEPS
from pkgraph.snapshot.format import MAX_ROW, MICRO, WEIGHT_SCALE
from pkgraph.snapshot.layout import Array, Sections
from pkgraph.snapshot.merging import merged_by_target
from pkgraph.snapshot.paths import Paths, paths_of

if TYPE_CHECKING:
    from pkgraph.recommend.question import Question


class Source(NamedTuple):
    """Where paths start.

    Attributes:
        node: A kind, or a rationale behind the last kind.
        seed_sku: The SKU whose kind it is; None where it is a rationale.
        steps: How much it counts, in steps of 1 / WEIGHT_STEPS.
    """

    node: int
    seed_sku: str | None
    steps: int = WEIGHT_STEPS


class Way(NamedTuple):
    """The heaviest path from one source to a target, and the weight of all paths between them."""

    source: int
    edge: int
    via: int
    weight: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Where the paths of some sources end, one entry a source and target.

    Attributes:
        source: Place of the source in the question.
        target: Kind.
        weight: Integer weight; the sum over the sources is a target's rank.
        edge: Edge of the heaviest path behind it.
        via: Its second edge, -1 where there is none.
        is_cut: A row had no room for all targets.
    """

    source: Array
    target: Array
    weight: Array
    edge: Array
    via: Array
    is_cut: bool


@cache
def score_table() -> Array:
    """The share that a weight stands for, in millionths; uint32 of shape (60 000,), 1 behind its end."""
    shares = -np.expm1(-np.arange(N_SCORES) / WEIGHT_SCALE)
    table: Array = np.rint(shares * MICRO).astype("<u4")
    return table


def score_of(weight: int) -> float:
    """The share 0-1 that a weight stands for, in whole millionths."""
    return int(score_table()[min(weight, N_SCORES - 1)]) / MICRO


def path_probability(s: Sections, edge: Array, via: Array) -> Array:
    """Probability that the one or two statements of each path hold."""
    first = s.edge_probability[edge]
    return np.where(via < 0, first, first * s.edge_probability[np.maximum(via, 0)])


def _weighed(weight: Array, steps: int) -> Array:
    return weight if steps == WEIGHT_STEPS else np.maximum(1, weight * steps // WEIGHT_STEPS)


def _joined(parts: Sequence[tuple[Array, Array, Array, Array]], *, is_cut: bool) -> Arrivals:
    """Arrivals from (target, weight, edge, via) of every source in turn."""
    empty = np.empty(0, dtype=np.int64)
    places = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    target, weight, edge, via = (
        np.concatenate([empty, *(part[i].astype(np.int64) for part in parts)]) for i in range(4)
    )
    return Arrivals(places, target, weight, edge, via, is_cut)


def arrivals_by_rows(s: Sections, sources: Sequence[Source]) -> Arrivals:
    """What the merged rows say, exact where no row was cut."""
    parts, is_cut = [], False
    for node, _, steps in sources:
        start, end = s.row_offsets[node : node + 2].tolist()
        is_cut |= end - start >= MAX_ROW
        weight = _weighed(s.row_weight[start:end].astype(np.int64), steps)
        parts.append((s.row_target[start:end], weight, s.row_edge[start:end], s.row_via[start:end]))
    return _joined(parts, is_cut=is_cut)


def arrivals_by_paths(s: Sections, sources: Sequence[Source], types: int, min_probability: float) -> Arrivals:
    """The exact answer from every path that passes the filter."""
    parts = []
    for node, _, steps in sources:
        paths = merged_by_target(_passing(s, paths_of(s, node, node + 1), types, min_probability))
        parts.append((paths.target, _weighed(paths.weight, steps), paths.edge, paths.via))
    return _joined(parts, is_cut=False)


def _passing(s: Sections, paths: Paths, types: int, min_probability: float) -> Paths:
    if types == ALL_TYPES and min_probability <= 0:
        return paths
    passes = path_probability(s, paths.edge, paths.via) >= min_probability
    passes &= (types >> s.edge_type[paths.edge].astype(np.int64)) & 1 == 1
    return Paths(*(getattr(paths, name)[passes] for name in Paths.__slots__))


def arrivals_of(s: Sections, question: Question, *, by_rows: bool) -> Arrivals:
    if by_rows:
        return arrivals_by_rows(s, question.sources)
    return arrivals_by_paths(s, question.sources, question.types, question.min_probability)


def ranked(arrivals: Arrivals) -> tuple[Array, Array]:
    """Target kinds with their summed weights, heaviest first, ties by kind."""
    targets, inverse = np.unique(arrivals.target, return_inverse=True)
    weights = np.zeros(len(targets), dtype=np.int64)
    np.add.at(weights, inverse, arrivals.weight)
    order = np.lexsort((targets, -weights))
    return targets[order], weights[order]


def ways_to(arrivals: Arrivals, target: int) -> tuple[Way, ...]:
    """The heaviest path of every source that leads to the target, heaviest first, ties by source."""
    places = np.flatnonzero(arrivals.target == target)
    places = places[np.lexsort((arrivals.source[places], -arrivals.weight[places]))]
    columns = (arrivals.source, arrivals.edge, arrivals.via, arrivals.weight)
    return tuple(Way(*(int(column[place]) for column in columns)) for place in places)


def phrase_behind(s: Sections, way: Way, target: int) -> int:
    """The product phrase that named the target; -1 where the target is the source of the statement."""
    return int(s.edge_phrase[way.edge]) if int(s.edge_target[way.edge]) == target else -1
