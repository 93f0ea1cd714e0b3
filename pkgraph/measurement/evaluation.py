"""Recommenders answer the same questions; the table says how well, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pkgraph.measurement.cases import Case, Cases
from pkgraph.measurement.metrics import hit_rate, ndcg, recall
from pkgraph.tables import OFFLINE_METRICS

CUT_OFFS = (5, 10, 20)
"""Lengths of the list looked at, the k of every metric."""

# Counts of pairs tell little there: 65 % of the demo shop's kinds, 2 % of what is bought.
COLD_BASKETS = 50

_METRICS: dict[str, Callable[[Sequence[str], Collection[str], int], float]] = {
    "hit_rate": hit_rate,
    "recall": recall,  # equals hit_rate while one kind is taken out
    "ndcg": ndcg,
}
_RESAMPLES = 1_000
_INTERVAL = (2.5, 97.5)


class Recommender(Protocol):
    """The one thing measured."""

    def recommend(self, seed_kind_ids: Sequence[str], k: int) -> Sequence[str]:
        """At most k kinds, best first."""
        ...


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What tells slices apart.

    Attributes:
        n_training_baskets: Kind to training baskets that hold it; absent is none.
        distilled: Kinds that a language model was asked about.
    """

    n_training_baskets: Mapping[str, int]
    distilled: frozenset[str]

    def is_cold(self, kind: str) -> bool:
        return self.n_training_baskets.get(kind, 0) < COLD_BASKETS


SLICES: dict[str, tuple[str, Callable[[Case, Knowledge], bool]]] = {
    "all": ("Every held-out basket.", lambda _case, _known: True),
    "cold_target": (
        "The kind taken out is in fewer than 50 training baskets.",
        lambda case, known: known.is_cold(case.target),
    ),
    "cold_seeds": (
        "Every kind that asks is in fewer than 50 training baskets.",
        lambda case, known: all(known.is_cold(seed) for seed in case.seeds),
    ),
    "distilled_seed": (
        "At least one kind that asks was distilled.",
        lambda case, known: not known.distilled.isdisjoint(case.seeds),
    ),
    "distilled_seed_and_target": (
        "The kind taken out and at least one that asks were distilled.",
        lambda case, known: case.target in known.distilled and not known.distilled.isdisjoint(case.seeds),
    ),
}
"""Slice -> (sentence, which cases)."""


def _answer(recommender: Recommender, case: Case) -> list[str]:
    """The first distinct kinds that are no seed: repeating the question is no answer."""
    asked = max(CUT_OFFS)
    found = recommender.recommend(case.seeds, asked)[:asked]
    return [kind for kind in dict.fromkeys(found) if kind not in case.seeds]


def _intervals(scores: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap over the cases: lower and upper ends, one for each column of the scores.

    Every column and every recommender sees the same resamples.
    """
    n = len(scores)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES)
    low, high = np.percentile(drawn @ scores / n, _INTERVAL, axis=0)
    return low, high


def _scored(answers: Sequence[Sequence[str]], cases: Sequence[Case]) -> dict[tuple[str, int], list[float]]:
    """(metric, k) to a score for each case."""
    pairs = list(zip(answers, cases, strict=True))
    scores = {
        (name, k): [metric(answer, (case.target,), k) for answer, case in pairs]
        for name, metric in _METRICS.items()
        for k in CUT_OFFS
    }
    return scores | {("answered", k): [float(bool(answer)) for answer in answers] for k in CUT_OFFS}


def _rows(
    answers: Sequence[Sequence[str]], cases: Sequence[Case], n_kinds: int, seed: int
) -> list[dict[str, object]]:
    """Every metric of one slice; a slice without cases has no rows."""
    if not cases:
        return []
    scored = _scored(answers, cases)
    scores = np.array(list(scored.values()), dtype=np.float64).T
    # Rounded, so that the order of a sum in threads never shows.
    ends = (_rounded(end) for end in _intervals(scores, seed))
    columns = zip(scored, _rounded(scores.mean(axis=0)), *ends, strict=True)
    rows: list[dict[str, object]] = [
        {"metric": metric, "k": k, "value": value, "low": low, "high": high}
        for (metric, k), value, low, high in columns
    ]
    for k in CUT_OFFS:
        shown = {kind for answer in answers for kind in answer[:k]}
        rows.append({"metric": "coverage", "k": k, "value": min(len(shown) / n_kinds, 1.0)})
    return rows


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 9) for value in values]


def measure(
    recommenders: Mapping[str, Recommender],
    cases: Cases,
    *,
    n_kinds: int,
    distilled: Collection[str] = (),
    seed: int = 0,
) -> pl.DataFrame:
    """Table `offline_metrics`: every recommender on every slice that has cases.

    Args:
        recommenders: Name -> recommender.
        cases: The questions, see `completion_cases`.
        n_kinds: Kinds of the catalog, of which coverage is a share.
        distilled: Kinds that a language model was asked about.
        seed: Of the bootstrap.
    """
    known = Knowledge(cases.n_training_baskets, frozenset(distilled))
    rows: list[dict[str, object]] = []
    for name, recommender in recommenders.items():
        answers = [_answer(recommender, case) for case in cases.cases]
        for slice_name, (_, belongs) in SLICES.items():
            inside = [place for place, case in enumerate(cases.cases) if belongs(case, known)]
            of_slice = [cases.cases[place] for place in inside]
            measured = _rows([answers[place] for place in inside], of_slice, n_kinds, seed)
            labels = {"recommender": name, "slice": slice_name, "n_cases": len(inside)}
            rows += [{**labels, **row} for row in measured]
    return OFFLINE_METRICS.conform(pl.DataFrame(rows, schema=OFFLINE_METRICS.schema))
