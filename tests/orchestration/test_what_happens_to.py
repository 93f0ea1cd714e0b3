"""Bad rows, bad answers, an empty category, one that vanished: rows with reasons, and the rest goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pkgraph.llm import Ledger
from pkgraph.snapshot import open_published, snapshots
from tests.llm_server import Asked, FakeProvider, Reply
from tests.orchestration.building import build, materialize
from tests.orchestration.conftest import Shop
from tests.orchestration.own_shop import CATALOG, kitchen_model, write_shop

Opened = Callable[..., tuple[Path, FakeProvider]]
BAD_ROWS = """\
;No Number 500 g;Pasta;1.00
00051;;Pasta;1.00
00052;Nowhere 500 g;;1.00
00053;Grissini 100 g;Pasta;1.00
00053;Ciabatta 400 g;Pasta;2.00
"""
PASTA_ONLY = """\
article;description;shelf;price
00017;Spaghetti No. 5 500 g;Pasta;1.29
00031;Parmesan Cheese 150 g;Pasta;4.99
"""


def served_skus(home: Path) -> set[str]:
    return set(open_published(home / "graph", verify=True).sections.sku_ids)


def part(home: Path, table: str, category: str) -> pl.DataFrame:
    (path,) = (home / "tables" / table).glob(f"{category}*.parquet")
    return pl.read_parquet(path)


def test_a_bad_row_of_the_catalog_costs_that_row_and_is_listed_with_its_line(
    open_shop: Opened, tmp_path: Path
) -> None:
    settings, _ = open_shop(PASTA_ONLY + BAD_ROWS)
    built = build(tmp_path / "home", settings)

    assert built.exit_code == 0, built.said
    rejected = pl.read_parquet(tmp_path / "home" / "tables" / "rejected_products.parquet")
    assert rejected["row"].unique().sort().to_list() == [4, 5, 6, 7, 8]
    assert rejected.filter(pl.col("reason") == "").is_empty()
    assert served_skus(tmp_path / "home") == {"00017", "00031"}


def bad_mouth(asked: Asked) -> Reply:
    """Not JSON about pesto, a statement of an unknown type about mozzarella, nothing about wine."""
    if "pesto" in asked.user_message.lower():
        return Reply("I am sorry, I cannot help with groceries.")
    reply = kitchen_model(asked)
    if "mozzarella" in asked.user_message.lower():
        answer = json.loads(reply.text or "")
        answer["relations"][0]["relation"] = "marriage"
        return Reply(json.dumps(answer))
    if "wine" in asked.user_message.lower():
        return Reply('{"relations": []}')
    return reply


@pytest.fixture(scope="module")
def bad_answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], int]:
    folder = tmp_path_factory.mktemp("bad")
    with FakeProvider(bad_mouth) as provider:
        built = build(folder / "home", write_shop(folder / "shop", provider.url))
    return folder / "home", built.failures, built.exit_code


def test_a_bad_answer_is_a_row_with_its_reason(bad_answers: tuple[Path, dict[str, str], int]) -> None:
    home, _, exit_code = bad_answers

    assert exit_code == 0
    assert part(home, "unreadable_responses", "sauces")["reason"].to_list() == ["not_json"]
    assert part(home, "unreadable_responses", "cheese")["reason"].to_list() == ["unknown_relation_type"]
    assert part(home, "relations", "cheese")["source_kind"].n_unique() == 2


def test_a_category_of_which_nothing_was_said_stays_shut_and_the_others_publish(
    bad_answers: tuple[Path, dict[str, str], int],
) -> None:
    home, failures, exit_code = bad_answers

    assert exit_code == 0
    assert [key.rpartition("-")[0] for key in failures] == ["wine"]
    assert not list((home / "tables" / "accepted_relations").glob("wine*"))
    assert open_published(home / "graph").n_edges > 0


def test_a_category_that_vanished_leaves_the_graph_and_stays_in_the_ledger(
    shop: Shop, home: Path, tmp_path: Path
) -> None:
    without_wine = "".join(line for line in CATALOG.splitlines(keepends=True) if "Wine" not in line)
    settings = write_shop(tmp_path / "smaller", shop.provider.url, without_wine)
    n_asked = len(shop.provider.asked)
    refused = build(home, settings)
    assert refused.exit_code == 3  # one SKU of eight is more than a tenth
    assert "served_skus_are_lost" in refused.said
    assert len(snapshots(home / "graph")) == 1
    built = build(home, accept_sku_loss="no more wine")

    assert built.exit_code == 0, built.said
    graph = open_published(home / "graph", verify=True)
    assert graph.manifest.inputs["accepted_sku_loss"] == "no more wine"
    assert "00041" not in served_skus(home)
    assert not [kind for kind in graph.sections.kind_titles if "wine" in kind]
    with Ledger.open(home / "ledger.sqlite") as ledger:
        assert ledger.totals().n_answers == shop.n_asked
    assert len(shop.provider.asked) == n_asked


def test_an_answer_file_with_an_unknown_prompt_and_a_bad_line_is_counted_and_harms_nothing(
    shop: Shop, home: Path, tmp_path: Path
) -> None:
    answers = tmp_path / "answers.jsonl"
    unknown = {"prompt_id": "f" * 64, "model": "openai/kitchen-model", "response": '{"relations": []}'}
    answers.write_text(json.dumps(unknown) + "\nthis is no line\n")
    settings = json.loads((home / "settings.json").read_text())
    settings["models"] = [{"name": "openai/kitchen-model", "answers": str(answers)}]
    (home / "settings.json").write_text(json.dumps(settings))
    ran = materialize(home, "staleness_report")

    assert ran.is_success, ran.reason
    counted = ran.metadata["staleness_report"]["answer_files"]["openai/kitchen-model"]
    assert counted["unknown_prompts"] == 1
    assert counted["n_bad_lines"] == 1
    assert counted["bad_lines"][0].startswith("line 2: ")
