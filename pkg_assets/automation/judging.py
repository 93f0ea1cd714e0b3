"""Every category is judged by the classifier that is there, whoever trained it."""

from __future__ import annotations

import dagster as dg

from pkg_assets.automation.asking import (
    EVERY_S,
    MAX_REQUESTS,
    at_work,
    build_at_work,
    looked,
    run_request,
    why,
)
from pkg_assets.partitions import category_keys
from pkg_assets.versions import scored_by_partition, version_of, whole_categories
from pkgraph.freshness import Memory
from resources.clock import Clock

JOB = "judge_category"
TRAINING = "train_classifier"


@dg.sensor(
    job_name=JOB,
    minimum_interval_seconds=EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A category was judged by another classifier than the present one: judges it again.",
)
def judging_sensor(context: dg.SensorEvaluationContext, clock: Clock) -> dg.SensorResult:
    """The classifier or its thresholds are others: judge every category that was judged by the former.

    A category that is not whole is left to `category_sensor`, which judges it too.
    """
    instance = context.instance
    jobs, under_way = at_work(instance)
    present = version_of(instance, "hallucination_classifier")
    if present is None or TRAINING in jobs or build_at_work(instance):
        reason = "no classifier was trained yet, or one is being trained, or a build is at work"
        return dg.SensorResult(skip_reason=reason, cursor=context.cursor)
    scored, whole = scored_by_partition(instance), whole_categories(instance)
    wanted = {
        key: present for key in category_keys(instance) if key in whole and scored[key].judgement != present
    }
    found = looked(
        instance,
        wanted,
        Memory.from_json(context.cursor, now=clock.now()),
        under_way=under_way,
        now=clock.now(),
        limit=max(0, MAX_REQUESTS - len(under_way)),
    )
    return dg.SensorResult(
        run_requests=[run_request(asked, partition=key) for key, asked in found.requests.items()],
        skip_reason=None if found.requests else why(found.waiting, "all is judged by the present classifier"),
        cursor=found.memory.to_json(),
    )
