"""The daemon, played: it looks when it is told to, at the time it is told, and runs here what is asked for.

It remembers run keys for good, as Dagster does, and keeps the cursor of each sensor.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import partition_loading_context

from pkg_assets.automation.failures import alert_sensor
from pkg_assets.definitions import build_defs
from pkg_assets.instance import build_instance, environment
from pkg_assets.runs import failure_of_run
from pkgraph.home import Home
from resources.alerts import Alerts
from resources.clock import Clock
from tests.orchestration.building import Moment
from tests.orchestration.children import ROOT

LEVEL_TRIGGERED = ("delivery_sensor", "category_sensor", "judging_sensor", "publish_sensor")
EVERY = timedelta(seconds=30)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class PlayedClock(Clock):
    """It is as late as the file says."""

    file: str

    def now(self) -> datetime:
        return datetime.fromisoformat(Path(self.file).read_text())


@dataclass
class PlayedDaemon:
    """The daemon of one home.

    Attributes:
        ran: One entry a run: job, category or "", whether it succeeded.
        said: What each sensor said last where it asked for nothing.
        kill: Where the next run of `refresh_category` dies.
    """

    home: Path
    instance: dg.DagsterInstance
    clock: Path
    now: datetime
    definitions: dg.Definitions
    cursors: dict[str, str | None] = field(default_factory=dict)
    run_keys: set[str] = field(default_factory=set)
    ran: list[tuple[str, str, bool]] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    kill: Moment | None = None
    _told: set[str] = field(default_factory=set)

    def at(self, moment: datetime) -> None:
        self.now = moment
        self.clock.write_text(moment.isoformat())

    def tick(self, name: str) -> int:
        """One look of a sensor; what it asks for is run. Returns how many runs that were."""
        repository = self.definitions.get_repository_def()
        sensor, resources = repository.get_sensor_def(name), self.definitions.resources or {}
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(name),
            repository_def=repository,
            sensor_name=name,
            resources={key: resources[key] for key in sensor.required_resource_keys},
        )
        with partition_loading_context(dynamic_partitions_store=self.instance):
            data = sensor.evaluate_tick(context)
        for change in data.dynamic_partitions_requests or ():
            self._change(change)
        requests = [one for one in data.run_requests or () if one.run_key not in self.run_keys]
        for request in requests:
            self._run(request.job_name or sensor.job_name, request)
        self.cursors[name] = data.cursor
        self.said[name] = data.skip_message or ""
        return len(requests)

    def _change(self, change: Any) -> None:
        if isinstance(change, dg.AddDynamicPartitionsRequest):
            self.instance.add_dynamic_partitions(change.partitions_def_name, list(change.partition_keys))
        else:
            for key in change.partition_keys:
                self.instance.delete_dynamic_partition(change.partitions_def_name, key)

    def _run(self, job: str | None, request: dg.RunRequest) -> None:
        assert job is not None
        assert request.run_key is not None
        self.run_keys.add(request.run_key)
        if self.kill is not None and job == "refresh_category":
            self._run_to_death(job, request, self.kill)
            return
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            run_config={**QUIET, **request.run_config},
            tags={**request.tags, "dagster/run_key": request.run_key},
            raise_on_error=False,
        )
        self.ran.append((job, request.partition_key or "", result.success))
        if not result.success:
            self.said[f"{job} failed"] = failure_of_run(self.instance, result.run_id).reason

    def _run_to_death(self, job: str, request: dg.RunRequest, moment: Moment) -> None:
        told = {
            "home": str(self.home),
            "clock": str(self.clock),
            "job": job,
            "partition": request.partition_key,
            "run_config": {**QUIET, **request.run_config},
            "tags": {**request.tags, "dagster/run_key": request.run_key},
            "moment": (moment.what, moment.when, moment.nth),
        }
        command = [sys.executable, "-m", "tests.orchestration.dying_run", json.dumps(told)]
        died = subprocess.run(command, cwd=ROOT, check=False)
        assert died.returncode == -signal.SIGKILL
        self.kill = None
        self.ran.append((job, request.partition_key or "", False))

    def tell_failures(self) -> None:
        """What Dagster does after each failed run: the sensor of failures hears of it, once."""
        failed = self.instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        for run in reversed(failed):
            if run.run_id in self._told:
                continue
            self._told.add(run.run_id)
            (record,) = self.instance.get_records_for_run(
                run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE
            ).records
            event = record.event_log_entry.dagster_event
            assert event is not None
            context = dg.build_run_status_sensor_context(
                sensor_name="alert_sensor",
                dagster_event=event,
                dagster_instance=self.instance,
                dagster_run=run,
                resources={"alerts": Alerts(home=str(self.home))},
            ).for_run_failure()
            alert_sensor(context)

    def settle(self, *, looks: int = 20) -> Counter[str]:
        """Look every half minute until two looks in a row ask for nothing; how many runs each job had."""
        before, quiet = len(self.ran), 0
        for _ in range(looks):
            self.at(self.now + EVERY)
            self.tick("dead_run_sensor")
            quiet = 0 if sum([self.tick(name) for name in LEVEL_TRIGGERED]) else quiet + 1
            self.tell_failures()
            if quiet == 2:
                break
        return Counter(job for job, _, _ in self.ran[before:])

    def night(self) -> Counter[str]:
        """The next two o'clock and what follows from it."""
        day = self.now if self.now.hour < 2 else self.now + timedelta(days=1)
        self.at(day.replace(hour=2, minute=0, second=0))
        schedule = self.definitions.get_repository_def().get_schedule_def("nightly_plan")
        context = dg.build_schedule_context(instance=self.instance, scheduled_execution_time=self.now)
        before = len(self.ran)
        for request in schedule.evaluate_tick(context).run_requests or ():
            self._run(schedule.job_name, request)
        self.settle()
        return Counter(job for job, _, _ in self.ran[before:])


@contextmanager
def playing(home: Path, start: datetime) -> Iterator[PlayedDaemon]:
    os.environ.update(environment(Home(home)))
    clock = home / "clock"
    definitions = build_defs(clock=PlayedClock(file=str(clock)))
    with build_instance(Home(home)) as instance:
        daemon = PlayedDaemon(home, instance, clock, start, definitions)
        daemon.at(start)
        yield daemon
