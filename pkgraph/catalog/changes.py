"""What changed between two deliveries of a catalog; the caller decides whether the newer may be used."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

_SAID_OF_A_SKU = ("title", "kind_id", "category", "department", "brand", "price")


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """Counts, and the category keys concerned, sorted.

    Attributes:
        n_before: SKUs of the former delivery; 0 where there was none.
        n_now: SKUs of this one.
        n_added: SKUs that only this one has.
        n_removed: SKUs that only the former had.
        n_changed: SKUs of both, of which something other than the popularity changed.
        vanished_categories: Keys that have no product any more: their partition goes.
        new_categories: Keys that had none before.
        changed_categories: Keys of both, whose products were added, removed or changed.
    """

    n_before: int
    n_now: int
    n_added: int
    n_removed: int
    n_changed: int
    vanished_categories: tuple[str, ...]
    new_categories: tuple[str, ...]
    changed_categories: tuple[str, ...]

    @property
    def sku_loss(self) -> float:
        """Share of the former SKUs that are gone, 0-1; 0 where there was no former delivery."""
        return self.n_removed / self.n_before if self.n_before else 0.0

    def loses_at_most(self, share: float) -> bool:
        return self.sku_loss <= share


CHANGES: dict[str, str] = {
    "n_added": "Products that only this delivery has.",
    "n_removed": "Products that only the former delivery had.",
    "n_changed": "Products whose title, kind, category, department, brand or price changed.",
    "vanished_categories": "Categories that have no product any more.",
    "new_categories": "Categories that had no product before.",
    "changed_categories": "Categories whose products were added, removed or changed.",
}
"""What a comparison counts: field of CatalogChange -> sentence."""


def _keys(frame: pl.DataFrame) -> set[str]:
    return set(frame["category_key"].unique())


def compare_deliveries(previous: pl.DataFrame | None, current: pl.DataFrame) -> CatalogChange:
    """Compare two tables `products`; without a previous one everything is new."""
    before = current.clear() if previous is None else previous
    added = current.join(before, on="sku", how="anti")
    removed = before.join(current, on="sku", how="anti")
    both = current.join(before, on="sku", how="semi")
    same = both.join(before, on=["sku", *_SAID_OF_A_SKU], how="semi", nulls_equal=True)
    changed = both.join(same, on="sku", how="anti")
    old_places = before.join(changed, on="sku", how="semi")
    touched = _keys(added) | _keys(removed) | _keys(changed) | _keys(old_places)
    keys_before, keys_now = _keys(before), _keys(current)
    return CatalogChange(
        n_before=before.height,
        n_now=current.height,
        n_added=added.height,
        n_removed=removed.height,
        n_changed=changed.height,
        vanished_categories=tuple(sorted(keys_before - keys_now)),
        new_categories=tuple(sorted(keys_now - keys_before)),
        changed_categories=tuple(sorted(touched & keys_before & keys_now)),
    )
