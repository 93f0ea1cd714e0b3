"""One run after another in this process, and what to make of those that a dead process left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg

from pkgraph import errors
from pkgraph.errors import PkgraphError
from resources.processes import is_alive, is_of_this_machine, lives, this_process

# Set on every run of a build: a later one can tell a run that goes on from one whose process was killed.
PID_TAG = "pkgraph/pid"
# Dagster's own: address of the server that launched a run.
_LAUNCHED_BY = ".dagster/grpc_info"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run failed.

    Attributes:
        reason: One sentence, from the error or the failed check.
        error: Class names of the error and its causes, outermost first; empty where a check failed.
    """

    reason: str
    error: tuple[str, ...] = ()

    def as_error(self, job: str) -> PkgraphError:
        """The library's own error of that name where there is one, so that the exit code is its."""
        for name in reversed(self.error):
            kind = getattr(errors, name, None)
            if isinstance(kind, type) and issubclass(kind, PkgraphError):
                return kind(self.reason)
        return PkgraphError(f"{job} failed: {self.reason}", remedy="See the run in `pkgraph ui`.")


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs the jobs of the definitions on one instance."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance

    def run(
        self, job: str, *, partition: str | None = None, ops: dict[str, Any] | None = None
    ) -> tuple[dg.ExecuteInProcessResult, Failure | None]:
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=partition,
            run_config={**_QUIET, **({"ops": ops} if ops else {})},
            tags={PID_TAG: this_process()},
            raise_on_error=False,
        )
        return result, None if result.success else _failure(result)


def _failure(result: dg.ExecuteInProcessResult) -> Failure:
    for check in result.get_asset_check_evaluations():
        if not check.passed and check.blocking:
            return Failure(
                f"{check.asset_key.to_user_string()}: {check.check_name}: {check.description or 'failed'}"
            )
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            return _failure_of_step(event.step_failure_data)
    return Failure("the run failed; see it in `pkgraph ui`")


def _failure_of_step(data: Any) -> Failure:
    chain = [data.error]
    while chain[-1].cause is not None:
        chain.append(chain[-1].cause)
    said = data.user_failure_data and data.user_failure_data.description
    names = tuple(str(one.cls_name).rpartition(".")[2] for one in chain)
    text = said or chain[-1].message.partition(": ")[2] or chain[-1].message
    return Failure(" ".join(text.split())[:500], names)


def failure_of_run(instance: dg.DagsterInstance, run_id: str) -> Failure:
    """Why a run of any process failed, from the event log."""
    found = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1).records
    event = found[0].event_log_entry.dagster_event if found else None
    if event is not None and event.step_failure_data.error is not None:
        return _failure_of_step(event.step_failure_data)
    return Failure("the run failed before or outside of its steps; see it in `pkgraph ui`")


def dead_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Runs whose process was killed; Dagster itself leaves them as started where their server died too."""
    unfinished = instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED))
    return [run for run in unfinished if not _may_live(instance, run)]


def _may_live(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run's process lives, or is none of this machine."""
    if name := run.tags.get(PID_TAG):
        return lives(name) or not is_of_this_machine(name)
    if "localhost" not in run.tags.get(_LAUNCHED_BY, ""):
        return True
    told = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT, limit=20
    ).records
    for record in told:
        event = record.event_log_entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event else None
        if pid is not None:
            return is_alive(int(str(pid.value)), since=record.event_log_entry.timestamp)
    return True  # it is being started


def sweep_dead_runs(instance: dg.DagsterInstance) -> int:
    """Mark dead runs failed and free the pool slots they held, which nobody else would.

    Returns:
        How many there were.
    """
    dead = dead_runs(instance)
    for run in dead:
        instance.report_run_failed(run, "The process of this run was killed.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(dead)
