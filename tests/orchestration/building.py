"""What the children of the tests do: build, materialize one asset, die at a given moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pkgraph.errors import PkgraphError
from pkgraph.home import Home
from tests.orchestration.children import PATIENCE_S, ROOT, Ended, in_child

KEY_NAME, KEY = "KITCHEN_KEY", "sk-kitchen-4711"
UNCERTIFIED = "first build"


@dataclass(frozen=True, slots=True)
class Built:
    """What a build in a child came to."""

    exit_code: int
    said: str
    failures: dict[str, str] = field(default_factory=dict)
    published: dict[str, Any] = field(default_factory=dict)

    @property
    def snapshot_id(self) -> str:
        return str(self.published["snapshot_id"])


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a child kills itself.

    Attributes:
        what: A table, an artifact ("judgement.json") or a moment of publishing ("judged").
        when: "before" or "after" it is written.
        nth: The how manieth time.
    """

    what: str
    when: str = "after"
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.what} {self.nth}"


def build(
    home: Path, settings: Path | None = None, *, patience_s: float = PATIENCE_S, **request: Any
) -> Built:
    """Build in a child that lives."""
    given = {"accept_uncertified": UNCERTIFIED, **request}
    ended = in_child(build_here, home, settings, None, given, patience_s=patience_s)
    assert ended.exit_code == 0, ended
    assert isinstance(ended.value, Built)
    return ended.value


def try_to_build(
    home: Path, settings: Path | None = None, *, kill: Moment | None = None, **request: Any
) -> Ended:
    """Build in a child that may die."""
    return in_child(build_here, home, settings, kill, {"accept_uncertified": UNCERTIFIED, **request})


def build_here(home: Path, settings: Path | None, kill: Moment | None, request: dict[str, Any]) -> Built:
    from pkg_assets import build as builder

    os.environ[KEY_NAME] = KEY
    at = Home(home)
    with killing(kill):
        try:
            builder.prepare(at, builder.Choice(settings=settings), ROOT)
            report = builder.build(
                at, builder.Request(**request), tick=lambda *_: None, may_ask=lambda _: True
            )
        except PkgraphError as error:
            return Built(error.exit_code, str(error))
    said = "\n".join(report.lines())
    return Built(report.exit_code, said, dict(report.failures), dict(report.published))


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of a few assets came to."""

    is_success: bool
    reason: str
    metadata: dict[str, dict[str, Any]]


def materialize(
    home: Path,
    *assets: str,
    partition: str | None = None,
    ops: dict[str, Any] | None = None,
    has_checks: bool = True,
) -> Ran:
    """One run of these assets alone, as a person starts it in the UI, or without any check of the project."""
    ended = in_child(materialize_here, home, assets, partition, ops, has_checks)
    assert ended.exit_code == 0, ended
    assert isinstance(ended.value, Ran)
    return ended.value


def materialize_here(
    home: Path, assets: tuple[str, ...], partition: str | None, ops: dict[str, Any] | None, has_checks: bool
) -> Ran:
    import dagster as dg

    from pkg_assets import build as builder
    from pkg_assets.definitions import STAGES, build_defs
    from pkg_assets.instance import build_instance
    from pkg_assets.runs import Runner

    os.environ[KEY_NAME] = KEY
    builder.prepare(Home(home), builder.Choice(), ROOT)
    job = dg.define_asset_job(
        "a_person", dg.AssetSelection.assets(*assets), executor_def=dg.in_process_executor
    )
    definitions = dg.Definitions.merge(build_defs(), dg.Definitions(jobs=[job]))
    if not has_checks:
        definitions = dg.Definitions(assets=STAGES, jobs=[job], resources=build_defs().resources)
    with build_instance(Home(home)) as instance:
        result, failure = Runner(definitions, instance).run("a_person", partition=partition, ops=ops)
        made = {
            event.asset_key.to_user_string(): {
                name: value.value for name, value in event.materialization.metadata.items()
            }
            for event in result.all_events
            if event.is_step_materialization and event.asset_key
        }
    return Ran(result.success, failure.reason if failure else "", made)


def as_if_trained(home: Path) -> None:
    """Note that training made the judgement that lies in the home."""
    ended = in_child(as_if_trained_here, home)
    assert ended.exit_code == 0, ended


def as_if_trained_here(home: Path) -> None:
    import dagster as dg

    from pkg_assets.instance import build_instance
    from pkg_assets.versions import VERSION_TAG
    from pkgraph.acceptance.judgement import fingerprint_of

    version = fingerprint_of((home / "models" / "judgement.json").read_text())
    made = dg.AssetMaterialization("hallucination_classifier", tags={VERSION_TAG: version})
    with build_instance(Home(home)) as instance:
        instance.report_runless_asset_event(made)


@dataclass(frozen=True, slots=True)
class Again:
    """What a category's judging came to, and what came of executing it again from where it failed."""

    first: bool
    again: bool
    materialized: frozenset[str]


def judge_twice(home: Path, partition: str) -> Again:
    """Judge a category, then re-execute the run from failure, as the button of the UI does."""
    ended = in_child(judge_twice_here, home, partition)
    assert ended.exit_code == 0, ended
    assert isinstance(ended.value, Again)
    return ended.value


def judge_category_job() -> Any:
    """The job, for dagster to make anew."""
    from pkg_assets.definitions import build_defs

    return build_defs().resolve_job_def("judge_category")


def judge_twice_here(home: Path, partition: str) -> Again:
    import dagster as dg

    from pkg_assets import build as builder
    from pkg_assets.instance import build_instance
    from tests.orchestration.building import judge_category_job as job

    builder.prepare(Home(home), builder.Choice(), ROOT)
    tags = {"dagster/partition": partition}
    with build_instance(Home(home)) as instance:
        first = dg.execute_job(dg.reconstructable(job), instance, tags=tags)
        options = dg.ReexecutionOptions.from_failure(first.run_id, instance)
        with (
            first,
            dg.execute_job(
                dg.reconstructable(job), instance, tags=tags, reexecution_options=options
            ) as again,
        ):
            events = [event for event in again.all_events if event.is_step_materialization]
            made = frozenset(event.asset_key.to_user_string() for event in events if event.asset_key)
            return Again(first.success, again.success, made)


@contextmanager
def killing(kill: Moment | None) -> Iterator[None]:
    """The doors of this process, made to end it at the moment."""
    if kill is None:
        yield
        return
    from pkgraph import snapshot
    from resources.artifacts import Artifacts
    from resources.table_store import TableStore

    strike = _striking(kill)
    write, replacing, publish = TableStore.write, Artifacts.replacing, snapshot.publish

    def deadly_write(self: TableStore, table: str, *arguments: Any) -> Path:
        strike("before", table)
        path = write(self, table, *arguments)
        strike("after", table)
        return path

    @contextmanager
    def deadly_replacing(self: Artifacts, name: str) -> Iterator[Path]:
        with replacing(self, name) as path:
            yield path
            strike("before", name)
        strike("after", name)

    def deadly_publish(*arguments: Any, **named: Any) -> Any:
        return publish(*arguments, **named, moment=lambda name: strike("after", name))

    for owner, name, deadly in (
        (TableStore, "write", deadly_write),
        (Artifacts, "replacing", deadly_replacing),
        (snapshot, "publish", deadly_publish),
    ):
        setattr(owner, name, deadly)
    yield
    raise AssertionError(f"the build ended without passing {kill}")


def _striking(kill: Moment) -> Callable[[str, str], None]:
    passed: list[str] = []

    def strike(when: str, what: str) -> None:
        if (when, what) == (kill.when, kill.what):
            passed.append(what)
            if len(passed) == kill.nth:
                os.kill(os.getpid(), signal.SIGKILL)

    return strike
