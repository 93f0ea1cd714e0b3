"""Words of kinds as sparse rows: which ones, how rare, and what each face of a label names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from pkgraph.mapping.labels import Face, ShelfLabel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pkgraph.mapping.curated import Words

# A noun that may only describe counts half; words that the category says anyway tell less than half.
DETAIL = 0.5
CONTEXT_WEIGHT = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """One face of every kind.

    Attributes:
        shares: Sparse, shape (n_kinds, n_words). Words of the face; a row sums to 1, or is empty where
            there is no such face. Rare words weigh more, fillers little.
        nouns: Sparse 0/1 of the same shape: words that can be the noun.
        all_nouns: As nouns, with 0.5 for those that may only describe.
    """

    shares: sparse.csr_matrix
    nouns: sparse.csr_matrix
    all_nouns: sparse.csr_matrix


def incidence(rows: Iterable[Words], vocabulary: dict[str, int], n_rows: int) -> sparse.csr_matrix:
    """0/1 rows of known words."""
    pairs = [(row, vocabulary[w]) for row, tokens in enumerate(rows) for w in set(tokens) if w in vocabulary]
    at = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return sparse.csr_matrix((np.ones(len(at)), (at[:, 0], at[:, 1])), shape=(n_rows, len(vocabulary)))


def shares(incidence: sparse.csr_matrix, weights: np.ndarray) -> sparse.csr_matrix:
    weighted = incidence.multiply(weights).tocsr()
    total = np.asarray(weighted.sum(axis=1)).ravel()
    return (
        sparse.diags(np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)).dot(weighted).tocsr()
    )


def rarity(everything: sparse.csr_matrix) -> np.ndarray:
    n_kinds = everything.shape[0]
    count = np.asarray((everything > 0).sum(axis=0)).ravel()
    return np.log((1 + n_kinds) / (1 + count)) / math.log(1 + n_kinds) if n_kinds > 1 else np.ones(len(count))


def stack(
    labels: list[ShelfLabel],
    vocabulary: dict[str, int],
    weights: np.ndarray,
    context: sparse.csr_matrix | None = None,
) -> tuple[Faces, ...]:
    """The faces of every kind; words that its category, the `context`, says anyway tell little."""
    n_faces = max((len(label.faces) for label in labels), default=0)
    none = Face((), ())
    stacked = []
    for f in range(n_faces):
        faces = [label.faces[f] if f < len(label.faces) else none for label in labels]
        tokens = incidence((face.tokens for face in faces), vocabulary, len(labels))
        nouns = incidence((face.nouns for face in faces), vocabulary, len(labels))
        details = incidence((face.details for face in faces), vocabulary, len(labels))
        if context is not None:
            said_anyway = tokens.multiply(context)
            tokens = (tokens - (1 - CONTEXT_WEIGHT) * (said_anyway - said_anyway.multiply(nouns))).tocsr()
        stacked.append(Faces(shares(tokens, weights), nouns, nouns.maximum(details * DETAIL).tocsr()))
    return tuple(stacked)
