"""The commands about what is published."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgraph.home import Home
from pkgraph.snapshot import open_published
from tests.published import publish_shop
from tests.serving.test_cli_reading import run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("PKGRAPH_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    for version in ("1", "2"):
        publish_shop(Home(tmp_path).graph, version=version)
    return Home(tmp_path)


def test_every_commit_is_listed_and_the_served_one_marked(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "snapshots") == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if "publish" in line]
    assert len(lines) == 2
    assert "●" in lines[0]
    assert open_published(home.graph).manifest.snapshot_id in lines[0]


def test_a_rollback_serves_the_old_snapshot_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = open_published(home.graph).manifest.snapshot_id

    assert run(monkeypatch, "rollback", "1") == 0
    assert open_published(home.graph).manifest.snapshot_id != newest


@pytest.mark.usefixtures("home")
def test_a_rollback_to_nowhere_is_exit_2_and_names_what_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "rollback", "99") == 2
    assert "Present" in capsys.readouterr().err


def test_verify_reads_every_byte_and_names_the_damaged_file(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "verify") == 0

    victim = max(open_published(home.graph).path.iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.chmod(0o644)
    victim.write_bytes(content)

    assert run(monkeypatch, "verify") == 6
    assert victim.name in capsys.readouterr().err
