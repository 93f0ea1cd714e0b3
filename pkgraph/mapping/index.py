"""The fitted index: every kind of the shop as words, weights and sparse rows."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy import sparse

from pkgraph.errors import CatalogError
from pkgraph.mapping.curated import Curated, Words, curated
from pkgraph.mapping.labels import Face, ShelfLabel, expand, read_label
from pkgraph.mapping.learned import learn_expansions
from pkgraph.mapping.words import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

VERSION = "1"
KIND_COLUMNS = {
    "kind_id": pl.String,
    "kind": pl.String,
    "category": pl.String,
    "department": pl.String,
    "n_skus": pl.Int64,
    "popularity": pl.Float64,
}
FILLER_WEIGHT = 0.15
QUALITY_WEIGHT = 0.5
DETAIL = 0.5
CHARACTERS = (3, 5)
MAX_CHARACTER_FEATURES = 60_000


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """One face of every kind.

    Attributes:
        shares: Sparse, shape (n_kinds, n_words). Words of the face; a row sums to 1, or is empty where there is
            no such face. Rare words weigh more, fillers little.
        nouns: Sparse 0/1 of the same shape: words that can be the noun.
        all_nouns: As nouns, with 0.5 for those that may only describe.
    """

    shares: sparse.csr_matrix
    nouns: sparse.csr_matrix
    all_nouns: sparse.csr_matrix


@dataclass(frozen=True, slots=True, eq=False)
class KindIndex:
    """Kinds of the whole catalog, ready to be matched.

    Attributes:
        kinds: One row a kind, sorted by kind_id; its row number is the kind's row in every matrix.
        own_synonyms: The shop's own synonym lines.
        fingerprint: Changes with the kinds, the curated words, the calibration and the code version.
        vocabulary: Word to column.
        weights: float64 of shape (n_words,). Rarity of a word among kinds, share 0-1.
        labels: Sparse 0/1 of shape (n_kinds, n_words): words of the label.
        everything: The same for label and category together.
        categories: The same for the category alone.
        label_faces: What labels name; entry f holds the f-th face of every kind.
        category_faces: The same for categories.
        characters: float32 of shape (n_kinds, n_grams): TF-IDF of character n-grams, rows of length 1.
        vectorizer: Makes the same n-grams of other texts.
        texts: The expanded label of every kind.
        log_skus: float64 of shape (n_kinds,). Natural logarithm of 1 + SKUs.
        home_share: float64 of shape (n_kinds,). Share of all SKUs with this label that stand in this category.
        in_context: float64 of shape (n_kinds,). Share of the category's SKUs that have this label.
    """

    kinds: pl.DataFrame
    own_synonyms: tuple[str, ...]
    fingerprint: str
    vocabulary: dict[str, int]
    weights: np.ndarray
    labels: sparse.csr_matrix
    everything: sparse.csr_matrix
    categories: sparse.csr_matrix
    label_faces: tuple[Faces, ...]
    category_faces: tuple[Faces, ...]
    characters: sparse.csr_matrix
    vectorizer: Any
    texts: tuple[str, ...]
    log_skus: np.ndarray
    home_share: np.ndarray
    in_context: np.ndarray

    @classmethod
    def fit(cls, kinds: pl.DataFrame, *, own_synonyms: Sequence[str] = ()) -> KindIndex:
        """The index of these kinds.

        Args:
            kinds: Columns kind_id, kind, category, department (may be null), n_skus, popularity.
            own_synonyms: Lines of a shop's own, as `read_synonyms` gives them.

        Raises:
            CatalogError: A column is missing, or there is no kind. Nothing was fitted.
        """
        frame = _checked(kinds)
        return _fit(frame, tuple(own_synonyms))

    def save(self, path: Path) -> None:
        """Write what fitting needs; fitting is quicker than reading matrices and cannot go out of date."""
        document = {
            "format": 1,
            "own_synonyms": list(self.own_synonyms),
            "kinds": self.kinds.to_dict(as_series=False),
        }
        path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> KindIndex:
        """The index that was saved.

        Raises:
            CatalogError: The file is missing or is no index.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            kinds = pl.DataFrame(document["kinds"], schema=KIND_COLUMNS)
            own = tuple(str(line) for line in document["own_synonyms"])
        except (OSError, ValueError, TypeError, KeyError, pl.exceptions.PolarsError) as error:
            raise CatalogError(
                f"{path} holds no index of kinds.", remedy="Materialize `kind_index` again."
            ) from error
        return cls.fit(kinds, own_synonyms=own)


def _checked(kinds: pl.DataFrame) -> pl.DataFrame:
    missing = sorted(KIND_COLUMNS.keys() - set(kinds.columns))
    if missing:
        raise CatalogError(f"The kinds lack the columns {', '.join(missing)}.")
    if kinds.is_empty():
        raise CatalogError("There is no kind to map to.", remedy="Read the catalog first.")
    frame = kinds.select(pl.col(name).cast(dtype) for name, dtype in KIND_COLUMNS.items())
    return frame.unique("kind_id", keep="first", maintain_order=True).sort("kind_id")


def _incidence(rows: Iterable[Words], vocabulary: dict[str, int], n_rows: int) -> sparse.csr_matrix:
    """0/1 rows of known words."""
    pairs = [(row, vocabulary[w]) for row, tokens in enumerate(rows) for w in set(tokens) if w in vocabulary]
    at = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return sparse.csr_matrix((np.ones(len(at)), (at[:, 0], at[:, 1])), shape=(n_rows, len(vocabulary)))


def _shares(incidence: sparse.csr_matrix, weights: np.ndarray) -> sparse.csr_matrix:
    weighted = incidence.multiply(weights).tocsr()
    total = np.asarray(weighted.sum(axis=1)).ravel()
    return (
        sparse.diags(np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)).dot(weighted).tocsr()
    )


def _rarity(everything: sparse.csr_matrix) -> np.ndarray:
    n_kinds = everything.shape[0]
    count = np.asarray((everything > 0).sum(axis=0)).ravel()
    return np.log((1 + n_kinds) / (1 + count)) / math.log(1 + n_kinds) if n_kinds > 1 else np.ones(len(count))


def _home_share(frame: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    skus = pl.col("n_skus").fill_null(0) + 1
    shares = frame.select(
        home=skus / skus.sum().over("kind"),
        context=skus / skus.sum().over("category"),
    )
    return shares["home"].to_numpy(), shares["context"].to_numpy()


def _fingerprint(frame: pl.DataFrame, own_synonyms: tuple[str, ...], known: Curated) -> str:
    digest = hashlib.sha256()
    from pkgraph.mapping.calibration import calibration_text

    parts = [VERSION, calibration_text(), *own_synonyms, repr(sorted(known.synonyms.items()))]
    parts += [repr(sorted(known.abbreviations.items())), repr(known.rivals)]
    parts += [
        repr(sorted(known.soft)),
        repr(sorted(known.fillers)),
        json.dumps(frame.to_dict(as_series=False)),
    ]
    for part in parts:
        digest.update(part.encode() + b"\x1f")
    return digest.hexdigest()[:16]


def _read_kinds(frame: pl.DataFrame, known: Curated) -> tuple[list[ShelfLabel], list[ShelfLabel]]:
    """What labels say, and what categories with their departments say, kind by kind."""
    labels = [read_label(kind, known) for kind in frame["kind"]]
    titles = {c: read_label(c, known) for c in frame["category"].unique()}
    departments = {d: expand(words(d or ""), known) for d in frame["department"].unique()}
    # Of a department only what an abbreviation says of it counts: "PRODUCE" makes its kinds fresh.
    states = {d: tuple(w for w in full if w not in words(d or "")) for d, full in departments.items()}
    categories = [
        ShelfLabel((*titles[c].all_words, *states[d]), titles[c].faces)
        for c, d in zip(frame["category"], frame["department"], strict=True)
    ]
    learned = learn_expansions(
        [label.all_words for label in labels], [c.all_words for c in categories], frame["kind"].to_list()
    )
    grown = [
        ShelfLabel((*label.all_words, *more), label.faces)
        for label, more in zip(labels, learned, strict=True)
    ]
    return [_named(*both, known.fillers) for both in zip(grown, categories, strict=True)], categories


def _named(label: ShelfLabel, category: ShelfLabel, fillers: frozenset[str]) -> ShelfLabel:
    """A label without a noun of its own takes its category's: PREMIUM of PASTA SAUCE is a pasta sauce."""
    if any(not set(face.tokens) <= fillers for face in label.faces):
        return label
    mine = tuple(word for face in label.faces for word in face.tokens)
    faces = tuple(Face((*face.tokens, *mine), face.nouns) for face in category.faces)
    return ShelfLabel((*label.all_words, *category.all_words), faces)


def _stack(labels: list[ShelfLabel], vocabulary: dict[str, int], weights: np.ndarray) -> tuple[Faces, ...]:
    n_faces = max((len(label.faces) for label in labels), default=0)
    none = Face((), ())
    stacked = []
    for f in range(n_faces):
        faces = [label.faces[f] if f < len(label.faces) else none for label in labels]
        tokens = _incidence((face.tokens for face in faces), vocabulary, len(labels))
        nouns = _incidence((face.nouns for face in faces), vocabulary, len(labels))
        details = _incidence((face.details for face in faces), vocabulary, len(labels))
        stacked.append(Faces(_shares(tokens, weights), nouns, nouns.maximum(details * DETAIL).tocsr()))
    return tuple(stacked)


def _fit(frame: pl.DataFrame, own_synonyms: tuple[str, ...]) -> KindIndex:
    from sklearn.feature_extraction.text import TfidfVectorizer

    known = curated(own_synonyms)
    labels, categories = _read_kinds(frame, known)
    texts = tuple(" ".join(label.all_words) for label in labels)
    counts = Counter(
        w for label, c in zip(labels, categories, strict=True) for w in {*label.all_words, *c.all_words}
    )
    vocabulary = {word: column for column, word in enumerate(sorted(counts))}
    n = frame.height
    everything = _incidence(
        ((*label.all_words, *c.all_words) for label, c in zip(labels, categories, strict=True)), vocabulary, n
    )
    weights = _rarity(everything)
    dull = {**dict.fromkeys(known.soft, QUALITY_WEIGHT), **dict.fromkeys(known.fillers, FILLER_WEIGHT)}
    telling = weights * np.array([dull.get(w, 1.0) for w in sorted(counts)])
    label_rows = _incidence((label.all_words for label in labels), vocabulary, n)
    category_rows = _incidence((c.all_words for c in categories), vocabulary, n)
    vectorizer = TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=CHARACTERS,
        dtype=np.float32,
        sublinear_tf=True,
        max_features=MAX_CHARACTER_FEATURES,
    )
    home, context = _home_share(frame)
    return KindIndex(
        kinds=frame,
        own_synonyms=own_synonyms,
        fingerprint=_fingerprint(frame, own_synonyms, known),
        vocabulary=vocabulary,
        weights=weights,
        labels=label_rows,
        everything=everything,
        categories=category_rows,
        label_faces=_stack(labels, vocabulary, telling),
        category_faces=_stack(categories, vocabulary, telling),
        characters=vectorizer.fit_transform([text or " " for text in texts]).tocsr(),
        vectorizer=vectorizer,
        texts=texts,
        log_skus=np.log1p(frame["n_skus"].fill_null(0).to_numpy()),
        home_share=home,
        in_context=context,
    )
