"""Dagster's own home inside ours, set so that nothing is lost or sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import dagster as dg

from pkgraph.home import Home

# retry_on_asset_or_op_failure: a run that failed by a check must not be retried as if it were an accident.
DAGSTER_YAML = """\
telemetry:
  enabled: false
run_retries:
  enabled: true
  max_retries: 0
  retry_on_asset_or_op_failure: false
concurrency:
  pools:
    default_limit: 1
    granularity: op
  runs:
    max_concurrent_runs: 2
freshness:
  enabled: true
"""


# A build prints to its own terminal: capturing its output once more starts two processes a run.
BUILD_YAML = "build.yaml"
_NO_CAPTURE = """\
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


def prepare_dagster(home: Home) -> None:
    """Write dagster.yaml where there is none; a user's own is left alone."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    config = home.dagster / "dagster.yaml"
    if not config.exists():
        config.write_text(DAGSTER_YAML, encoding="utf-8")


@contextmanager
def build_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """The same instance as in the UI, with its storage, but without capturing output."""
    config = (home.dagster / "dagster.yaml").read_text(encoding="utf-8")
    if "compute_logs:" not in config:
        config += _NO_CAPTURE
    (home.dagster / BUILD_YAML).write_text(config, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home.dagster), BUILD_YAML) as instance, _held_open(home):
        yield instance


@contextmanager
def _held_open(home: Home) -> Iterator[None]:
    """Keep one connection to each of Dagster's databases.

    Dagster opens and closes one an event, and SQLite folds its log into the file whenever the last closes:
    that is a tenth of a build.
    """
    with ExitStack() as stack:
        for path in (home.dagster / "history").glob("**/*.db"):
            if path.name in {"runs.db", "index.db"}:
                connection = stack.enter_context(closing(sqlite3.connect(path)))
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield


def environment(home: Home) -> dict[str, str]:
    """What a Dagster process of this home needs in its environment."""
    return {
        "DAGSTER_HOME": str(home.dagster),
        "PKGRAPH_HOME": str(home.root),
        # Otherwise litellm fetches its price list from the network at import.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
