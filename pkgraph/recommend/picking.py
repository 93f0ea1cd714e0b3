"""From ranked kinds to products: the most popular in stock, nothing hidden, not too many of a kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pkgraph.recommend.ranking import phrase_of_each, ranked

if TYPE_CHECKING:
    from pkgraph.recommend.ranking import Arrivals
    from pkgraph.snapshot.layout import Sections

Available = Collection[str] | Callable[[str], bool]
"""SKUs in stock, or a function that knows."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A chosen product: its row, its kind, and the weight the kind was reached with."""

    sku_row: int
    kind: int
    weight: int


@dataclass(frozen=True, slots=True)
class Picker:
    """What may be chosen.

    Attributes:
        hidden: SKUs that must not appear: seeds and exclusions.
        hidden_kinds: Kinds of which nothing may appear.
        available: None: everything is in stock.
        max_per_phrase: Kinds at most that one product phrase was resolved to: "breakfast cereal" is adult,
            kids' and family cereal, and three of them say no more than one.
    """

    sections: Sections
    hidden: frozenset[str]
    hidden_kinds: frozenset[int]
    available: Available | None
    max_per_kind: int
    max_per_phrase: int

    def pick(self, arrivals: Arrivals, k: int) -> list[Picked]:
        """The k best products, ties by SKU."""
        kinds, weights = ranked(arrivals)
        phrases = phrase_of_each(self.sections, arrivals)
        taken: Counter[int] = Counter()
        picked: list[Picked] = []
        for kind, weight in zip(kinds.tolist(), weights.tolist(), strict=True):
            if len(picked) >= k and weight < picked[k - 1].weight:
                break
            phrase = phrases[kind]
            if kind in self.hidden_kinds or (phrase >= 0 and taken[phrase] >= self.max_per_phrase):
                continue
            found = self._products_of(kind)
            taken[phrase] += bool(found)
            picked += [Picked(row, kind, weight) for row in found]
        return sorted(picked, key=lambda pick: (-pick.weight, pick.sku_row))[:k]

    def _products_of(self, kind: int) -> list[int]:
        s = self.sections
        found: list[int] = []
        for row in s.kind_skus[slice(*s.kind_sku_offsets[kind : kind + 2].tolist())].tolist():
            sku = s.sku_ids[row]
            if sku not in self.hidden and self._is_available(sku):
                found.append(row)
                if len(found) == self.max_per_kind:
                    break
        return found

    def _is_available(self, sku: str) -> bool:
        if self.available is None:
            return True
        return self.available(sku) if callable(self.available) else sku in self.available
