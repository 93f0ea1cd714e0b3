"""What speaks for and against a kind being what a phrase means, as numbers a logistic model weighs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from pkgraph.mapping.candidates import FLAGS
from pkgraph.mapping.curated import curated

if TYPE_CHECKING:
    from pkgraph.mapping.candidates import Readings
    from pkgraph.mapping.index import Faces, KindIndex

NAMES = (
    "covered_by_label",
    "covered",
    "head_in_label",
    "head_in_category",
    "head_missing",
    "noun_agrees",
    "category_noun_agrees",
    "modifiers_missing",
    "label_explained",
    "category_explained",
    "explained_with_noun",
    "foreign_noun",
    "rivals",
    "agreements",
    "character_cosine",
    "token_set",
    "token_sort",
    "log_skus",
    "home_share",
    "in_context",
    *FLAGS,
    "covered_and_explained",
    "covered_with_noun",
)


def _dot(left: sparse.csr_matrix, right: sparse.csr_matrix) -> np.ndarray:
    """Row by row inner products."""
    return np.asarray(left.multiply(right).sum(axis=1)).ravel()


@dataclass(frozen=True, slots=True, eq=False)
class _FaceFeatures:
    """How well a reading explains the best face of each kind; float64 of shape (n_pairs,) each, 0-1."""

    explained: np.ndarray
    noun_agrees: np.ndarray
    explained_with_noun: np.ndarray
    foreign_noun: np.ndarray


def _face_features(
    faces: tuple[Faces, ...], said: sparse.csr_matrix, heads: sparse.csr_matrix, kind: np.ndarray
) -> _FaceFeatures:
    explained = np.zeros(len(kind))
    agrees, both, foreign = explained.copy(), explained.copy(), explained.copy()
    for face in faces:
        share = _dot(face.shares[kind], said)
        nouns = face.nouns[kind]
        noun = (_dot(heads, nouns) > 0).astype(np.float64)
        unasked = ((_dot(said, nouns) == 0) & (nouns.getnnz(axis=1) > 0)).astype(np.float64)
        foreign = np.where(share > explained, unasked, foreign)
        explained = np.maximum(explained, share)
        agrees = np.maximum(agrees, noun)
        both = np.maximum(both, share * noun)
    return _FaceFeatures(explained, agrees, both, foreign)


def _rivalry(
    readings: Readings, index: KindIndex, at: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Groups of rival words in which the two differ, and in which they agree."""
    groups = curated(index.own_synonyms).rivals
    cells = [
        (index.vocabulary[w], g) for g, group in enumerate(groups) for w in group if w in index.vocabulary
    ]
    if not cells:
        return np.zeros(len(at)), np.zeros(len(at))
    columns = np.array([c for c, _ in cells])
    to_group = sparse.csr_matrix(
        (np.ones(len(cells)), (np.arange(len(cells)), [g for _, g in cells])), shape=(len(cells), len(groups))
    )
    said = readings.tokens[:, columns]
    held = index.everything[:, columns]
    shared = (said[at].multiply(held[kind]) @ to_group) > 0
    both = ((said @ to_group) > 0)[at].multiply(((held @ to_group) > 0)[kind])
    agree = np.asarray(shared.sum(axis=1)).ravel().astype(np.float64)
    return np.asarray(both.sum(axis=1)).ravel().astype(np.float64) - agree, agree


def _similarities(
    readings: Readings, index: KindIndex, at: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    from rapidfuzz import fuzz, process

    said = [readings.texts[i] for i in at.tolist()]
    held = [index.texts[i] for i in kind.tolist()]
    score_set = process.cpdist(said, held, scorer=fuzz.token_set_ratio, workers=1)
    score_sort = process.cpdist(said, held, scorer=fuzz.token_sort_ratio, workers=1)
    return score_set.astype(np.float64) / 100, score_sort.astype(np.float64) / 100


def pair_features(readings: Readings, index: KindIndex, at: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Features of pairs (reading, kind).

    Args:
        at: int64 of shape (n_pairs,). Row of the reading.
        kind: int64 of shape (n_pairs,). Row of the kind.

    Returns:
        float64 of shape (n_pairs, len(NAMES)), all but log_skus, rivals and agreements within 0-1.
    """
    said, heads = readings.tokens[at], readings.heads[at]
    labels, everything = index.labels[kind], index.everything[kind]
    covered_label, covered = _dot(readings.shares[at], labels), _dot(readings.shares[at], everything)
    head_label, head_any = _dot(heads, labels), _dot(heads, everything)
    missing = readings.modifier_share[at] - _dot(readings.modifiers[at], everything)
    label = _face_features(index.label_faces, said, heads, kind)
    category = _face_features(index.category_faces, said, heads, kind)
    rivals, agreements = _rivalry(readings, index, at, kind)
    token_set, token_sort = _similarities(readings, index, at, kind)
    columns = (
        covered_label,
        covered,
        head_label,
        head_any - head_label,
        1 - head_any,
        label.noun_agrees,
        category.noun_agrees,
        missing,
        label.explained,
        category.explained,
        label.explained_with_noun,
        label.foreign_noun,
        rivals,
        agreements,
        _dot(readings.characters[at], index.characters[kind]),
        token_set,
        token_sort,
        index.log_skus[kind],
        index.home_share[kind],
        index.in_context[kind],
        *readings.flags[at].T,
        covered * label.explained,
        covered * np.maximum(label.noun_agrees, category.noun_agrees),
    )
    return np.column_stack(columns)
