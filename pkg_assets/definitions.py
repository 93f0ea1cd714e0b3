"""The table of contents: stages, checks, jobs, automation and doors, listed by hand."""

from __future__ import annotations

from typing import Any

import dagster as dg

from checks.asset_checks import CHECKS
from pkg_assets.acceptance import accepted_relations, scored_relations
from pkg_assets.automation.categories import category_sensor
from pkg_assets.automation.delivery import delivery_sensor
from pkg_assets.automation.failures import alert_sensor, dead_run_sensor
from pkg_assets.automation.judging import judging_sensor
from pkg_assets.automation.measuring import measuring
from pkg_assets.automation.nightly import nightly_plan
from pkg_assets.automation.publishing import publish_sensor
from pkg_assets.baskets import co_purchase
from pkg_assets.catalog import catalog, delivery, kinds
from pkg_assets.classifier import calibration_pairs, hallucination_classifier, labels
from pkg_assets.evidence import relation_evidence
from pkg_assets.judging import hearing
from pkg_assets.mapping import kind_index, resolution
from pkg_assets.measurement import offline_metrics
from pkg_assets.prompts import prompts
from pkg_assets.publishing import published_graph
from pkg_assets.relations import reading
from pkg_assets.responses import llm_responses
from pkg_assets.staleness import staleness_report
from resources.alerts import Alerts
from resources.answer_ledger import AnswerLedger
from resources.artifacts import Artifacts
from resources.clock import Clock
from resources.graph_store import GraphStore
from resources.label_store import ReviewersLabels
from resources.language_models import LanguageModels
from resources.shop import Shop
from resources.table_store import TableIO, TableStore

STAGES = (
    delivery,
    kinds,
    catalog,
    co_purchase,
    prompts,
    llm_responses,
    reading,
    hearing,
    kind_index,
    resolution,
    relation_evidence,
    labels,
    calibration_pairs,
    hallucination_classifier,
    scored_relations,
    accepted_relations,
    published_graph,
    offline_metrics,
    staleness_report,
)

DISTILLED = dg.AssetSelection.assets(catalog, prompts, llm_responses, reading, resolution)
HEARD = dg.AssetSelection.assets(hearing)
TRAINED = dg.AssetSelection.assets(labels, calibration_pairs, hallucination_classifier)
JUDGED = dg.AssetSelection.assets(relation_evidence, scored_relations, accepted_relations)


def _job(name: str, selection: dg.AssetSelection, description: str) -> Any:
    return dg.define_asset_job(name, selection, description=description, executor_def=dg.in_process_executor)


JOBS = (
    _job(
        "read_catalog",
        dg.AssetSelection.assets(delivery, kinds, kind_index, co_purchase),
        "The whole delivery.",
    ),
    _job("distil_category", DISTILLED, "From one category's products to its mapped relations."),
    _job(
        "map_category",
        dg.AssetSelection.assets(resolution),
        "The relations of one category by the new index.",
    ),
    _job("hear_judge", HEARD, "What a second model says of one category's statements."),
    _job("train_classifier", TRAINED, "The classifier and its certified thresholds."),
    _job("judge_category", JUDGED, "From one category's mapped relations to those that are accepted."),
    _job(
        "refresh_category",
        DISTILLED | HEARD | JUDGED,
        "One category from its products to its accepted relations.",
    ),
    _job("publish", dg.AssetSelection.assets(published_graph), "A graph of all that is accepted."),
    _job(
        "report_staleness", dg.AssetSelection.assets(staleness_report), "How old it is; a plan of the night."
    ),
    _job(
        "measure", dg.AssetSelection.assets(offline_metrics, staleness_report), "How good and how old it is."
    ),
)


SENSORS = (
    delivery_sensor,
    category_sensor,
    judging_sensor,
    publish_sensor,
    alert_sensor,
    dead_run_sensor,
    measuring,
)
SCHEDULES = (nightly_plan,)


def build_defs(**overrides: object) -> dg.Definitions:
    """The definitions, with doors replaced by name where a test brings its own."""
    home = dg.EnvVar("PKGRAPH_HOME")
    resources: dict[str, object] = {
        "io_manager": TableIO(store=TableStore(home=home)),
        "tables": TableStore(home=home),
        "shop": Shop(home=home),
        "language_models": LanguageModels(home=home),
        "answer_ledger": AnswerLedger(home=home),
        "label_store": ReviewersLabels(home=home),
        "artifacts": Artifacts(home=home),
        "graph_store": GraphStore(home=home),
        "clock": Clock(),
        "alerts": Alerts(home=home),
    }
    return dg.Definitions(
        assets=STAGES,
        asset_checks=CHECKS,
        jobs=JOBS,
        sensors=SENSORS,
        schedules=SCHEDULES,
        # What the UI or a condition runs outside of a job; a process a step costs 3 CPU seconds each.
        executor=dg.in_process_executor,
        resources={**resources, **overrides},
    )


defs = build_defs()
