"""A sensor looked through at a given time, over an instance whose events a test writes itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from dagster._core.definitions.partitions.context import partition_loading_context

from pkg_assets.definitions import build_defs
from pkg_assets.partitions import CATEGORIES
from pkg_assets.versions import CHANNEL, MAIN, MERGED, PUBLISHED_AT, ScoredFrom
from pkgraph.home import Home
from pkgraph.model import PURPOSES
from pkgraph.settings import settings_from
from pkgraph.tables import KINDS
from resources.alerts import Alerts
from resources.answer_ledger import AnswerLedger
from resources.artifacts import JUDGEMENT, Artifacts
from resources.clock import Clock
from resources.shop import Shop
from resources.table_store import TableStore

LIVE = {
    "name": "openai/kitchen-model",
    "api_base": "http://127.0.0.1:9/v1",
    "input_usd_per_million": 1.0,
    "output_usd_per_million": 2.0,
}
DEFINITIONS = build_defs()


@dataclass
class Looking:
    """One home and the looks of its sensors."""

    home: Path
    instance: dg.DagsterInstance
    now: datetime = datetime(2026, 11, 1, 8, tzinfo=UTC)
    cursors: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settle_settings()
        Home(self.home).models.mkdir(parents=True)
        (Home(self.home).models / JUDGEMENT).write_text("{}")

    @property
    def catalog(self) -> Path:
        return self.home / "catalog.csv"

    def settle_settings(self, **sections: Any) -> None:
        data = {"catalog": {"path": str(self.catalog)}, "models": [LIVE], **sections}
        shop = settings_from(data, name="test")
        Home(self.home).settings.write_text(json.dumps(shop.model_dump(mode="json")))

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)

    def look(self, name: str) -> dg.SensorExecutionData:
        home = str(self.home)
        doors = {
            "shop": Shop(home=home),
            "tables": TableStore(home=home),
            "artifacts": Artifacts(home=home),
            "answer_ledger": AnswerLedger(home=home),
            "alerts": Alerts(home=home),
            "clock": Clock(at=self.now.isoformat()),
        }
        sensor = DEFINITIONS.get_repository_def().get_sensor_def(name)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(name),
            repository_def=DEFINITIONS.get_repository_def(),
            sensor_name=name,
            resources={key: doors[key] for key in sensor.required_resource_keys},
        )
        with partition_loading_context(dynamic_partitions_store=self.instance):
            data = sensor.evaluate_tick(context)
        self.cursors[name] = data.cursor
        return data

    def asked(self, name: str) -> list[dg.RunRequest]:
        return list(self.look(name).run_requests or ())

    def made(self, asset: str, version: str, *, partition: str | None = None, **metadata: Any) -> None:
        """The event of a materialization, as a run would have written it."""
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                asset, partition=partition, metadata=metadata, tags={"dagster/data_version": version}
            )
        )

    def accepted(self, key: str, version: str) -> None:
        self.made("accepted_relations", version, partition=key)

    def distilled(self, key: str, kinds: str, mapped: str) -> None:
        """The events of `distil_category`."""
        self.made("catalog", kinds, partition=key)
        self.made("llm_responses", "answers", partition=key)
        self.made("mapped_relations", mapped, partition=key)

    def judged(self, key: str, mapped: str, judgement: str = "h1") -> None:
        """The events of `judge_category`."""
        self.made("scored_relations", ScoredFrom(mapped, judgement).version("scores"), partition=key)
        self.accepted(key, f"accepted {self.now}")

    def published(self, *, channel: str = MAIN, **merged: str) -> None:
        metadata: dict[str, Any] = {
            MERGED: dg.MetadataValue.json(merged),
            PUBLISHED_AT: self.now.isoformat(),
            CHANNEL: channel,
        }
        self.made("published_graph", "snapshot", **metadata)

    def ended(
        self, request: dg.RunRequest, job: str, status: dg.DagsterRunStatus = dg.DagsterRunStatus.FAILURE
    ) -> dg.DagsterRun:
        """The run of a request, in the status it came to."""
        assert request.run_key is not None
        definition = DEFINITIONS.resolve_job_def(job)
        return self.instance.create_run_for_job(
            definition,
            status=status,
            tags={**request.tags, "dagster/run_key": request.run_key},
        )

    def write_kinds(self, shelves: dict[str, list[str]], *, popularity: float = 0.1) -> None:
        """Kinds by category key; the partitions follow."""
        rows = [
            {"kind_id": f"{key}-{kind}", "kind": kind, "category": key.upper(), "category_key": key,
             "department": None, "n_skus": 1, "popularity": popularity}
            for key, kinds in shelves.items()
            for kind in kinds
        ]  # fmt: skip
        frame = KINDS.conform(pl.DataFrame(rows, schema=KINDS.schema))
        TableStore(home=str(self.home)).write(KINDS.name, frame)
        self.instance.add_dynamic_partitions(str(CATEGORIES.name), [*shelves, PURPOSES])

    def refreshed(self, key: str) -> None:
        """The events that a run of `refresh_category` leaves, of the kinds that are there now."""
        from pkg_assets.catalog import EMPTY
        from pkgraph.catalog.digest import category_versions

        kinds = TableStore(home=str(self.home)).read(KINDS.name)
        assert kinds is not None
        self.distilled(key, category_versions(kinds).get(key, EMPTY), "mapped")
        self.judged(key, "mapped")
