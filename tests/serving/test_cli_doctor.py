"""`pkgraph doctor`: healthy homes, and one finding for each thing that is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pkgraph.llm import Ledger
from tests.command import Command, Said
from tests.published import publish_shop

KEY = "sk-secret-4711"


@pytest.fixture
def home(pkgraph: Command) -> Command:
    """A home in which nothing is wrong."""
    pkgraph.home.mkdir()
    answers = pkgraph.home / "answers.jsonl"
    answers.touch()
    settle(pkgraph, {"name": "recorded", "answers": str(answers)})
    Ledger.open(pkgraph.home / "ledger.sqlite").close()
    publish_shop(pkgraph.home / "graph", version="1")
    publish_shop(pkgraph.home / "graph", version="2")
    return pkgraph


def settle(pkgraph: Command, *models: dict[str, Any]) -> None:
    settings = {"catalog": {"source": "complete_journey"}, "models": models}
    (pkgraph.home / "settings.json").write_text(json.dumps(settings), encoding="utf-8")


def findings(said: Said) -> str:
    """The rows that want a hand."""
    return "\n".join(line for line in said.out.splitlines() if "✗" in line)


def test_a_healthy_home_has_no_finding(home: Command) -> None:
    said = home("doctor")

    assert findings(said) == ""
    assert (said.code, said.err) == (0, "")
    assert "2 commits" in said.out


def test_an_empty_home_is_told_to_build(pkgraph: Command) -> None:
    said = pkgraph("doctor")

    assert said.code == 1
    assert "pkgraph build" in findings(said)
    assert not pkgraph.home.exists()


@pytest.mark.parametrize("is_set", [True, False])
def test_a_key_is_set_or_missing_and_never_shown(
    home: Command, monkeypatch: pytest.MonkeyPatch, is_set: bool
) -> None:
    settle(home, {"name": "openai/x", "api_key_env": "KITCHEN_KEY"})
    monkeypatch.delenv("KITCHEN_KEY", raising=False)
    if is_set:
        monkeypatch.setenv("KITCHEN_KEY", KEY)
    said = home("doctor")

    assert said.code == (0 if is_set else 1)
    assert ("export KITCHEN_KEY" in findings(said)) is not is_set
    assert KEY not in said.out + said.err


def _lose_answers(home: Path) -> None:
    (home / "answers.jsonl").unlink()


def _spoil_settings(home: Path) -> None:
    (home / "settings.json").write_text('{"catalog": ', encoding="utf-8")


def _spoil_ledger(home: Path) -> None:
    (home / "ledger.sqlite").write_bytes(b"no database at all" * 100)


def _spoil_newest_snapshot(home: Path) -> None:
    newest = json.loads(max((home / "graph" / "commits").glob("*.json")).read_text())
    manifest = next((home / "graph" / "snapshots").glob(f"*{newest['snapshot_id']}*")) / "MANIFEST.json"
    manifest.chmod(0o644)
    manifest.write_text("{}")


def _spoil_all_snapshots(home: Path) -> None:
    for manifest in (home / "graph" / "snapshots").glob("*/MANIFEST.json"):
        manifest.chmod(0o644)
        manifest.write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (_lose_answers, "answers.jsonl is gone"),
        (_spoil_settings, "build again with --settings"),
        (_spoil_ledger, "restore ledger.sqlite"),
        (_spoil_newest_snapshot, "passed over"),
        (_spoil_all_snapshots, "published graph"),
    ],
)
def test_one_thing_wrong_is_one_finding_with_its_remedy(home: Command, spoil: Any, named: str) -> None:
    spoil(home.home)
    said = home("doctor")

    assert said.code == 1
    assert named in findings(said)
    assert findings(said).count("✗") == 1
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("found", "reason"),
    [(None, "it was not built"), (SimpleNamespace(VERSION=0), "it was built from other sources")],
)
def test_a_kernel_that_cannot_be_used_is_a_finding_and_one_that_is_not_wanted_is_none(
    home: Command, monkeypatch: pytest.MonkeyPatch, found: Any, reason: str
) -> None:
    assert "compiled" in home("doctor").out
    monkeypatch.setitem(sys.modules, "pkgraph._kernel", found)
    said = home("doctor")
    assert (said.code, findings(said).count("✗"), reason in findings(said)) == (1, 1, True)
    assert "C compiler" in findings(said)
    monkeypatch.setenv("PKGRAPH_NO_KERNEL", "1")
    said = home("doctor")
    assert (said.code, "PKGRAPH_NO_KERNEL is set" in said.out) == (0, True)
