"""The commands that read a graph: answers on the output, everything else on the error stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pkgraph.cli import main
from pkgraph.home import Home
from pkgraph.snapshot.compile import compile_graph
from tests.published import publish_shop
from tests.shop import SHOP, STATEMENTS, accepted, products


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("PKGRAPH_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    return Home(tmp_path)


@pytest.fixture
def shop(home: Home) -> Home:
    publish_shop(home.graph)
    return home


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["pkgraph", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.mark.usefixtures("shop")
def test_a_product_is_recommended_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "recommend", "f1") == 0

    shown = capsys.readouterr().out
    assert "glass vase" in shown
    assert "Cut flowers stand in a vase." in shown


@pytest.mark.usefixtures("shop")
def test_json_is_one_object_that_names_unknown_skus(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "recommend", "f1", "nobody", "-k", "1", "--json") == 0

    answer = json.loads(capsys.readouterr().out)
    assert [item["sku"] for item in answer["items"]] == ["c2"]
    assert answer["unknown_skus"] == ["nobody"]


@pytest.mark.usefixtures("shop")
def test_a_purpose_needs_no_product(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "recommend", "--purpose", "Mother's Day gift") == 0
    assert "chocolate" in capsys.readouterr().out


@pytest.mark.usefixtures("shop")
def test_words_find_products(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "search", "glass", "va") == 0
    assert "v1" in capsys.readouterr().out


@pytest.mark.usefixtures("shop")
def test_nothing_asked_for_is_exit_2_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "recommend") == 2

    streams = capsys.readouterr()
    assert not streams.out
    assert "remedy" in streams.err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", [("recommend", "f1"), ("search", "x"), ("snapshots",), ("verify",)])
def test_without_a_graph_every_reader_is_exit_6_and_says_what_to_run(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *command) == 6
    assert "pkgraph build" in capsys.readouterr().err


def test_text_of_the_catalog_cannot_steer_the_terminal(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "\x1b[31m[bold]vase[/bold]\x07"
    renamed = {**SHOP, "vases": ("flowers", [("v1", hostile, 0.01)])}
    publish_shop(home.graph, compile_graph(products(renamed), accepted(STATEMENTS)))

    assert run(monkeypatch, "recommend", "f1") == 0

    shown = capsys.readouterr().out
    assert "\x1b[31m" not in shown
    assert "\x07" not in shown
    assert "[bold]vase[/bold]" in shown
