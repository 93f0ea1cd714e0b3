"""`pkgraph labels`: a queue goes out as a file, comes back with verdicts, and is counted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import polars as pl
import pytest

from pkgraph.home import Home
from pkgraph.tables import (
    ACCEPTED_RELATIONS,
    KINDS,
    MAPPED_RELATIONS,
    RELATIONS,
    SCORED_RELATIONS,
    Table,
)
from tests.command import Command
from tests.published import publish_shop
from tests.shop import accepted, products


@pytest.fixture
def shop(pkgraph: Command) -> Command:
    """A published graph, and the tables it was made from."""
    home = Home(pkgraph.home)
    publish_shop(home.graph)
    rows = accepted()
    scores = rows.with_columns(
        holds_probability=pl.col("probability"),
        is_accepted=pl.lit(value=True),
        reasons=pl.lit([], pl.List(pl.String)),
    )
    kinds = (
        products()
        .group_by("kind_id")
        .agg(
            pl.col("kind", "category", "category_key", "department").first(),
            pl.col("popularity").sum(),
            n_skus=pl.len(),
        )
    )
    for table, frame in (
        (RELATIONS, rows), (MAPPED_RELATIONS, rows), (ACCEPTED_RELATIONS, rows), (SCORED_RELATIONS, scores),
        (KINDS, kinds),
    ):  # fmt: skip
        write(home, table, frame)
    return pkgraph


def write(home: Home, table: Table, frame: pl.DataFrame) -> None:
    home.tables.mkdir(parents=True, exist_ok=True)
    table.conform(frame).write_parquet(home.tables / f"{table.name}.parquet")


def filled_in(path: Path, **said: str) -> None:
    rows = list(csv.DictReader(path.read_text().splitlines()))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(row | said for row in rows)


def test_a_queue_goes_out_and_comes_back_as_labels(shop: Command, tmp_path: Path) -> None:
    path = tmp_path / "next.csv"
    out = shop("labels", "queue", "-n", "4", "--audit-share", "0.5", "--seed", "1", "--out", str(path))
    filled_in(path, holds="1", fit="2")
    back = shop("labels", "import", str(path), "--annotator", "ada")
    again = shop("labels", "import", str(path), "--annotator", "ada")
    stats = json.loads(shop("labels", "stats", "--json").out)

    assert (out.code, back.code, again.code) == (0, 0, 0)
    n = stats["n_standing"]
    assert f"{n} rows: {n} new labels, 0 known before." in back.out
    assert f"{n} rows: 0 new labels, {n} known before." in again.out
    assert stats["audit"] == {"n_draws": 2, "n_judged": 2, "n_wrong": 0}
    assert {row["drawn"] for row in stats["by"]} == {"audit", "active"}


def test_the_queue_says_nothing_of_scores_or_of_the_audit(shop: Command) -> None:
    said = shop("labels", "queue", "-n", "4", "--json")
    rows = [json.loads(line) for line in said.out.splitlines()]

    assert len(rows) == 4
    assert all(not {"probability", "is_audit", "drawn", "is_accepted"} & row.keys() for row in rows)
    assert "probability" not in shop("labels", "queue").out


def test_asking_again_draws_nothing_new_while_audits_wait(shop: Command) -> None:
    for _ in range(3):
        shop("labels", "queue", "-n", "5", "--audit-share", "0.4")

    audit = json.loads(shop("labels", "stats", "--json").out)["audit"]
    assert audit["n_draws"] in {2, 3}  # where the same pair was drawn twice, one more was needed
    assert audit["n_judged"] == 0


def test_refused_rows_are_shown_and_inert(shop: Command, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    good = {"relation_id": accepted()["relation_id"][0], "holds": True}
    bad = {"relation_id": "\x1b[31m[bold]x", "holds": True}
    path.write_text("\n".join(json.dumps(row) for row in (good, bad)))
    said = shop("labels", "import", str(path), "--annotator", "ada")

    assert said.code == 0
    assert "refused row 2: unknown_relation" in said.err
    assert "\x1b" not in said.err


def test_a_file_without_one_usable_row_is_a_wrong_argument(shop: Command, tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("relation_id\tholds\nnothing\t1\n")

    assert shop("labels", "import", str(path)).code == 2
    assert shop("labels", "import", str(tmp_path / "none.tsv")).code == 2


def test_labels_of_a_shop_without_relations_have_to_wait(pkgraph: Command, tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("relation_id\tholds\nnothing\t1\n")
    said = pkgraph("labels", "import", str(path))

    assert said.code == 2
    assert "Run `pkgraph build` first" in said.err


def test_labels_are_exported_with_what_was_judged(shop: Command, tmp_path: Path) -> None:
    source, target = tmp_path / "labels.jsonl", tmp_path / "out.csv"
    source.write_text(json.dumps({"relation_id": accepted()["relation_id"][0], "holds": 1}))
    shop("labels", "import", str(source), "--annotator", "ada")
    said = shop("labels", "export", str(target))
    [row] = list(csv.DictReader(target.read_text().splitlines()))

    assert "1 labels written" in said.out
    assert (row["annotator"], row["holds"]) == ("ada", "1")
    assert "in the shop" in row["text"]


def test_without_a_published_graph_there_is_no_audit(pkgraph: Command) -> None:
    said = pkgraph("labels", "queue")

    assert said.code == 0
    assert "no audit" in said.err
    assert "Nothing to review" in said.out


@pytest.mark.parametrize("command", ["import", "export", "queue", "stats"])
def test_every_command_shows_examples(pkgraph: Command, command: str) -> None:
    said = pkgraph("labels", command, "--help")

    assert said.code == 0
    assert f"pkgraph labels {command}" in said.out.split("Examples:")[1]
