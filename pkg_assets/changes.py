"""What a new snapshot changed, for the UI: against the one that was served before it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import dagster as dg

from pkg_assets.reporting import count_table, markdown_table
from pkgraph.snapshot import Snapshot, compare
from pkgraph.snapshot.difference import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkgraph.snapshot import Difference, Published
    from pkgraph.snapshot.difference import RelationChange

# Rows a table of the dialog shows; `pkgraph diff` shows them all.
SHOWN = 20


def changes_since(served: Snapshot | None, published: Published) -> dict[str, Any]:
    """Metadata on the difference; nothing where there was none before.

    Args:
        served: What the main channel served before; its files stay mapped whatever was removed since.
        published: What was published now.
    """
    if served is None:
        return {}
    found = compare(served, Snapshot.open(published.path), n_products=SHOWN)
    return {
        "compared_with": found.before_id,
        "n_skus_in": len(found.skus_in),
        "n_skus_out": len(found.skus_out),
        "n_relations_in": len(found.relations_in),
        "n_relations_out": len(found.relations_out),
        "n_relations_changed": len(found.relations_changed),
        "changed_inputs": ", ".join(found.inputs) or "none",
        "in_because": _reasons(found.relations_in),
        "out_because": _reasons(found.relations_out),
        "changes": dg.MetadataValue.md(_markdown(found)),
    }


def _reasons(changes: Sequence[RelationChange]) -> dg.TableMetadataValue:
    counted = Counter(told(change) for change in changes)
    return count_table(dict(counted.most_common()), "reason")


def _markdown(found: Difference) -> str:
    if found.is_empty:
        return "Nothing."
    kinds = [("in", title) for title in found.kinds_in] + [("out", title) for title in found.kinds_out]
    products = [(one.title, one.sku, str(one.gained), str(one.lost)) for one in found.products]
    parts = (
        ("Kinds", ("", "kind"), kinds),
        ("Relations in", _COLUMNS, _rows(found.relations_in)),
        ("Relations out", _COLUMNS, _rows(found.relations_out)),
        ("Relations changed", _COLUMNS, _rows(found.relations_changed)),
        ("Most changed products", ("product", "SKU", "gained", "lost"), products),
    )
    return "\n\n".join(
        f"**{title}** ({len(rows)})\n\n{markdown_table(columns, rows[:SHOWN])}"
        for title, columns, rows in parts
        if rows
    )


_COLUMNS = ("source", "type", "rationale", "target", "before", "after", "because")


def _rows(changes: Sequence[RelationChange]) -> list[tuple[str, ...]]:
    return [
        (
            one.source or "",
            one.relation_type,
            one.rationale,
            one.target,
            *("" if p is None else f"{p:.2f}" for p in (one.before, one.after)),
            told(one),
        )
        for one in changes
    ]
