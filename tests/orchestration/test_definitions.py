"""The table of contents of the pipeline, spelled out by hand: a changed name is a changed contract."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from pkg_assets.definitions import build_defs
from tests.orchestration.children import ROOT

WHOLE = {
    "products", "rejected_products", "basket_lines", "rejected_basket_lines", "kinds", "co_purchase",
    "kind_index", "labelled_relations", "rejected_labels", "calibration_pairs", "hallucination_classifier",
    "published_graph",
    "offline_metrics", "staleness_report",
}  # fmt: skip
CUT = {
    "catalog", "prompts", "llm_responses", "relations", "unreadable_responses", "mapped_relations",
    "unmapped_products", "relation_evidence", "scored_relations", "accepted_relations", "judge_responses",
    "judge_verdicts", "unreadable_verdicts",
}  # fmt: skip
JOBS = {
    "read_catalog", "distil_category", "map_category", "train_classifier", "judge_category",
    "refresh_category", "publish", "measure", "report_staleness", "hear_judge",
}  # fmt: skip
AUTOMATIC = {
    "delivery_sensor", "category_sensor", "judging_sensor", "publish_sensor", "alert_sensor",
    "dead_run_sensor", "measuring", "nightly_plan",
}  # fmt: skip
BLOCKING = {
    ("products", "every_value_is_as_described"),
    ("products", "every_row_of_the_delivery_is_kept_or_rejected"),
    ("kinds", "every_value_is_as_described"),
    ("prompts", "every_prompt_is_rendered_once"),
    ("llm_responses", "every_value_is_as_described"),
    ("relations", "nothing_is_lost_while_reading"),
    ("judge_verdicts", "every_value_is_as_described"),
    ("mapped_relations", "nothing_is_lost_while_mapping"),
    ("relation_evidence", "every_signal_is_in_its_range"),
    ("scored_relations", "the_gate_of_the_category_is_open"),
}
TELLING = {
    ("products", "few_of_the_served_skus_are_gone"),
    ("published_graph", "every_rule_holds_of_the_published_bytes"),
    ("staleness_report", "no_knowledge_is_older_than_its_limit"),
}


@pytest.fixture(scope="module")
def specs() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in build_defs().resolve_all_asset_specs()}


def check_specs() -> list[dg.AssetCheckSpec]:
    return [spec for check in build_defs().asset_checks or () for spec in check.check_specs]


def test_the_assets_and_how_they_are_cut_are_these(specs: dict[str, dg.AssetSpec]) -> None:
    cut = {name for name, spec in specs.items() if spec.partitions_def is not None}

    assert set(specs) == WHOLE | CUT
    assert cut == CUT
    assert {spec.partitions_def.name for spec in specs.values() if spec.partitions_def} == {"category"}  # type: ignore[attr-defined]


def test_every_asset_says_what_it_is_whose_it_is_and_where_it_belongs(specs: dict[str, dg.AssetSpec]) -> None:
    mute = {name for name, spec in specs.items() if not (spec.description and spec.description.endswith("."))}
    groups = {spec.group_name for spec in specs.values()}

    assert mute == set()
    assert {name for name, spec in specs.items() if list(spec.owners) != ["team:pkgraph"]} == set()
    assert {name for name, spec in specs.items() if not spec.kinds} == set()
    assert {name for name, spec in specs.items() if spec.code_version is None} == set()
    assert groups == {"catalog", "distillation", "mapping", "gate", "graph", "measurement", "freshness"}


def test_every_table_describes_its_columns(specs: dict[str, dg.AssetSpec]) -> None:
    no_tables = {"kind_index", "hallucination_classifier", "published_graph"}

    assert {n for n, spec in specs.items() if "dagster/column_schema" not in spec.metadata} == no_tables


def test_the_jobs_are_these() -> None:
    assert {job.name for job in build_defs().jobs or ()} == JOBS


def test_what_runs_without_a_hand_on_it_is_this_and_runs_from_the_start() -> None:
    definitions = build_defs()
    automatic = [*(definitions.sensors or ()), *(definitions.schedules or ())]

    assert {one.name for one in automatic} == AUTOMATIC
    assert {one.default_status.value for one in automatic} == {"RUNNING"}
    assert [one.name for one in automatic if not one.description] == []


def test_ages_are_shown_by_freshness_policies(specs: dict[str, dg.AssetSpec]) -> None:
    aged = {name for name, spec in specs.items() if spec.freshness_policy is not None}

    assert aged == {"staleness_report", "published_graph"}


def test_the_checks_are_these_and_what_must_stop_a_run_stops_it() -> None:
    found = {(spec.asset_key.to_user_string(), spec.name): spec for spec in check_specs()}

    assert {name for name, spec in found.items() if spec.blocking} == BLOCKING
    assert {name for name, spec in found.items() if not spec.blocking} == TELLING
    assert [name for name, spec in found.items() if not spec.description] == []


def test_a_check_is_cut_as_its_asset_is() -> None:
    cut = {spec.asset_key.to_user_string() for spec in check_specs() if spec.partitions_def is not None}

    assert cut == {asset for asset, _ in BLOCKING} & CUT


def test_nothing_reaches_the_graph_but_through_the_gate(specs: dict[str, dg.AssetSpec]) -> None:
    def before(name: str) -> set[str]:
        return {dependency.asset_key.to_user_string() for dependency in specs[name].deps}

    assert before("accepted_relations") == {"scored_relations"}
    assert "accepted_relations" in before("published_graph")
    assert before("published_graph") & CUT <= {"accepted_relations", "relations"}


WATCHED = """
import builtins, os, socket, sys
from pathlib import Path
import dagster, polars  # what they do at import is their own business
root = Path(sys.argv[1])
touched = []
def audit(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir", "os.remove"}:
        touched.append((event, str(arguments)[:200]))
    if event == "open" and isinstance(arguments[0], str):
        path, mode = arguments[0], arguments[1] or ""
        code = path.endswith((".py", ".pyc", ".so", ".pth")) or "__pycache__" in path
        ours = Path(path).resolve().is_relative_to(root) and ".venv" not in path
        if (ours and not code) or any(letter in mode for letter in "wax+"):
            if "__pycache__" not in path:
                touched.append((event, path))
sys.addaudithook(audit)
before = dict(os.environ)
import pkg_assets.definitions
sys.stdout.write(repr((
    touched,
    before == dict(os.environ),
    sorted({"great_expectations", "litellm", "sklearn", "pandas", "matplotlib", "scipy"} & set(sys.modules)),
)))
"""


def test_importing_the_definitions_touches_nothing_and_loads_nothing_heavy(tmp_path: Path) -> None:
    """In a fresh interpreter, without a home folder and without our variables."""
    left_out = {"PKGRAPH_HOME", "DAGSTER_HOME", "LITELLM_LOCAL_MODEL_COST_MAP"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(ROOT)],
        env={**environment, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout == repr(([], True, []))
    assert list(tmp_path.iterdir()) == []


def test_the_workspace_loads_from_any_folder(tmp_path: Path) -> None:
    """`dagster definitions validate`, as a UI started elsewhere would load it."""
    environment = {**os.environ, "PKGRAPH_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(ROOT / "workspace.yaml")],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Validation successful for code location pkgraph" in done.stdout + done.stderr
