"""The rationales of a graph, and which of them a purpose in words stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkgraph.model import rationale_id
from pkgraph.recommend.answers import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkgraph.snapshot import Snapshot

MAX_TEXT = 400


def all_purposes(snapshot: Snapshot, offset: int) -> Iterator[Purpose]:
    """Rationales behind the first `offset`, the most widely served first, ties by their words."""
    ids, texts = snapshot.texts("rationale_ids"), snapshot.texts("rationale_texts")
    n_kinds, is_asked = snapshot.buffers["rationale_n_kinds"], snapshot.buffers["rationale_is_asked"]
    rows = snapshot.buffers["rationale_order"][offset:].tolist()
    return (Purpose(ids[row], texts[row], int(n_kinds[row]), bool(is_asked[row])) for row in rows)


def resolve_purpose(snapshot: Snapshot, purpose: str) -> list[int]:
    """Row of the rationale with that spelling or id; without one, of those that hold most of its words."""
    purpose = purpose[:MAX_TEXT].encode(errors="replace").decode()  # lone surrogates have no key
    ids = snapshot.texts("rationale_ids")
    exact = max(ids.find(rationale_id(purpose)), ids.find(purpose))
    if exact >= 0:
        return [exact]
    from pkgraph.recommend.search import rationales_with

    return rationales_with(snapshot.sections, purpose)
