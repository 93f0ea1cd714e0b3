"""What was accepted, read back only where it is what `accepted_relations` wrote.

A table in the store can be written by anyone; what the asset accepted stands in the event of its
materialization, as the data version of the rows. The demo's 46 categories are compared in under a second.
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg
import polars as pl

from pkg_assets.reporting import fingerprint
from pkgraph.errors import GateRefused
from pkgraph.tables import ACCEPTED_RELATIONS
from resources.table_store import TableStore


def accepted_as_judged(instance: dg.DagsterInstance, tables: TableStore, keys: Iterable[str]) -> pl.DataFrame:
    """Table `accepted_relations` of all these categories.

    Raises:
        GateRefused: Rows of a category are not those that the asset accepted last. Nothing is published.
    """
    parts = {key: tables.read(ACCEPTED_RELATIONS.name, key) for key in sorted(keys)}
    present = {key: part for key, part in parts.items() if part is not None}
    altered = [key for key, part in present.items() if fingerprint(part) != _accepted_last(instance, key)]
    if altered:
        raise GateRefused(
            f"The accepted relations of {', '.join(altered[:5])} are not those that passed the gate.",
            broken={"accepted_relations_are_as_judged": len(altered)},
            remedy="Materialize accepted_relations of these categories again, then publish.",
        )
    return ACCEPTED_RELATIONS.conform(pl.concat([ACCEPTED_RELATIONS.empty(), *present.values()]))


def _accepted_last(instance: dg.DagsterInstance, key: str) -> str | None:
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(ACCEPTED_RELATIONS.name), asset_partitions=[key])
    records = instance.fetch_materializations(wanted, limit=1).records
    made = records[0].asset_materialization if records else None
    return (made.tags or {}).get("dagster/data_version") if made else None
