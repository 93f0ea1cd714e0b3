"""Dagster's own home inside ours, set so that nothing is lost or sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from pkgraph.home import Home

# retry_on_asset_or_op_failure: a run that failed by a check must not be retried as if it were an accident.
# nux: the invitation to a newsletter that lies over every page of a browser's first visit.
# run_monitoring: a run that never starts, or does not end when told to, must not hold one of the two places
# for good. One may wait a day for a batch of prompts (docs/COSTS.md); after 30 h it waits for nothing.
DAGSTER_YAML = """\
telemetry:
  enabled: false
nux:
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
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
  cancel_timeout_seconds: 180
  max_runtime_seconds: 108000
  free_slots_after_run_end_seconds: 300
  poll_interval_seconds: 60
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


_OPEN_STORAGE = """\
storage:
  custom:
    module: pkg_assets.build_storage
    class: BuildStorage
    config:
      base_dir: {folder}
"""


@contextmanager
def build_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """The same instance as in the UI, over the same files, but opened once and without capturing output."""
    config = (home.dagster / "dagster.yaml").read_text(encoding="utf-8")
    if "compute_logs:" not in config:
        config += _NO_CAPTURE
    # A user who keeps Dagster's history elsewhere, in PostgreSQL say, has a section of that name.
    if not re.search(r"^(storage|\w+_storage):", config, re.MULTILINE):
        config += _OPEN_STORAGE.format(folder=json.dumps(str(home.dagster)))
    (home.dagster / BUILD_YAML).write_text(config, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home.dagster), BUILD_YAML) as instance:
        yield instance


def environment(home: Home) -> dict[str, str]:
    """What a Dagster process of this home needs in its environment."""
    return {
        "DAGSTER_HOME": str(home.dagster),
        "PKGRAPH_HOME": str(home.root),
        # Otherwise litellm fetches its price list from the network at import.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
