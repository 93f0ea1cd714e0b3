"""Answering in plain NumPy: where there is no compiled kernel, and as the oracle of its tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pkgraph.recommend.answers import Recommendations
from pkgraph.recommend.diversity import POOL, diverse
from pkgraph.recommend.explaining import as_json, explained
from pkgraph.recommend.picking import Pick, picks_of
from pkgraph.recommend.question import MAX_K, WEIGHT_STEPS, Asked, Question, Simple
from pkgraph.recommend.ranking import Source
from pkgraph.snapshot.slots import row_of

if TYPE_CHECKING:
    from pkgraph.snapshot.layout import Sections


def _asked_in_full(how: int, skus: Sequence[str], k: int) -> None:  # noqa: ARG001 - a Simple
    return None


def sources_of(s: Sections, asked: Asked) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Where paths start, and the seeds that the snapshot does not know.

    Two seeds of one kind say no more than one: the heavier counts, the first of equals.
    """
    by_kind: dict[int, Source] = {}
    unknown: dict[str, None] = {}
    for place, sku in enumerate(asked.skus):
        row = row_of(s, sku)
        if row < 0:
            unknown[sku] = None
            continue
        steps = WEIGHT_STEPS if asked.steps is None else asked.steps[place]
        kind = int(s.sku_kind[row])
        if kind not in by_kind or by_kind[kind].steps < steps:
            by_kind[kind] = Source(kind, sku, steps)
    rationales = tuple(Source(len(s.kind_ids) + row, None) for row in asked.rationales)
    return tuple(by_kind[kind] for kind in sorted(by_kind)) + rationales, tuple(unknown)


Picked = tuple[list[Pick], tuple[Source, ...], tuple[str, ...]]
"""The chosen products, the sources that their ways name, and the unknown seeds."""


def answer_from(
    s: Sections, snapshot_id: str, picks_of: Callable[[Asked], Picked], asked: Asked, diversity: float
) -> Recommendations:
    """The answer in full, from the products that an engine picks."""
    pool = min(MAX_K, POOL * asked.k) if diversity else asked.k
    picks, sources, unknown = picks_of(asked._replace(k=pool))
    if diversity:
        picks = diverse(s, picks, asked.k, diversity)
    return Recommendations(
        items=tuple(explained(s, sources, pick) for pick in picks),
        unknown_skus=unknown,
        rationales=tuple(s.rationale_texts[row] for row in asked.rationales),
        snapshot_id=snapshot_id,
    )


class PlainEngine:
    """Answers from the arrays with NumPy."""

    def __init__(self, sections: Sections, snapshot_id: str) -> None:
        self._sections = sections
        self._snapshot_id = snapshot_id
        self.simple: Simple = _asked_in_full

    def row_of(self, sku: str) -> int:
        return row_of(self._sections, sku)

    def picks(self, asked: Asked) -> Picked:
        sources, unknown = sources_of(self._sections, asked)
        question = Question(
            k=asked.k,
            sources=sources,
            hidden=frozenset(asked.skus).union(asked.exclude),
            types=asked.types,
            min_probability=asked.min_probability,
            categories=asked.categories,
            prices=asked.prices,
            available=asked.available,
            max_per_kind=asked.max_per_kind,
            max_per_phrase=asked.max_per_phrase,
            include_seed_kinds=asked.include_seed_kinds,
        )
        return picks_of(self._sections, question), sources, unknown

    def answer(self, asked: Asked, diversity: float) -> Recommendations:
        return answer_from(self._sections, self._snapshot_id, self.picks, asked, diversity)

    def answer_json(self, asked: Asked, diversity: float) -> bytes:
        return as_json(self.answer(asked, diversity))
