"""What the level-triggered sensors share: what is at work, which failures are final, requests, reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import dagster as dg

from pkg_assets.runs import PID_TAG, failure_of_run
from pkgraph.freshness import Asked, Look, Memory, look
from resources.processes import lives

ATTEMPT_TAG = "pkgraph/attempt"
PARTITION_TAG = "dagster/partition"
RUN_KEY_TAG = "dagster/run_key"
EVERY_S = 30
# Two runs are at work at a time; more than this in the queue helps nobody and hides what is urgent.
MAX_REQUESTS = 20
# Of any other class is what may pass: a provider that is down, another publisher, a kill.
_FINAL = {"GateRefused", "InputError", "SettingsError", "CatalogError", "TemplateError"}
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def at_work(instance: dg.DagsterInstance) -> tuple[set[str], set[str]]:
    """Jobs that have a run queued or started, whoever started it, and the categories of such runs."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED))
    return {run.job_name for run in runs}, {
        run.tags[PARTITION_TAG] for run in runs if PARTITION_TAG in run.tags
    }


def build_at_work(instance: dg.DagsterInstance) -> bool:
    """Whether a `pkgraph build` of this machine has begun and not ended; it does all of it."""
    return any(lives(run.tags.get(PID_TAG, "")) for run in instance.get_runs(limit=5))


def refusals(instance: dg.DagsterInstance) -> Callable[[Asked], bool]:
    """Whether a request ended so that asking again is in vain: gate, wrong input, canceled."""

    def was_refused(last: Asked) -> bool:
        runs = instance.get_runs(filters=dg.RunsFilter(tags={RUN_KEY_TAG: last.run_key}), limit=1)
        if not runs or runs[0].status == dg.DagsterRunStatus.SUCCESS:
            return False
        return runs[0].status == dg.DagsterRunStatus.CANCELED or is_final(
            failure_of_run(instance, runs[0].run_id).error
        )

    return was_refused


def is_final(error: tuple[str, ...]) -> bool:
    """Whether an error's class names say that only other data or settings can help."""
    return not _FINAL.isdisjoint(error)


def looked(
    instance: dg.DagsterInstance,
    wanted: Mapping[str, str],
    memory: Memory,
    *,
    under_way: set[str],
    now: datetime,
    limit: int = MAX_REQUESTS,
) -> Look:
    """What to ask for now."""
    return look(
        wanted,
        memory,
        under_way=under_way,
        was_refused=refusals(instance),
        now=now,
        limit=limit,
    )


def run_request(
    asked: Asked, *, partition: str | None = None, config: dict[str, Any] | None = None
) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=asked.run_key,
        partition_key=partition,
        run_config=config or {},
        tags={ATTEMPT_TAG: str(asked.attempt)},
    )


def why(waiting: Mapping[str, str], otherwise: str) -> str:
    """Why nothing is asked for, for the page of the sensor: "3 wait: at work (2), its turn comes (1)"."""
    if not waiting:
        return otherwise
    reasons = sorted(set(waiting.values()))
    counted = [f"{reason} ({sum(one == reason for one in waiting.values())})" for reason in reasons[:5]]
    return f"{len(waiting)} wait: {', '.join(counted)}"
