"""What the event log says is there: versions of assets and of their partitions, each by one query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import dagster as dg

VERSION_TAG = "dagster/data_version"
MERGED = "merged"
"""Metadata of `published_graph`: the versions that went into the snapshot."""
PUBLISHED_AT = "published_at"
"""Metadata of `published_graph`: when the run ended, new snapshot or not, by its clock."""


def version_of(instance: dg.DagsterInstance, asset: str) -> str | None:
    """Data version of an unpartitioned asset; None where it was never materialized."""
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    made = event.asset_materialization if event else None
    return (made.tags or {}).get(VERSION_TAG) if made else None


def versions_by_partition(instance: dg.DagsterInstance, asset: str) -> dict[str, str]:
    """Partition to the data version of its latest materialization."""
    found = instance.event_log_storage.get_latest_tags_by_partition(
        dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION, [VERSION_TAG]
    )
    return {partition: tags[VERSION_TAG] for partition, tags in found.items() if VERSION_TAG in tags}


def order_by_partition(instance: dg.DagsterInstance, asset: str) -> Mapping[str, int]:
    """Partition to the number of its latest materialization; a later one has a higher number."""
    return instance.event_log_storage.get_latest_storage_id_by_partition(
        dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION
    )


def order_of(instance: dg.DagsterInstance, asset: str) -> int:
    """The number of an asset's latest materialization; 0 where there is none."""
    records = instance.fetch_materializations(dg.AssetKey(asset), limit=1).records
    return records[0].storage_id if records else 0


def to_publish(instance: dg.DagsterInstance, keys: Iterable[str]) -> dict[str, str]:
    """What a snapshot of now would merge: asset, or asset/category, to its version."""
    accepted = versions_by_partition(instance, "accepted_relations")
    whole = {name: version_of(instance, name) for name in ("products", "hallucination_classifier")}
    return {
        **{name: version for name, version in whole.items() if version is not None},
        **{f"accepted_relations/{key}": accepted[key] for key in sorted(keys) if key in accepted},
    }


def last_merged(instance: dg.DagsterInstance) -> tuple[dict[str, str], datetime | None]:
    """What the last snapshot merged, and when, by the clock of the run; nothing and None without one."""
    event = instance.get_latest_materialization_event(dg.AssetKey("published_graph"))
    made = event.asset_materialization if event else None
    if made is None or not {MERGED, PUBLISHED_AT} <= made.metadata.keys():
        return {}, None
    merged = made.metadata[MERGED].value
    moment = datetime.fromisoformat(str(made.metadata[PUBLISHED_AT].value))
    return (dict(merged), moment) if isinstance(merged, dict) else ({}, None)
