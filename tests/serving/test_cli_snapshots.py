"""The commands about what is published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pkgraph.home import Home
from pkgraph.snapshot import channel_root, open_published
from tests.published import graph_of, publish_shop
from tests.serving.test_cli_reading import run
from tests.shop import STATEMENTS, Told


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


def output(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_diff_without_a_word_compares_what_is_served_with_the_one_before(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_shop(home.graph, graph_of(STATEMENTS[:-1]), version="3")
    assert run(monkeypatch, "diff") == 0

    said = output(capsys)
    assert "relations 0 in, 1 out, 0 changed" in said
    assert "purpose → candles" in said
    assert "inputs version" in said
    assert "scented candle g1 0 1" in said


def test_diff_compares_a_commit_with_a_channel_and_says_all_of_it_as_json(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    canary = publish_shop(channel_root(home.graph, "canary"), graph_of(STATEMENTS[:-1]))
    assert run(monkeypatch, "diff", "1", "canary", "--json") == 0

    found = json.loads(capsys.readouterr().out)
    assert found["after_id"] == canary.snapshot_id
    assert [(one["source"], one["target"]) for one in found["relations_out"]] == [(None, "candles")]
    assert found["relations_in"] == []


def test_text_of_a_model_cannot_act_on_the_terminal(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil: list[Told] = [*STATEMENTS, ("tulips", "complement", "[red]\x1b[2J", "vases", 0.9, "x")]
    publish_shop(home.graph, graph_of(evil), version="3")
    assert run(monkeypatch, "diff") == 0

    said = capsys.readouterr().out
    assert "\x1b[2J" not in said
    assert "[red]" in said


@pytest.mark.usefixtures("home")
def test_diff_with_an_unknown_snapshot_is_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "diff", "99") == 2
    assert "Present" in capsys.readouterr().err


def test_the_first_snapshot_has_nothing_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKGRAPH_HOME", str(tmp_path))
    publish_shop(Home(tmp_path).graph)
    assert run(monkeypatch, "diff") == 2


def test_promote_serves_the_channel_and_a_second_time_says_already(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served = open_published(home.graph).snapshot_id
    root = channel_root(home.graph, "canary")
    canary = publish_shop(root, graph_of(STATEMENTS[:-1]), base=served)

    assert run(monkeypatch, "snapshots", "--channel", "canary") == 0
    assert canary.snapshot_id in output(capsys)
    assert run(monkeypatch, "promote") == 0
    assert open_published(home.graph).snapshot_id == canary.snapshot_id
    assert run(monkeypatch, "promote", "canary") == 0
    assert "already" in output(capsys)


@pytest.mark.usefixtures("home")
def test_promoting_a_channel_nobody_published_to_is_exit_6(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "promote", "blue") == 6
    assert "pkgraph build --channel blue" in capsys.readouterr().err
