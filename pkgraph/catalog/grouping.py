"""Names that mean one thing become one kind: near duplicates within a category, down to a budget of kinds.

A language model is asked once a kind, so "strawberry yogurt", "yogurt vanilla" and "yogurrt peach" shall be
one. Names are compared by their words and, against typos, by pieces of three and four letters; pairs are
joined nearest first (average linkage), in every category up to one and the same distance.

What was called something stays called so: names that a former catalog held keep their kind, new names join a
kind or found one. A new title therefore renames no other kind, and costs at most one question.

    names ["yogurt strawberry", "vanilla yogurt", "butter salted"]  ->  ["yogurt", "yogurt", "butter salted"]
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pkgraph.catalog.naming import with_derived_kind
from pkgraph.catalog.words import modifiers, spelling, stems_of, without_loose_end
from pkgraph.model import kind_id
from pkgraph.tables import PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

# Distances are 1 - cosine, 0-1. At 0.30 the demo's 91 692 real shelf labels make 4 199 kinds of purity 0.965,
# at 0.40 3 545 of 0.932; made-up titles stay at 0.99 in both (`python -m benchmarks.kinds`).
NEAR = 0.30
# Share of the letter pieces in a name's vector; the rest are whole words.
_LETTERS = 0.1
# Flavours, colours, packs and praise tell products apart, not what they are used with.
_MODIFIER_WEIGHT = 0.3
# All pairs of so many units are compared at once: 72 MB of distances. Rarer names queue for the next round.
_MAX_COMPARED = 3_000
# Two former kinds are further apart than anything else: they join only where the budget leaves no choice.
_APART = 1e6


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The names of one category, in alphabetical order.

    Attributes:
        n_skus: int64 of shape (n_names,).
        stems: The words of each name, spelled right and without plural endings.
        former: The kind each name had in the former catalog, None for a new name.
        vectors: Sparse, of shape (n_names, n_features); rows have length 1.
    """

    category: str
    names: tuple[str, ...]
    n_skus: NDArray[np.int64]
    stems: tuple[tuple[str, ...], ...]
    former: tuple[str | None, ...]
    vectors: Any

    @classmethod
    def of(cls, category: str, rows: pl.DataFrame) -> _Shelf:
        rows = rows.sort("name")
        names, n_skus = tuple(rows["name"]), rows["n_skus"].to_numpy()
        n_with = Counter[str]()
        for name, n in zip(names, n_skus.tolist(), strict=True):
            n_with.update(dict.fromkeys(stems_of(name), n))
        meant = spelling(n_with)
        stems = tuple(tuple(meant.get(w, w) for w in stems_of(name)) or (name,) for name in names)
        return cls(category, names, n_skus, stems, tuple(rows["former"]), _vectors(stems))


def _vectors(stems: Sequence[Sequence[str]]) -> Any:
    """Words and letter pieces, each part of length 1 before it is weighted."""
    from scipy import sparse  # noqa: PLC0415 - only a catalog without kinds needs it
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.preprocessing import normalize  # noqa: PLC0415

    soft = modifiers()
    words = TfidfVectorizer(analyzer=lambda found: found, use_idf=False, norm=None, binary=True)
    counted = words.fit_transform(stems)
    weights = [_MODIFIER_WEIGHT if w in soft else 1.0 for w in words.get_feature_names_out()]
    heavy = [" ".join([word for word in found if word not in soft] or found) for found in stems]
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), use_idf=False).fit_transform(heavy)
    parts = [
        normalize(counted @ sparse.diags_array(weights)) * (1 - _LETTERS) ** 0.5,
        letters * _LETTERS**0.5,
    ]
    return sparse.hstack(parts, format="csr")


@dataclass(frozen=True, slots=True)
class _Round:
    """Units of one category that are compared with each other: former kinds and new names.

    Attributes:
        members: Positions of each unit's names in the shelf.
        joins: Pairs of units or of earlier joins, in the order they are nearest; join j is unit n_units + j.
        heights: Distance of each join, ascending.
    """

    shelf: _Shelf
    members: list[list[int]]
    joins: NDArray[np.int64]
    heights: NDArray[np.float64]

    def groups(self, n_joins: int) -> list[list[int]]:
        """Names of each group once the first `n_joins` are done."""
        groups = dict(enumerate(self.members))
        for join, (left, right) in enumerate(self.joins[:n_joins].tolist()):
            groups[len(self.members) + join] = groups.pop(left) + groups.pop(right)
        return [groups[key] for key in sorted(groups)]


def _means(shelf: _Shelf, members: Sequence[Sequence[int]]) -> Any:
    """Mean vector of each group; a product of two is the mean cosine between their names."""
    from scipy import sparse  # noqa: PLC0415

    rows = np.repeat(np.arange(len(members)), [len(names) for names in members])
    shares = np.concatenate([np.full(len(names), 1 / len(names)) for names in members])
    shape = (len(members), len(shelf.names))
    return sparse.csr_array((shares, (rows, np.concatenate(members))), shape) @ shelf.vectors


def _joined(shelf: _Shelf, members: list[list[int]]) -> _Round:
    from sklearn.cluster import AgglomerativeClustering  # noqa: PLC0415

    if len(members) == 1:
        return _Round(shelf, members, np.empty((0, 2), np.int64), np.empty(0))
    means = _means(shelf, members)
    # Rounded, so that the order of a sum in threads decides no tie.
    distances = np.clip(1 - (means @ means.T).toarray(), 0, 1).round(9)
    was = np.array([any(shelf.former[name] is not None for name in names) for names in members])
    distances += _APART * np.outer(was, was)
    np.fill_diagonal(distances, 0)
    tree = AgglomerativeClustering(
        n_clusters=None, distance_threshold=0, metric="precomputed", linkage="average"
    ).fit(distances)
    return _Round(shelf, members, tree.children_, tree.distances_)


def _units(shelf: _Shelf) -> list[list[int]]:
    """Former kinds and new names, those of most products first."""
    kinds: dict[object, list[int]] = {}
    for position, former in enumerate(shelf.former):
        kinds.setdefault(position if former is None else former, []).append(position)
    size = {key: (key.__class__ is int, -int(shelf.n_skus[names].sum())) for key, names in kinds.items()}
    return [kinds[key] for key in sorted(kinds, key=lambda key: (size[key], shelf.names[kinds[key][0]]))]


def _rounds(shelf: _Shelf) -> Iterator[_Round]:
    """Enough rounds for all units; a name that is near a kind of an earlier round joins it there."""
    left = _units(shelf)
    while left:
        now, left = left[:_MAX_COMPARED], left[_MAX_COMPARED:]
        if left:
            first = _joined(shelf, now)
            now = first.groups(int((first.heights <= NEAR).sum()))
            left = _taken_in(shelf, now, left)
        yield _joined(shelf, now)


def _taken_in(shelf: _Shelf, groups: list[list[int]], units: list[list[int]]) -> list[list[int]]:
    """New names join the nearest group if it is near; what is left over comes back."""
    likeness = (_means(shelf, units) @ _means(shelf, groups).T).toarray()
    nearest = likeness.argmax(axis=1)
    left = []
    for unit, (group, best) in zip(units, zip(nearest, likeness.max(axis=1), strict=True), strict=True):
        if 1 - best <= NEAR and shelf.former[unit[0]] is None:
            groups[group].extend(unit)
        else:
            left.append(unit)
    return left


def _n_joins(rounds: Sequence[_Round], max_kinds: int | None) -> list[int]:
    """How many joins of each round are done: the near ones, then the nearest that the budget asks for."""
    near = [int((found.heights <= NEAR).sum()) for found in rounds]
    n_kinds = sum(len(found.members) for found in rounds) - sum(near)
    spare = [
        (height, at, join)
        for at, (found, done) in enumerate(zip(rounds, near, strict=True))
        for join, height in enumerate(found.heights[done:].tolist())
    ]
    for _, at, _ in sorted(spare)[: max(0, n_kinds - max_kinds) if max_kinds is not None else 0]:
        near[at] += 1
    return near


def _called(shelf: _Shelf, groups: Iterable[list[int]]) -> Iterator[tuple[list[int], str]]:
    """Each group with its name, former names first: those are given already."""
    taken: set[str] = set()
    by_size = sorted(groups, key=lambda names: (-int(shelf.n_skus[names].sum()), shelf.names[names[0]]))
    for names in sorted(by_size, key=lambda names: all(shelf.former[name] is None for name in names)):
        said = next((name for name in _candidates(shelf, names) if name not in taken), None)
        # A group whose every name is a kind already is that kind.
        said = said or shelf.names[names[0]]
        taken.add(said)
        yield names, said


def _candidates(shelf: _Shelf, names: list[int]) -> Iterator[str]:
    former = Counter[str]()
    for name in names:
        if (kind := shelf.former[name]) is not None:
            former[kind] += int(shelf.n_skus[name])
    if former:
        yield min(former, key=lambda kind: (-former[kind], kind))
        return
    typical = _by_typicality(shelf, names)
    yield _shared_words(shelf, names, typical[0])
    yield from typical


def _by_typicality(shelf: _Shelf, names: list[int]) -> list[str]:
    """The group's names, those spelled right first, nearest to all its products; then the most frequent."""
    vectors = shelf.vectors[names]
    likeness = dict(zip(names, (vectors @ (shelf.n_skus[names] @ vectors)).round(9).tolist(), strict=True))

    def key(name: int) -> tuple[bool, float, int, str]:
        said = shelf.names[name]
        return set(stems_of(said)) != set(shelf.stems[name]), -likeness[name], -int(shelf.n_skus[name]), said

    return [shelf.names[name] for name in sorted(names, key=key)]


def _shared_words(shelf: _Shelf, names: list[int], typical: str) -> str:
    """The words of the typical name that half of the group's products have, in its order."""
    n_with = Counter[str]()
    for name in names:
        n_with.update(dict.fromkeys(shelf.stems[name], int(shelf.n_skus[name])))
    half = shelf.n_skus[names].sum() / 2
    shared = [word for word in typical.split() if any(n_with[stem] >= half for stem in stems_of(word))]
    return " ".join(without_loose_end(shared)) or typical


def _former_kinds(former: pl.DataFrame | None) -> pl.DataFrame:
    schema = {"category": pl.String, "name": pl.String, "former": pl.String}
    if former is None:
        return pl.DataFrame(schema=schema)
    named = with_derived_kind(former.select("category", "title", "brand", former="kind"))
    return named.group_by("category", name="kind").agg(pl.col("former").min())


def with_grouped_kinds(
    products: pl.DataFrame, *, max_kinds: int | None = None, former: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The products with names that mean one thing joined to one kind, table `products`.

    Args:
        products: Table `products`, each kind a name as `with_derived_kind` gives it.
        max_kinds: Kinds at most, >= 1; what is nearest is joined first. A category has one kind at least.
        former: Table `products` of the catalog before. Its names keep their kind; a lower `max_kinds` may
            join two of them under the name of the larger, a higher one parts none.
    """
    names = products.group_by("category", name="kind").agg(n_skus=pl.len().cast(pl.Int64))
    names = names.join(_former_kinds(former), on=["category", "name"], how="left").sort("category", "name")
    shelves = [_Shelf.of(str(key), rows) for (key,), rows in names.group_by("category", maintain_order=True)]
    rounds = [found for shelf in shelves for found in _rounds(shelf)]
    groups: dict[str, list[list[int]]] = {shelf.category: [] for shelf in shelves}
    for found, n_joins in zip(rounds, _n_joins(rounds, max_kinds), strict=True):
        groups[found.shelf.category] += found.groups(n_joins)
    said = [
        (shelf.category, shelf.names[name], kind, kind_id(shelf.category, kind))
        for shelf in shelves
        for members, kind in _called(shelf, groups[shelf.category])
        for name in members
    ]
    schema = dict.fromkeys(("category", "name", "kind", "kind_id"), pl.String)
    called = pl.DataFrame(said, schema=schema, orient="row")
    bare = products.rename({"kind": "name"}).drop("kind_id")
    return PRODUCTS.conform(bare.join(called, on=["category", "name"], how="left"))
