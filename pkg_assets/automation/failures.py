"""Failures that no further attempt is likely to heal are told to a person; dead runs are swept."""

from __future__ import annotations

import dagster as dg

from pkg_assets.automation.asking import ATTEMPT_TAG, PARTITION_TAG, is_final
from pkg_assets.runs import failure_of_run, sweep_dead_runs
from pkgraph.freshness.demand import ALERT_FROM_ATTEMPT, wait_s
from resources.alerts import Alert, Alerts


@dg.run_failure_sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A run failed for good or for the fifth time: tells a person, in the log and by the webhook.",
)
def alert_sensor(context: dg.RunFailureSensorContext, alerts: Alerts) -> None:
    """A run failed: said in the log; told to a person where it is final or has failed often enough."""
    run = context.dagster_run
    failure = failure_of_run(context.instance, run.run_id)
    attempt = int(run.tags.get(ATTEMPT_TAG, "0"))
    reason = failure.reason if failure.error else context.failure_event.message or failure.reason
    alert = Alert(run.job_name, run.tags.get(PARTITION_TAG), run.run_id, attempt, reason)
    # A run without the tag was started by a person, who sees it; every later attempt would repeat the alert.
    if attempt and (is_final(failure.error) or attempt == ALERT_FROM_ATTEMPT):
        context.log.error("%s It needs a person.", alert.sentence)
        if problem := alerts.send(alert):
            context.log.error(problem)
    elif attempt:
        context.log.warning("%s It is asked for again in %d s.", alert.sentence, wait_s(attempt))
    else:
        context.log.warning(alert.sentence)


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="The process of a run is gone: marks the run failed, so that it is asked for again.",
)
def dead_run_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Runs whose process was killed are marked failed; what they were asked for is asked for again."""
    n_dead = sweep_dead_runs(context.instance)
    return dg.SkipReason(f"{n_dead} dead runs marked as failed" if n_dead else "no run is dead")
