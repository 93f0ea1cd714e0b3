"""Answering by the compiled kernel: the same answers as `plain`, some fifty times faster."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from pkgraph.errors import SnapshotDamaged
from pkgraph.kernel import kernel
from pkgraph.recommend.answers import Path, Recommendation, Recommendations
from pkgraph.recommend.picking import Pick
from pkgraph.recommend.plain import Asked, PlainEngine
from pkgraph.recommend.question import WEIGHT_STEPS
from pkgraph.recommend.ranking import Source, Way, score_table
from pkgraph.snapshot.format import MAX_ROW, RELATION_TYPES
from pkgraph.snapshot.layout import to_arrays
from pkgraph.snapshot.paths import SHARED_TYPES

if TYPE_CHECKING:
    from types import ModuleType

    from pkgraph.snapshot.layout import Sections

PICKS, RECORDS, JSON = 0, 1, 2
"""What the kernel may answer with."""


def _names(record: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record))


class CompiledEngine(PlainEngine):
    """Answers from the arrays with the compiled kernel; diversity is left to Python, over its picks."""

    def __init__(self, compiled: ModuleType, sections: Sections, snapshot_id: str) -> None:
        super().__init__(sections, snapshot_id)
        self._graph = compiled.Graph(
            arrays={**to_arrays(sections), "scores": score_table()},
            snapshot_id=snapshot_id,
            relation_types=tuple(str(name) for name in RELATION_TYPES),
            shares_a_purpose=SHARED_TYPES,
            max_row=MAX_ROW,
            item=Recommendation,
            item_fields=_names(Recommendation),
            path=Path,
            path_fields=_names(Path),
            answer=Recommendations,
            answer_fields=(*_names(Recommendations), "_later"),
            damaged=SnapshotDamaged,
        )
        self.simple = self._graph.simple

    def row_of(self, sku: str) -> int:
        return int(self._graph.row_of(sku))

    def picks(self, asked: Asked) -> tuple[list[Pick], tuple[Source, ...], tuple[str, ...]]:
        picks, sources, unknown = self._graph.answer(PICKS, *asked)
        return (
            [Pick(row, kind, weight, tuple(Way(*way) for way in ways)) for row, kind, weight, ways in picks],
            tuple(self._source(asked, node, seed) for node, seed in sources),
            tuple(unknown),
        )

    def _source(self, asked: Asked, node: int, seed: int) -> Source:
        if seed < 0:
            return Source(node, None)
        return Source(node, asked.skus[seed], WEIGHT_STEPS if asked.steps is None else asked.steps[seed])

    def answer(self, asked: Asked, diversity: float) -> Recommendations:
        if diversity:
            return super().answer(asked, diversity)
        answer: Recommendations = self._graph.answer(RECORDS, *asked)
        return answer

    def answer_json(self, asked: Asked, diversity: float) -> bytes:
        if diversity:
            return super().answer_json(asked, diversity)
        answer: bytes = self._graph.answer(JSON, *asked)
        return answer


def engine_for(sections: Sections, snapshot_id: str) -> PlainEngine:
    """The kernel where there is one, else NumPy."""
    compiled = kernel()
    if compiled is None:
        return PlainEngine(sections, snapshot_id)
    return CompiledEngine(compiled, sections, snapshot_id)
