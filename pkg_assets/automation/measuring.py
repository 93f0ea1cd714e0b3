"""Asks for what a declarative condition wants; only `offline_metrics` has one."""

from __future__ import annotations

import dagster as dg

measuring = dg.AutomationConditionSensorDefinition(
    "measuring",
    target=dg.AssetSelection.assets("offline_metrics"),
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Measures the published graph again.",
)
