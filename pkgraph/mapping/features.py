"""What speaks for and against a kind being what a phrase means, as numbers a logistic model weighs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rapidfuzz import fuzz, process
from scipy import sparse

from pkgraph.mapping.candidates import FLAGS
from pkgraph.mapping.curated import curated

if TYPE_CHECKING:
    from pkgraph.mapping.candidates import Readings
    from pkgraph.mapping.index import KindIndex
    from pkgraph.mapping.matrices import Faces

# What may speak for a match (+1), against it (-1), or either way (0). The signs bound the coefficients, so
# that a few hundred labels cannot teach the model that a missing noun is a good sign.
SIGNS: dict[str, int] = {
    "covered_by_label": 1,
    "covered": 1,
    "fully_covered": 1,
    "head_in_label": 1,
    "category_noun_agrees": 1,
    "label_explained": 1,
    "category_explained": 1,
    "foreign_and_unexplained": -1,
    "foreign_and_head_in_category": -1,
    "rewritten_and_uncovered": -1,
    "changed": -1,
    "rivals": -1,
    "agreements": 1,
    "character_cosine": 1,
    "token_set": 1,
    "token_sort": 1,
    "is_rewritten": 0,
    "is_overruled": -1,
    "is_part": -1,
    "is_shortened": -1,
    "overruled_and_unexplained": -1,
    "covered_and_explained": 1,
    "covered_with_noun": 1,
    "fully_covered_with_noun": 1,
}
NAMES = tuple(SIGNS)
NEARLY_ALL = 0.97


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
        noun = _largest(heads, face.all_nouns[kind])
        unasked = ((_dot(said, nouns) == 0) & (nouns.getnnz(axis=1) > 0)).astype(np.float64)
        foreign = np.where(share > explained, unasked, foreign)
        explained = np.maximum(explained, share)
        agrees = np.maximum(agrees, noun)
        both = np.maximum(both, share * noun)
    return _FaceFeatures(explained, agrees, both, foreign)


def _largest(heads: sparse.csr_matrix, nouns: sparse.csr_matrix) -> np.ndarray:
    """Row by row the largest weight among the nouns that are heads."""
    return np.asarray((heads > 0).multiply(nouns).max(axis=1).todense(), dtype=np.float64).ravel()


def _changed(readings: Readings, index: KindIndex, at: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """1 where the label has a word that makes another product and that nobody said."""
    changing = curated(index.own_synonyms).changing
    columns = [index.vocabulary[word] for word in sorted(changing) if word in index.vocabulary]
    held, said = index.labels[:, columns][kind], readings.said[:, columns][at]
    return (np.asarray((held - held.multiply(said)).sum(axis=1)).ravel() > 0).astype(np.float64)


def _rivalry(
    readings: Readings, index: KindIndex, at: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Groups of rival words in which the two differ, and in which they agree."""
    negated = [(w[3:], w) for w in index.vocabulary if w.startswith("non") and w[3:] in index.vocabulary]
    groups = (*curated(index.own_synonyms).rivals, *negated)
    cells = [
        (index.vocabulary[w], g) for g, group in enumerate(groups) for w in group if w in index.vocabulary
    ]
    if not cells:
        return np.zeros(len(at)), np.zeros(len(at))
    columns = np.array([c for c, _ in cells])
    group = np.array([g for _, g in cells])
    to_group = sparse.csr_matrix(
        (np.ones(len(cells)), (np.arange(len(cells)), group)), shape=(len(cells), len(groups))
    )
    said = readings.said[:, columns]
    # What the label says of a group counts before what its category says: NON-CARB in CARBONATED WATER.
    label, rest = index.labels[:, columns], index.categories[:, columns]
    spoken = ((label @ to_group) > 0)[:, group]
    held = label.maximum(rest - rest.multiply(spoken)).tocsr()
    shared = (said[at].multiply(held[kind]) @ to_group) > 0
    both = ((said @ to_group) > 0)[at].multiply(((held @ to_group) > 0)[kind])
    agree = np.asarray(shared.sum(axis=1)).ravel().astype(np.float64)
    return np.asarray(both.sum(axis=1)).ravel().astype(np.float64) - agree, agree


def _similarities(
    readings: Readings, index: KindIndex, at: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    said = [readings.texts[i] for i in at.tolist()]
    held = [index.texts[i] for i in kind.tolist()]
    score_set = process.cpdist(said, held, scorer=fuzz.token_set_ratio, workers=1)
    score_sort = process.cpdist(said, held, scorer=fuzz.token_sort_ratio, workers=1)
    return score_set.astype(np.float64) / 100, score_sort.astype(np.float64) / 100


def pair_features(readings: Readings, index: KindIndex, at: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Features of pairs (reading, kind).

    Args:
        readings: The phrases as read.
        index: The fitted kinds.
        at: int64 of shape (n_pairs,). Row of the reading.
        kind: int64 of shape (n_pairs,). Row of the kind.

    Returns:
        float64 of shape (n_pairs, len(NAMES)), all but rivals and agreements within 0-1.
    """
    said, heads = readings.tokens[at], readings.heads[at]
    labels, everything = index.labels[kind], index.everything[kind]
    covered_label, covered = _dot(readings.shares[at], labels), _dot(readings.shares[at], everything)
    head_label, head_any = _dot(heads, labels), _dot(heads, everything)
    label = _face_features(index.label_faces, said, heads, kind)
    category = _face_features(index.category_faces, said, heads, kind)
    rivals, agreements = _rivalry(readings, index, at, kind)
    token_set, token_sort = _similarities(readings, index, at, kind)
    noun = np.maximum(label.noun_agrees, category.noun_agrees)
    full = (covered >= NEARLY_ALL).astype(np.float64)
    flags = dict(zip(FLAGS, readings.flags[at].T, strict=True))
    columns = {
        "covered_by_label": covered_label,
        "covered": covered,
        "fully_covered": full,
        "head_in_label": head_label,
        "category_noun_agrees": category.noun_agrees,
        "label_explained": label.explained,
        "category_explained": category.explained,
        "foreign_and_unexplained": label.foreign_noun * (1 - label.explained),
        "foreign_and_head_in_category": label.foreign_noun * (head_any - head_label),
        "rewritten_and_uncovered": flags["is_rewritten"] * (1 - covered),
        "changed": _changed(readings, index, at, kind),
        "rivals": rivals,
        "agreements": agreements,
        "character_cosine": _dot(readings.characters[at], index.characters[kind]),
        "token_set": token_set,
        "token_sort": token_sort,
        **{name: flag for name, flag in flags.items() if name in SIGNS},
        "overruled_and_unexplained": flags["is_overruled"] * (1 - label.explained_with_noun),
        "covered_and_explained": covered * label.explained,
        "covered_with_noun": covered * noun,
        "fully_covered_with_noun": full * noun,
    }
    return np.column_stack([columns[name] for name in NAMES])
