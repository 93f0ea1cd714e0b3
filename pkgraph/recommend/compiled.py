"""Answering by the compiled kernel: the same answers as `plain`, some fifty times faster, without NumPy."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from pkgraph.errors import SnapshotDamaged
from pkgraph.kernel import kernel
from pkgraph.recommend.answers import Path, Recommendation, Recommendations
from pkgraph.recommend.question import N_SCORES, WEIGHT_STEPS, Asked, Simple
from pkgraph.snapshot.format import MAX_ROW, RELATION_TYPES, SHARED_TYPES, WEIGHT_SCALE

if TYPE_CHECKING:
    from types import ModuleType

    from pkgraph.recommend.plain import Picked, PlainEngine
    from pkgraph.snapshot import Snapshot

PICKS, RECORDS, JSON = 0, 1, 2
"""What the kernel may answer with."""


def _names(record: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record))


class CompiledEngine:
    """Answers from the mapped arrays with the kernel; diversity is left to Python, over its picks."""

    def __init__(self, compiled: ModuleType, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        scores = memoryview(compiled.score_table(N_SCORES, WEIGHT_SCALE)).cast("I")
        self._graph = compiled.Graph(
            arrays={**snapshot.buffers, "scores": scores},
            snapshot_id=snapshot.snapshot_id,
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
        self.simple: Simple = self._graph.simple

    def row_of(self, sku: str) -> int:
        return int(self._graph.row_of(sku))

    def picks(self, asked: Asked) -> Picked:
        from pkgraph.recommend.picking import Pick
        from pkgraph.recommend.ranking import Source, Way

        picks, sources, unknown = self._graph.answer(PICKS, *asked)
        steps = (WEIGHT_STEPS,) * len(asked.skus) if asked.steps is None else asked.steps
        return (
            [Pick(row, kind, weight, tuple(Way(*way) for way in ways)) for row, kind, weight, ways in picks],
            tuple(
                Source(node, None) if seed < 0 else Source(node, asked.skus[seed], steps[seed])
                for node, seed in sources
            ),
            tuple(unknown),
        )

    def answer(self, asked: Asked, diversity: float) -> Recommendations:
        if diversity:
            from pkgraph.recommend.plain import answer_from

            snapshot = self._snapshot
            return answer_from(snapshot.sections, snapshot.snapshot_id, self.picks, asked, diversity)
        answer: Recommendations = self._graph.answer(RECORDS, *asked)
        return answer

    def answer_json(self, asked: Asked, diversity: float) -> bytes:
        if diversity:
            from pkgraph.recommend.explaining import as_json

            return as_json(self.answer(asked, diversity))
        answer: bytes = self._graph.answer(JSON, *asked)
        return answer


def engine_for(snapshot: Snapshot) -> CompiledEngine | PlainEngine:
    """The kernel where there is one, else NumPy."""
    compiled = kernel()
    if compiled is not None:
        return CompiledEngine(compiled, snapshot)
    from pkgraph.recommend.plain import PlainEngine

    return PlainEngine(snapshot.sections, snapshot.snapshot_id)
