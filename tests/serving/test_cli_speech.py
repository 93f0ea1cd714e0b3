"""How the reading commands speak: what is wrong is named, what a catalog says is inert, help is quick."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pkgraph.cli.terminal import json_line, progress, safe
from pkgraph.snapshot.compile import compile_graph
from tests.command import Command
from tests.published import publish_shop
from tests.shop import SHOP, Shop, Told, accepted, products

HOSTILE = "\x1b[31m[bold]x :bomb: \u202egpj.exe\x9b2J"
INERT = "[31m[bold]x :bomb: gpj.exe2J"


@pytest.fixture
def shop(pkgraph: Command) -> Command:
    publish_shop(pkgraph.home / "graph")
    return pkgraph


def test_a_recommendation_shows_product_reason_and_snapshot(shop: Command) -> None:
    said = shop("recommend", "f1", "-k", "2")

    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("red carnations  f1 · flowers\n")
    [card] = [line for line in said.out.splitlines() if " c2 " in line]  # an id of hex may have it
    assert "complement: mother's day gift" in card
    assert "A card goes with the flowers." in card
    assert "glass vase" in said.out
    assert "tulips" not in said.out
    assert "snapshot " in said.out


def test_json_is_one_line_with_the_path_of_every_item(shop: Command) -> None:
    said = shop("recommend", "f1", "--json")
    found = json.loads(said.out)

    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1)
    assert [item["sku"] for item in found["items"]] == ["c2", "v1", "t1", "k1"]
    assert found["items"][0]["paths"][0]["rationale"] == "mother's day gift"


def test_options_reach_the_graph(shop: Command) -> None:
    said = shop(
        "recommend", "f1", "--exclude", "v1", "--relation", "accessory", "--relation", "substitute", "--json"
    )

    assert [item["sku"] for item in json.loads(said.out)["items"]] == ["t1"]


def test_an_unknown_sku_beside_a_known_one_is_named(shop: Command) -> None:
    said = shop("recommend", "f1", "f99")

    assert said.code == 0
    assert said.err == "unknown SKU f99\n"
    assert "birthday card" in said.out


@pytest.mark.parametrize(
    "arguments", [("f99",), ("f99", "f98", "--json"), ("--purpose", "xyzzy"), ("f99", "--purpose", "xyzzy")]
)
def test_where_nothing_is_known_the_argument_is_wrong(shop: Command, arguments: tuple[str, ...]) -> None:
    said = shop("recommend", *arguments)

    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error The graph does not know ")
    assert "pkgraph search" in said.err


def test_no_argument_is_an_error_that_says_what_to_name(shop: Command) -> None:
    said = shop("recommend")

    assert (said.code, said.out) == (2, "")
    assert (
        said.err
        == "error Nothing to recommend for.\nremedy Name a SKU (`pkgraph search pasta`) or a --purpose.\n"
    )


@pytest.mark.parametrize("wrong", [("-k", "0"), ("--relation", "cousin"), ("--frobnicate",)])
def test_a_wrong_option_is_named(shop: Command, wrong: tuple[str, ...]) -> None:
    said = shop("recommend", "f1", *wrong)

    assert (said.code, said.out) == (2, "")
    assert wrong[0] in said.err


def test_half_a_character_is_no_crash(shop: Command) -> None:
    said = shop("recommend", "f1", "\udcff")

    assert said.code in {0, 2}
    assert "Traceback" not in said.err


def test_a_product_without_relations_says_so(shop: Command) -> None:
    said = shop("recommend", "b1")

    assert said.code == 0
    assert "Nothing: the graph has no relation for it that passed the gate." in said.out


def test_many_sizes_of_one_kind_leave_room_for_others(pkgraph: Command) -> None:
    sizes = [(f"z{n}", f"pasta {n} oz", 0.9) for n in range(30)]
    shop: Shop = {**SHOP, "pasta": ("dry", sizes), "pasta sauce": ("sauce", [("s1", "pasta sauce", 0.01)])}
    publish_shop(pkgraph.home / "graph", compile_graph(products(shop), accepted()))

    assert "s1" in pkgraph("search", "--what", "product", "pasta", "-k", "5").out
    assert pkgraph("search", "--what", "product", "pasta").out.count(" z") == 2
    assert pkgraph("search", "--max-per-kind", "3", "--what", "product", "pasta").out.count(" z") == 3
    assert pkgraph("search", "-k", "1000", "pasta").code == 0


@pytest.mark.parametrize(
    "command", [("recommend", "f1"), ("search", "carnations"), ("verify",), ("snapshots",)]
)
def test_without_a_snapshot_every_reading_command_says_what_to_run(
    pkgraph: Command, command: tuple[str, ...]
) -> None:
    said = pkgraph(*command)

    assert (said.code, said.out) == (6, "")
    assert "error " in said.err
    assert "remedy " in said.err
    assert "pkgraph build" in said.err


def test_titles_and_explanations_are_shown_inert(pkgraph: Command) -> None:
    shop: Shop = {**SHOP, "vases": ("flowers", [("v1", HOSTILE, 0.01)])}
    told: list[Told] = [("carnations", "accessory", "flowers", "vases", 0.9, f"because {HOSTILE}")]
    publish_shop(pkgraph.home / "graph", compile_graph(products(shop), accepted(told)))
    seen = pkgraph("recommend", "f1").out

    assert seen.count(INERT) == 2
    for said in (seen, pkgraph("search", "bomb").out, pkgraph("recommend", "f1", "--json").out):
        assert not set(said) & {"\x1b", "\x9b", "\u202e"}
    assert json.loads(pkgraph("recommend", "f1", "--json").out)["items"][0]["title"] == HOSTILE


def test_json_and_text_keep_what_is_no_control() -> None:
    assert json_line({"título": "crème brûlée"}) == '{"título": "crème brûlée"}'
    assert json.loads(json_line("\x7f\x9b\udc80\u2066")) == "\x7f\x9b\udc80\u2066"
    assert safe("crème\nbrûlée") == "crème\nbrûlée"


def test_without_a_terminal_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as tick:
        tick("asking", 1, 2)

    assert capsys.readouterr() == ("", "")


def test_serve_says_that_nothing_is_published_and_that_it_waits(tmp_path: Path) -> None:
    """A port that is taken ends the real server at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [
            str(Path(sys.executable).with_name("pkgraph")),
            "serve",
            "--port",
            str(taken.getsockname()[1]),
        ]
        done = subprocess.run(
            command,
            env={"PKGRAPH_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode != 0
    assert "not ready Nothing is published" in done.stderr
    assert "503" in done.stderr
    assert "Traceback" not in done.stderr


HEAVY = {
    "dagster",
    "polars",
    "sklearn",
    "litellm",
    "great_expectations",
    "pandas",
    "pydantic",
    "numpy",
    "uvloop",
}
HELP = """
import sys, time
sys.argv = ["pkgraph", "--help"]
import pkgraph.cli
try:
    pkgraph.cli.main()
except SystemExit as end:
    assert not end.code
print(" ".join({name.partition(".")[0] for name in sys.modules}), time.process_time(), file=sys.stderr)
"""


def test_help_loads_nothing_heavy_and_is_there_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, timeout=60, check=True
    )
    *loaded, cpu_s = done.stderr.split()

    assert not set(loaded) & HEAVY
    assert float(cpu_s) < 1
    assert "pkgraph recommend 885863" in done.stdout
    assert "6  no readable snapshot" in done.stdout


@pytest.mark.parametrize("command", ["build", "recommend", "search", "serve", "rollback", "verify"])
def test_every_example_stands_on_a_line_of_its_own(pkgraph: Command, command: str) -> None:
    said = pkgraph(command, "--help")

    assert said.code == 0
    assert "\\b" not in said.out
    assert f"\n    pkgraph {command}" in said.out
