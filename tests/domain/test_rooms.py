"""Who may import whom, and what a reader of graphs never loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pkgraph import snapshot

ROOT = Path(__file__).parents[2]
HEAVY = ("dagster", "polars", "sklearn", "litellm", "great_expectations", "pandas", "sqlalchemy", "pydantic")


def test_every_room_imports_only_what_it_may() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert result.returncode == 0, result.stdout


def test_every_name_that_the_snapshots_offer_is_found_and_no_other() -> None:
    for name in snapshot.__all__:
        assert getattr(snapshot, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'sing'"):
        snapshot.sing  # type: ignore[attr-defined]  # noqa: B018


def test_the_command_line_answers_without_loading_the_pipeline() -> None:
    program = (
        "import sys\n"
        "from pkgraph.cli import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Exit codes:" in result.stdout
