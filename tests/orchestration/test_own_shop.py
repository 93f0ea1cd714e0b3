"""`pkgraph build` for a shop of its own: columns of another name, answers from a local HTTP server."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from pkgraph.snapshot import open_published, snapshots
from tests.llm_server import FakeProvider, Reply
from tests.orchestration.building import KEY, KEY_NAME
from tests.orchestration.children import in_child
from tests.orchestration.conftest import Shop
from tests.orchestration.own_shop import kitchen_model, write_shop

N_PROMPTS = 9  # eight kinds and one purpose


@dataclass(frozen=True, slots=True)
class Said:
    code: object
    out: str
    err: str


def pkgraph(home: Path, *arguments: str) -> Said:
    """The command in a forked child: the same code as the installed one, without ten seconds of imports."""
    ended = in_child(pkgraph_here, home, arguments)
    assert ended.exit_code == 0, ended
    assert isinstance(ended.value, Said)
    return ended.value


def pkgraph_here(home: Path, arguments: tuple[str, ...]) -> Said:
    from pkgraph.cli import main

    os.environ.update({"PKGRAPH_HOME": str(home), KEY_NAME: KEY})
    sys.argv = ["pkgraph", *arguments]
    code: object = 0
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as end:
            code = end.code
    return Said(code, " ".join(out.getvalue().split()), " ".join(err.getvalue().split()))


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_shop_with_other_columns_is_built_by_the_command_line_and_recommends(tmp_path: Path) -> None:
    """The installed command itself, from another folder."""
    command = [str(Path(sys.executable).with_name("pkgraph")), "build", "--yes"]
    environment = {**os.environ, "PKGRAPH_HOME": str(tmp_path / "home"), KEY_NAME: KEY}
    with FakeProvider(kitchen_model) as provider:
        settings = write_shop(tmp_path / "shop", provider.url)
        done = subprocess.run(
            [*command, "--settings", str(settings), "--accept-uncertified", "first build"],
            env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=100, check=False,
        )  # fmt: skip
        asked = Counter(request.user_message for request in provider.asked)

    assert (done.returncode, done.stderr) == (0, "")
    assert "5 categories distilled" in done.stdout
    assert re.search(r"openai/kitchen-model: \d+ of \d+ mapped statements let in", done.stdout)
    assert sorted(asked.values()) == [1] * N_PROMPTS
    found = json.loads(pkgraph(tmp_path / "home", "recommend", "00017", "--json").out)
    skus = [item["sku"] for item in found["items"]]
    assert skus == ["00031", "00021"]
    (path,) = found["items"][0]["paths"]
    assert path["rationale"] == "italian dinner"
    assert path["relation_type"] == "ingredient"
    assert path["explanation"] == "An Italian dinner of spaghetti no 5 often has parmesan cheese in it."
    assert path["seed_sku"] == "00017"


def test_an_uncertified_graph_says_so_with_the_reason_wherever_it_is_served(shop: Shop) -> None:
    manifest = open_published(shop.home / "graph", verify=True).manifest
    said = pkgraph(shop.home, "recommend", "00017")

    assert manifest.certificate is None
    assert manifest.override == "first build"
    assert manifest.inputs["accepted_sku_loss"] is None
    assert said.err == "uncertified first build"
    assert "Parmesan" in said.out


def test_every_edge_leads_down_to_the_prompt_and_the_model(shop: Shop) -> None:
    sections = open_published(shop.home / "graph").sections

    assert list(sections.model_names) == ["openai/kitchen-model"]
    assert 0 < len(sections.prompt_ids) <= N_PROMPTS
    assert sorted(sections.sku_ids) == [
        "00017", "00018", "00019", "00021", "00022", "00031", "00032", "00041",
    ]  # fmt: skip


def test_what_the_shop_does_not_sell_is_in_no_graph(shop: Shop) -> None:
    assert b"unicorn" not in everything_in(shop.home / "graph" / "snapshots")
    assert b"unicorn" in everything_in(shop.home / "tables" / "unmapped_products")


def test_a_second_build_asks_nothing_and_publishes_nothing_new(shop: Shop, home: Path) -> None:
    before = [record.snapshot_id for record in snapshots(home / "graph")]
    n_asked = len(shop.provider.asked)
    said = pkgraph(home, "build", "--accept-uncertified", "first build")

    assert said.code == 0
    assert "would be sent" not in said.out
    assert len(shop.provider.asked) == n_asked
    assert [record.snapshot_id for record in snapshots(home / "graph")] == before == [shop.built.snapshot_id]


def test_without_a_certificate_and_without_a_word_nothing_is_published(tmp_path: Path) -> None:
    with FakeProvider(kitchen_model) as provider:
        settings = write_shop(tmp_path / "shop", provider.url)
        said = pkgraph(tmp_path / "home", "build", "--settings", str(settings), "--yes")

    assert said.code == 3
    assert "Up to 9 prompts" in said.out
    assert "The graph has no valid certificate" in said.out
    assert "0 labels of 100 needed" in said.out
    assert "--accept-uncertified REASON" in said.out
    assert snapshots(tmp_path / "home" / "graph") == []


def test_without_yes_and_without_a_terminal_nothing_is_sent(tmp_path: Path) -> None:
    with FakeProvider(kitchen_model) as provider:
        settings = write_shop(tmp_path / "shop", provider.url)
        said = pkgraph(tmp_path / "home", "build", "--settings", str(settings))

    assert said.code == 2
    assert "A live model would be asked." in said.err
    assert "--yes" in said.err
    assert provider.asked == []


@pytest.mark.parametrize("echo", [False, True], ids=["plain refusal", "refusal that repeats the key"])
def test_a_wrong_key_ends_the_build_and_is_never_shown(tmp_path: Path, echo: bool) -> None:
    refusal = Reply(f"Incorrect API key provided: {KEY if echo else 'sk-***'}.", status=401)
    with FakeProvider(refusal) as provider:
        settings = write_shop(tmp_path / "shop", provider.url)
        said = pkgraph(tmp_path / "home", "build", "--settings", str(settings), "--yes")

    assert said.code == 5
    assert "refuses every call" in said.err
    assert "its key" in said.err
    assert KEY not in said.out + said.err
    assert KEY.encode() not in everything_in(tmp_path / "home")
    assert {request.headers["authorization"] for request in provider.asked} == {f"Bearer {KEY}"}


def test_a_missing_key_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    with FakeProvider(kitchen_model) as provider:
        settings = write_shop(tmp_path / "shop", provider.url)
        settings.write_text(settings.read_text().replace(KEY_NAME, "NOBODY_SET_THIS"))
        said = pkgraph(tmp_path / "home", "build", "--settings", str(settings), "--yes")

    assert said.code == 2
    assert "NOBODY_SET_THIS" in said.err
    assert provider.asked == []


def test_a_category_nobody_sells_is_an_error_that_names_the_nearest(shop: Shop, home: Path) -> None:
    said = pkgraph(home, "build", "--category", "psta", "--yes")

    assert said.code == 2
    assert "no category 'psta'" in said.err
    assert "'Pasta'" in said.err
