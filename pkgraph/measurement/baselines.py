"""What a graph has to beat: best sellers, bought together, and similar words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pkgraph.baskets import BasketMatrix
from pkgraph.measurement.evaluation import Recommender

# Exponent of the candidate's own popularity: 0 is the conditional probability, 1 is lift.
# Chosen on 5 000 baskets each of October and November of the demo shop, learned from before: hit@10 is flat
# from 0.3 to 0.5 (0.200, 0.204, 0.202 in October); on 2 000 of November 0 gives 0.166 and 0.75 gives 0.090.
DAMPING = 0.4


def _best(scores: NDArray[np.float64], seeds: Sequence[int], kind_ids: Sequence[str], k: int) -> list[str]:
    """Kinds of the k highest scores above zero, seeds left out; equal scores in order of the id."""
    scores = scores.copy()
    scores[list(seeds)] = 0
    order = np.argsort(-scores, kind="stable")[:k]
    return [kind_ids[place] for place in order if scores[place] > 0]


def baselines(training: BasketMatrix, kinds: pl.DataFrame) -> dict[str, Recommender]:
    """All baselines by name, to be measured beside the graph.

    Args:
        training: Baskets before the cut-off.
        kinds: Table `kinds`.
    """
    return {
        "co_purchase": CoPurchase(training),
        "popularity": Popularity(training),
        "text_similarity": TextSimilarity(kinds),
    }


class Popularity:
    """The kinds that most training baskets hold, whatever the seeds."""

    def __init__(self, training: BasketMatrix) -> None:
        self._kind_ids = training.kind_ids
        self._places = {kind: place for place, kind in enumerate(training.kind_ids)}
        self._counts = training.counts.astype(np.float64)

    def recommend(self, seed_kind_ids: Sequence[str], k: int) -> Sequence[str]:
        seeds = [self._places[kind] for kind in seed_kind_ids if kind in self._places]
        return _best(self._counts, seeds, self._kind_ids, k)


class CoPurchase:
    """Kinds bought together with the seeds: the sum over seeds of P(kind | seed) / P(kind) ** damping."""

    def __init__(self, training: BasketMatrix, damping: float = DAMPING) -> None:
        self._kind_ids = training.kind_ids
        self._places = {kind: place for place, kind in enumerate(training.kind_ids)}
        self._counts = np.maximum(training.counts, 1).astype(np.float64)
        self._both = (training.held.T @ training.held).tocsr()
        self._discount = (self._counts / max(training.n_baskets, 1)) ** damping

    def recommend(self, seed_kind_ids: Sequence[str], k: int) -> Sequence[str]:
        seeds = [self._places[kind] for kind in seed_kind_ids if kind in self._places]
        if not seeds:
            return []
        both = np.asarray(self._both[seeds].T @ (1 / self._counts[seeds]), dtype=np.float64)
        return _best(both.ravel() / self._discount, seeds, self._kind_ids, k)


class TextSimilarity:
    """Kinds whose words are most like those of the seeds: cosine of TF-IDF over words and their pieces."""

    def __init__(self, kinds: pl.DataFrame) -> None:
        """Learn the words of all kinds.

        Args:
            kinds: Table `kinds`.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415  (sklearn costs a second)

        kinds = kinds.sort("kind_id")
        self._kind_ids = tuple(kinds["kind_id"])
        self._places = {kind: place for place, kind in enumerate(self._kind_ids)}
        titles = (kinds["kind"] + " " + kinds["category"]).to_list()
        self._words = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), dtype=np.float64).fit_transform(
            titles
        )

    def recommend(self, seed_kind_ids: Sequence[str], k: int) -> Sequence[str]:
        seeds = [self._places[kind] for kind in seed_kind_ids if kind in self._places]
        if not seeds:
            return []
        likeness = np.asarray((self._words @ self._words[seeds].T).sum(axis=1), dtype=np.float64)
        return _best(likeness.ravel(), seeds, self._kind_ids, k)
