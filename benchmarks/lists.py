"""What engines beside ours hold: the merged targets of every kind, each with the edge that explains it."""

from __future__ import annotations

import heapq
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from pkgraph.snapshot.layout import Array, Sections, Strings

K = 10
BATCH = 100_000
"""Texts or rows that are Python objects at a time."""

ROW = np.dtype([("target", "<i4"), ("weight", "<u4"), ("edge", "<i4")])


def merged(seeds: set[Any], lists: Sequence[Sequence[tuple[Any, int, Any]]]) -> list[tuple[Any, Any]]:
    """(target, edge) of the best ten, from (target, weight, edge) of each seed's kind, kinds ascending."""
    weights: dict[Any, int] = {}
    heaviest: dict[Any, tuple[int, Any]] = {}
    for rows in lists:
        for target, weight, edge in rows:
            weights[target] = weights.get(target, 0) + weight
            if weight > heaviest.get(target, (0, 0))[0]:
                heaviest[target] = (weight, edge)
    left = ((-weight, target) for target, weight in weights.items() if target not in seeds)
    return [(target, heaviest[target][1]) for _, target in heapq.nsmallest(K, left)]


def batches(n: int) -> Iterator[slice]:
    return (slice(first, min(first + BATCH, n)) for first in range(0, n, BATCH))


def raws(texts: Strings, rows: Array) -> Iterator[bytes]:
    """The texts of the rows, a batch at a time: a tenth of what asking row by row costs."""
    data = memoryview(texts.data.data)
    for batch in batches(len(rows)):
        starts, ends = (texts.offsets[rows[batch] + after].tolist() for after in (0, 1))
        yield from (data[start:end].tobytes() for start, end in zip(starts, ends, strict=True))


def arrow_of(texts: Strings) -> Any:
    """The same bytes as a column of Arrow."""
    pa = importlib.import_module("pyarrow")
    return pa.LargeStringArray.from_buffers(len(texts), *map(pa.py_buffer, (texts.offsets, texts.data)))


@dataclass(frozen=True)
class Lists:
    """The lists of all kinds. A target is the row of the SKU that stands for its kind; so are ties broken."""

    sections: Sections

    @property
    def n_kinds(self) -> int:
        return len(self.sections.kind_ids)

    @cached_property
    def products(self) -> Array:
        """Row of every kind's most popular SKU, which stands for it."""
        s = self.sections
        found: Array = s.kind_skus[s.kind_sku_offsets[:-1]]
        return found

    @property
    def offsets(self) -> Array:
        """int64 of shape (n_kinds + 1,): kind i owns rows offsets[i] to offsets[i + 1] - 1."""
        offsets: Array = self.sections.row_offsets[: self.n_kinds + 1]
        return offsets

    @cached_property
    def rows(self) -> Array:
        """Records (target, weight, edge), by kind, the heaviest first."""
        s, n_rows = self.sections, int(self.offsets[-1])
        rows = np.empty(n_rows, dtype=ROW)
        rows["target"], rows["weight"] = self.products[s.row_target[:n_rows]], s.row_weight[:n_rows]
        rows["edge"] = s.row_edge[:n_rows]
        return rows

    @cached_property
    def row_kinds(self) -> Array:
        """Kind of every row, ascending."""
        return np.repeat(np.arange(self.n_kinds, dtype="<i4"), np.diff(self.offsets))

    @cached_property
    def edges(self) -> Array:
        """The edges that explain some row, ascending."""
        is_shown = np.zeros(len(self.sections.edge_target), dtype=bool)
        is_shown[self.rows["edge"]] = True
        return np.flatnonzero(is_shown)

    def packed(self) -> Iterator[bytes]:
        """Every kind's rows as bytes."""
        data, ends = memoryview(self.rows.tobytes()), (self.offsets * ROW.itemsize).tolist()
        return (data[start:end].tobytes() for start, end in pairwise(ends))
