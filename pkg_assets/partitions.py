"""How the way is cut: one partition a category, and one for the purposes that belong to none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Iterable

CATEGORIES = dg.DynamicPartitionsDefinition(name="category")


def category_keys(instance: dg.DagsterInstance) -> list[str]:
    return sorted(instance.get_dynamic_partitions(str(CATEGORIES.name)))


def sync_categories(instance: dg.DagsterInstance, keys: Iterable[str]) -> tuple[list[str], list[str]]:
    """Make the partitions exactly these.

    Returns:
        The keys that were added and those that were removed, sorted.
    """
    wanted, present = set(keys), set(instance.get_dynamic_partitions(str(CATEGORIES.name)))
    added, removed = sorted(wanted - present), sorted(present - wanted)
    if added:
        instance.add_dynamic_partitions(str(CATEGORIES.name), added)
    for key in removed:
        instance.delete_dynamic_partition(str(CATEGORIES.name), key)
    return added, removed
