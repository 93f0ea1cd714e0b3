"""What the event log says is there: versions of assets and of their partitions, each by one query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import dagster as dg

VERSION_TAG = "dagster/data_version"
MERGED = "merged"
"""Metadata of `published_graph`: the versions that went into the snapshot."""
PUBLISHED_AT = "published_at"
"""Metadata of `published_graph`: when the run ended, new snapshot or not, by its clock."""

CHANNEL = "channel"
"""Metadata of `published_graph`: where it was published."""
MAIN = "the main one"
"""Said of the channel that is served; no other one can be named so."""
# A canary that a person publishes by hand a dozen times must not hide what the main channel merged.
_PUBLISHINGS = 100


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


class ScoredFrom(NamedTuple):
    """What the relations of a category were scored from, as it stands in the version of the scores.

    Dagster finds versions of all partitions by one query, and other tags only event by event.

    Attributes:
        mapped: Version of the mapped relations.
        judgement: Version of the classifier and its thresholds.
    """

    mapped: str
    judgement: str

    def version(self, content: str) -> str:
        return f"{content}-{self.mapped}-{self.judgement}"

    @classmethod
    def of(cls, version: str) -> ScoredFrom:
        """What a version says; nothing where it is of another making."""
        parts = version.split("-")
        return cls(parts[-2], parts[-1]) if len(parts) == 3 else cls("", "")  # noqa: PLR2004


def scored_by_partition(instance: dg.DagsterInstance) -> dict[str, ScoredFrom]:
    """Category to what its relations were scored from."""
    versions = versions_by_partition(instance, "scored_relations")
    return {key: ScoredFrom.of(version) for key, version in versions.items()}


def whole_categories(instance: dg.DagsterInstance) -> set[str]:
    """Categories whose accepted relations follow from their catalog: no run died on the way.

    What was distilled again and came to the same is as it was: it need not be judged again.
    """
    catalog, mapped, scored, accepted = (
        order_by_partition(instance, name)
        for name in ("catalog", "mapped_relations", "scored_relations", "accepted_relations")
    )
    versions, scored_from = versions_by_partition(instance, "mapped_relations"), scored_by_partition(instance)
    return {
        key
        for key in accepted
        if catalog.get(key, 0) < mapped.get(key, 0)
        and scored.get(key, 0) < accepted[key]
        and key in scored_from
        and scored_from[key].mapped == versions.get(key)
    }


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


def last_merged(instance: dg.DagsterInstance, channel: str | None) -> tuple[dict[str, str], datetime | None]:
    """What the last snapshot of a channel merged, and when by the clock of the run; without one, nothing."""
    found = instance.fetch_materializations(dg.AssetKey("published_graph"), limit=_PUBLISHINGS).records
    for record in found:
        made = record.asset_materialization
        if made is None or not {MERGED, PUBLISHED_AT} <= made.metadata.keys():
            continue
        told = made.metadata.get(CHANNEL)
        merged = made.metadata[MERGED].value
        if (str(told.value) if told else MAIN) == (channel or MAIN) and isinstance(merged, dict):
            return dict(merged), datetime.fromisoformat(str(made.metadata[PUBLISHED_AT].value))
    return {}, None
