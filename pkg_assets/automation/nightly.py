"""Every night a plan of what is due; `category_sensor` then asks for what the plan chose."""

from __future__ import annotations

from datetime import UTC

import dagster as dg

from pkgraph.tables import STALENESS_REPORT

JOB = "report_staleness"


@dg.schedule(
    job_name=JOB,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Chooses what is refreshed tonight, and reports what is due and does not fit.",
)
def nightly_plan(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """At 02:00 UTC, since the day that a budget counts for begins at midnight UTC."""
    night = context.scheduled_execution_time.astimezone(UTC).isoformat()
    config = {"ops": {STALENESS_REPORT.name: {"config": {"planned_at": night}}}}
    return dg.RunRequest(run_key=night, run_config=config)
