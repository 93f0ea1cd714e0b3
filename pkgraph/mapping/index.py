"""The fitted index: every kind of the shop as words, weights and sparse rows."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer

from pkgraph.errors import CatalogError
from pkgraph.mapping.calibration import calibration_text
from pkgraph.mapping.curated import Curated, curated
from pkgraph.mapping.matrices import Faces, incidence, rarity, stack
from pkgraph.mapping.shelf import read_kinds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scipy import sparse

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
CHARACTERS = (3, 5)
MAX_CHARACTER_FEATURES = 60_000


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
        home_share: float64 of shape (n_kinds,). Share of this label's SKUs that stand in this category.
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


def _home_share(frame: pl.DataFrame) -> np.ndarray:
    skus = pl.col("n_skus").fill_null(0) + 1
    return frame.select(skus / skus.sum().over("kind")).to_series().to_numpy()


def _fingerprint(frame: pl.DataFrame, own_synonyms: tuple[str, ...], known: Curated) -> str:
    digest = hashlib.sha256()
    parts = [VERSION, calibration_text(), *own_synonyms, repr(sorted(known.synonyms.items()))]
    parts += [repr(sorted(known.abbreviations.items())), repr(known.rivals)]
    parts += [repr(sorted(group)) for group in (known.soft, known.fillers, known.changing, known.compounds)]
    parts += [repr(sorted(known.glued.items())), json.dumps(frame.to_dict(as_series=False))]
    for part in parts:
        digest.update(part.encode() + b"\x1f")
    return digest.hexdigest()[:16]


def _fit(frame: pl.DataFrame, own_synonyms: tuple[str, ...]) -> KindIndex:
    known = curated(own_synonyms)
    labels, categories = read_kinds(frame, known)
    texts = tuple(" ".join(label.all_words) for label in labels)
    counts = Counter(
        w for label, c in zip(labels, categories, strict=True) for w in {*label.all_words, *c.all_words}
    )
    vocabulary = {word: column for column, word in enumerate(sorted(counts))}
    n = frame.height
    everything = incidence(
        ((*label.all_words, *c.all_words) for label, c in zip(labels, categories, strict=True)), vocabulary, n
    )
    weights = rarity(everything)
    dull = {**dict.fromkeys(known.soft, QUALITY_WEIGHT), **dict.fromkeys(known.fillers, FILLER_WEIGHT)}
    telling = weights * np.array([dull.get(w, 1.0) for w in sorted(counts)])
    label_rows = incidence((label.all_words for label in labels), vocabulary, n)
    category_rows = incidence((c.all_words for c in categories), vocabulary, n)
    vectorizer = TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=CHARACTERS,
        dtype=np.float32,
        sublinear_tf=True,
        max_features=MAX_CHARACTER_FEATURES,
    )
    return KindIndex(
        kinds=frame,
        own_synonyms=own_synonyms,
        fingerprint=_fingerprint(frame, own_synonyms, known),
        vocabulary=vocabulary,
        weights=weights,
        labels=label_rows,
        everything=everything,
        categories=category_rows,
        label_faces=stack(labels, vocabulary, telling, category_rows),
        category_faces=stack(categories, vocabulary, telling),
        characters=vectorizer.fit_transform([text or "?" for text in texts]).tocsr(),
        vectorizer=vectorizer,
        texts=texts,
        log_skus=np.log1p(frame["n_skus"].fill_null(0).to_numpy()),
        home_share=_home_share(frame),
    )
