"""The rationales of a graph, and which of them a purpose in words stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pkgraph.model import rationale_id
from pkgraph.recommend.answers import Purpose
from pkgraph.recommend.search import find_documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkgraph.snapshot.layout import Sections

MAX_TEXT = 400
MAX_RATIONALES = 5
"""Rationales that one purpose in words may stand for."""


def all_purposes(s: Sections, offset: int) -> Iterator[Purpose]:
    """Rationales behind the first `offset`, the most widely served first, ties by their words."""
    return (
        Purpose(
            s.rationale_ids[row],
            s.rationale_texts[row],
            int(s.rationale_n_kinds[row]),
            bool(s.rationale_is_asked[row]),
        )
        for row in s.rationale_order[offset:].tolist()
    )


def resolve_purpose(s: Sections, purpose: str) -> list[int]:
    """Row of the rationale with that spelling or id; without one, of those that hold most of its words."""
    purpose = purpose[:MAX_TEXT].encode(errors="replace").decode()  # lone surrogates have no key
    exact = max(s.rationale_ids.find(rationale_id(purpose)), s.rationale_ids.find(purpose))
    if exact >= 0:
        return [exact]
    documents, n_words, values = find_documents(s, purpose)
    first = len(s.sku_ids) + len(s.kind_ids)
    is_rationale = documents >= first
    rows, n_words, values = documents[is_rationale] - first, n_words[is_rationale], values[is_rationale]
    best = rows[np.lexsort((rows, -values, -n_words))].tolist()
    fullest = set(rows[n_words == n_words.max(initial=0)].tolist())
    return [row for row in best if row in fullest][:MAX_RATIONALES]
