"""A category is refreshed once its kinds differ from those it was refreshed with, or the night chose it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import dagster as dg
import polars as pl

from pkg_assets.automation.affordable import affordable
from pkg_assets.automation.asking import (
    EVERY_S,
    MAX_REQUESTS,
    at_work,
    build_at_work,
    looked,
    run_request,
    why,
)
from pkg_assets.automation.delivery import JOB as READING
from pkg_assets.catalog import EMPTY
from pkg_assets.judging import OP as HEARING
from pkg_assets.partitions import CATEGORIES, category_keys
from pkg_assets.versions import order_by_partition, order_of, versions_by_partition, whole_categories
from pkgraph.errors import InputError
from pkgraph.freshness import Memory
from pkgraph.model import PURPOSES
from pkgraph.tables import CATALOG, KINDS, LLM_RESPONSES, STALENESS_REPORT
from resources.answer_ledger import AnswerLedger
from resources.artifacts import JUDGEMENT, Artifacts
from resources.clock import Clock
from resources.shop import Shop
from resources.table_store import TableStore

JOB = "refresh_category"


@dg.sensor(
    job_name=JOB,
    minimum_interval_seconds=EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A category has other kinds than it was refreshed with, or the night chose it: refreshes it.",
)
def category_sensor(
    context: dg.SensorEvaluationContext,
    shop: Shop,
    tables: TableStore,
    artifacts: Artifacts,
    answer_ledger: AnswerLedger,
    clock: Clock,
) -> dg.SensorResult:
    """New, changed and chosen categories are refreshed; those that vanished lose their partition."""
    jobs, under_way = at_work(context.instance)
    kinds = tables.read(KINDS.name)
    is_first = kinds is None or not artifacts.path(JUDGEMENT).exists()
    if kinds is None or is_first or READING in jobs or build_at_work(context.instance):
        reason = (
            "run `pkgraph build` first" if is_first else "the catalog is being read, or a build is at work"
        )
        return dg.SensorResult(skip_reason=reason, cursor=context.cursor)
    from pkgraph.catalog.digest import category_versions

    versions = {**category_versions(kinds), PURPOSES: EMPTY}
    demand = demanded(context.instance, tables, versions)
    try:
        money = affordable(
            demand.changed, kinds, shop.settings(), answer_ledger, under_way=under_way, now=clock.now()
        )
    except InputError as error:
        return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
    wanted = {key: version for key, version in demand.wanted.items() if key not in money.held}
    room = max(0, MAX_REQUESTS - len(under_way))
    memory = Memory.from_json(context.cursor, now=clock.now())
    found = looked(context.instance, wanted, memory, under_way=under_way, now=clock.now(), limit=room)
    waiting = {**money.held, **found.waiting}
    parted = {*money.parted, *(demand.parted - demand.changed.keys())}
    return dg.SensorResult(
        run_requests=[
            run_request(asked, partition=key, config=demand.config(key, is_part=key in parted))
            for key, asked in found.requests.items()
        ],
        dynamic_partitions_requests=_partitions(category_keys(context.instance), versions),
        skip_reason=None if found.requests else why(waiting, f"{len(versions)} categories are as delivered"),
        cursor=found.memory.to_json(),
    )


@dataclass(frozen=True, slots=True)
class Demand:
    """What is not there yet.

    Attributes:
        changed: Categories whose kinds changed since they were refreshed, to their present version.
        chosen: Categories that the night chose and that were not asked about since, to when it did.
        parted: Those of the chosen ones of which a part is refreshed.
    """

    changed: Mapping[str, str]
    chosen: Mapping[str, datetime]
    parted: frozenset[str] = frozenset()

    @property
    def wanted(self) -> dict[str, str]:
        keys = [*self.changed, *(key for key in self.chosen if key not in self.changed)]
        return {key: self._version(key) for key in keys}

    def _version(self, key: str) -> str:
        moment = self.chosen.get(key)
        night = f"@{moment.isoformat()}" if moment else ""
        return f"{self.changed.get(key, '')}{night}"

    def config(self, key: str, *, is_part: bool) -> dict[str, object]:
        moment = self.chosen.get(key)
        due = {"due_at": moment.isoformat()} if moment else {}
        alone, part = {"is_unattended": True}, {"is_part": True} if is_part else {}
        asking = {LLM_RESPONSES.name: {"config": {**alone, **due, **part}}, HEARING: {"config": alone}}
        return {"ops": asking}


def demanded(instance: dg.DagsterInstance, tables: TableStore, versions: Mapping[str, str]) -> Demand:
    """Compare what the catalog holds with what was refreshed, by seven queries for any number of them."""
    refreshed = versions_by_partition(instance, CATALOG.name)
    is_whole = whole_categories(instance)
    changed = {
        key: version
        for key, version in versions.items()
        if key not in is_whole or refreshed.get(key) != version
    }
    return Demand(changed, *_chosen(instance, tables.read(STALENESS_REPORT.name), versions))


def _chosen(
    instance: dg.DagsterInstance, report: pl.DataFrame | None, keys: Collection[str]
) -> tuple[dict[str, datetime], frozenset[str]]:
    """What the night chose, and what of that in part."""
    if report is None or "planned_at" not in report.columns:  # a report from before there were plans
        return {}, frozenset()
    planned = report.drop_nulls("planned_at").sort("benefit", "category_key", descending=[True, False])
    if planned.is_empty():
        return {}, frozenset()
    made, asked = order_of(instance, STALENESS_REPORT.name), order_by_partition(instance, LLM_RESPONSES.name)
    moments = {
        key: moment
        for key, moment in planned.select("category_key", "planned_at").iter_rows()
        if key in keys and asked.get(key, 0) < made
    }
    return moments, frozenset(planned.filter(pl.col("plan") == "part")["category_key"])


def _partitions(
    present: Collection[str], wanted: Collection[str]
) -> list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]:
    """What makes the partitions those of the catalog; reading it has done so, unless it was killed."""
    new, gone = sorted(set(wanted) - set(present)), sorted(set(present) - set(wanted))
    return [
        *([CATEGORIES.build_add_request(new)] if new else []),
        *([CATEGORIES.build_delete_request(gone)] if gone else []),
    ]
