"""Readings of phrases meet the kinds that share words or character n-grams with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from pkgraph.mapping.curated import curated
from pkgraph.mapping.phrases import Reading, readings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkgraph.mapping.index import KindIndex

SOFT_WEIGHT = 0.25
BLOCK_ROWS = 256  # 256 rows against 100 000 kinds keep a block's product below some 100 MB
BY_WORDS = 48
BY_CHARACTERS = 6
MIN_CHARACTER_COSINE = 0.2
FLAGS = ("is_rewritten", "is_whole", "is_overruled", "is_part", "is_shortened")
# A word that no label has: as a noun as heavy as a rare one, as a modifier it rarely makes another product.
UNKNOWN_NOUN = 0.8
UNKNOWN_MODIFIER = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """All readings of all phrases as sparse rows.

    Attributes:
        phrase: int64 of shape (n_readings,). Position of the phrase.
        tokens: Sparse 0/1 of shape (n_readings, n_words): words that some kind has.
        said: The same for the words before a synonym was taken and after.
        shares: The words weighted; a row sums to 1 less the share of words that no kind has.
        heads: Sparse: the nouns; a row sums to at most 1.
        characters: TF-IDF rows over the index's character n-grams.
        flags: float64 of shape (n_readings, len(FLAGS)).
        texts: The readings as text.
    """

    phrase: np.ndarray
    tokens: sparse.csr_matrix
    said: sparse.csr_matrix
    shares: sparse.csr_matrix
    heads: sparse.csr_matrix
    characters: sparse.csr_matrix
    flags: np.ndarray
    texts: tuple[str, ...]


def _token_weights(reading: Reading, index: KindIndex, soft: frozenset[str]) -> dict[str, float]:
    weights = {}
    for token in reading.tokens:
        column = index.vocabulary.get(token)
        if column is None:
            weight = UNKNOWN_NOUN if token in reading.heads else UNKNOWN_MODIFIER
        else:
            weight = max(float(index.weights[column]), 0.1)
        weights[token] = weight * (SOFT_WEIGHT if token in soft and token not in reading.heads else 1.0)
    return weights


def _rows(rows: Sequence[dict[str, float]], index: KindIndex) -> sparse.csr_matrix:
    data, columns, starts = [], [], [0]
    for row in rows:
        known = sorted((index.vocabulary[w], value) for w, value in row.items() if w in index.vocabulary)
        columns += [column for column, _ in known]
        data += [value for _, value in known]
        starts.append(len(columns))
    shape = (len(rows), len(index.vocabulary))
    return sparse.csr_matrix(
        (np.array(data, dtype=np.float64), np.array(columns, dtype=np.int64), starts), shape=shape
    )


def read_phrases(phrases: Sequence[str], index: KindIndex) -> Readings | None:
    """All readings of all phrases; None where no phrase holds a word."""
    known = curated(index.own_synonyms)
    found = [(at, r) for at, phrase in enumerate(phrases) for r in readings(phrase, known)]
    if not found:
        return None
    weights = [_token_weights(r, index, known.soft) for _, r in found]
    totals = [sum(row.values()) for row in weights]
    shares = [{t: w / total for t, w in row.items()} for row, total in zip(weights, totals, strict=True)]
    heads = [r.heads for _, r in found]
    texts = tuple(" ".join(r.tokens) for _, r in found)
    return Readings(
        phrase=np.array([at for at, _ in found]),
        tokens=_rows([dict.fromkeys(r.tokens, 1.0) for _, r in found], index),
        said=_rows([dict.fromkeys(r.said, 1.0) for _, r in found], index),
        shares=_rows(shares, index),
        heads=_rows([dict.fromkeys(h, 1.0 / len(h)) for h in heads], index),
        characters=index.vectorizer.transform(texts).tocsr(),
        flags=np.array([[getattr(r, name) for name in FLAGS] for _, r in found], dtype=np.float64),
        texts=texts,
    )


def _best(block: sparse.csr_matrix, bonus: np.ndarray, n: int, floor: float) -> list[np.ndarray]:
    """Columns of the n largest entries of each row above the floor; the bonus decides between equals."""
    best = []
    for row in range(block.shape[0]):
        columns = block.indices[block.indptr[row] : block.indptr[row + 1]]
        values = block.data[block.indptr[row] : block.indptr[row + 1]]
        keep = values > floor
        columns, values = columns[keep], values[keep] + bonus[columns[keep]]
        order = np.lexsort((columns, -values))[:n]
        best.append(columns[order])
    return best


def pairs(readings_: Readings, index: KindIndex) -> tuple[np.ndarray, np.ndarray]:
    """Candidate pairs (reading, kind), sorted, none twice.

    The product of a block of readings with all kinds is sparse; a dense one never exists.
    """
    bonus = 0.01 * index.log_skus / max(float(index.log_skus.max()), 1.0)
    wanted = (readings_.shares + readings_.heads * 0.5).tocsr()
    kinds = (index.everything + index.labels + index.label_faces[0].shares).T.tocsr()
    grams = index.characters.T.tocsr()
    rows, columns = [], []
    for start in range(0, wanted.shape[0], BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        by_words = _best((wanted[block] @ kinds).tocsr(), bonus, BY_WORDS, 0.0)
        by_grams = _best(
            (readings_.characters[block] @ grams).tocsr(), bonus, BY_CHARACTERS, MIN_CHARACTER_COSINE
        )
        for at, (one, other) in enumerate(zip(by_words, by_grams, strict=True)):
            both = np.union1d(one, other)
            rows.append(np.full(len(both), start + at))
            columns.append(both)
    return np.concatenate(rows).astype(np.int64), np.concatenate(columns).astype(np.int64)
