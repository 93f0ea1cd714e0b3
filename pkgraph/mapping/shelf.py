"""The kinds of a shop as words: labels, and the categories and departments that they stand in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkgraph.mapping.labels import Face, ShelfLabel, expand, read_label
from pkgraph.mapping.learned import learn_expansions
from pkgraph.mapping.words import words

if TYPE_CHECKING:
    import polars as pl

    from pkgraph.mapping.curated import Curated


def read_kinds(frame: pl.DataFrame, known: Curated) -> tuple[list[ShelfLabel], list[ShelfLabel]]:
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
