"""`pkgraph explain`: a relation's dossier down to the model's words, inert whatever they are."""

from __future__ import annotations

import json

import polars as pl
import pytest

from pkgraph.acceptance import score_relations
from pkgraph.acceptance.judgement import Judgement
from pkgraph.acceptance.pretrained import load_pretrained
from pkgraph.acceptance.verdicts import Policy
from pkgraph.evidence import gather_evidence
from pkgraph.home import Home
from pkgraph.labels import statement_key
from pkgraph.labels.store import Label, LabelStore, Pair
from pkgraph.llm import Ledger
from pkgraph.llm.answers import AnswerKey, StoredAnswer
from pkgraph.mapping import KindIndex
from pkgraph.model import Response
from pkgraph.tables import (
    CO_PURCHASE,
    KINDS,
    MAPPED_RELATIONS,
    RELATION_EVIDENCE,
    RELATIONS,
    SCORED_RELATIONS,
    UNMAPPED_PRODUCTS,
    Table,
)
from tests.command import Command
from tests.published import publish_shop
from tests.shop import accepted, products

NOW = "2026-11-25T10:00:00+00:00"
HOSTILE = '\x1b[2J{"relations": [[bold]"a card"\u202e]}'
MESSAGES = json.dumps([{"role": "user", "content": "product: carnations \x1b]0;owned\x07[red]x"}])
STRICT = Judgement(load_pretrained(), Policy(threshold=0.999_999))


def answer() -> StoredAnswer:
    said = Response("model-a", HOSTILE, input_tokens=120, output_tokens=80, cost_usd=0.002)
    return StoredAnswer(AnswerKey("prompt-carnations", "model-a", "{}", 0), 0, said, NOW)


RELATION_ID = f"{answer().response_id}-0"


@pytest.fixture
def shop(pkgraph: Command) -> Command:
    """A home with everything that is known of one relation: carnations, a card, mother's day."""
    home = Home(pkgraph.home)
    publish_shop(home.graph)
    rows = accepted()
    is_first = pl.col("relation_id") == "model-a-answer-0-0"
    rows = rows.with_columns(
        relation_id=pl.when(is_first).then(pl.lit(RELATION_ID)).otherwise("relation_id"),
        response_id=pl.when(is_first).then(pl.lit(answer().response_id)).otherwise("response_id"),
    )
    evidence = gather_evidence(
        rows,
        rows,
        unmapped_part=UNMAPPED_PRODUCTS.empty(),
        all_unmapped=UNMAPPED_PRODUCTS.empty(),
        co_purchase=CO_PURCHASE.empty(),
        kinds=kinds(),
    )
    mapped = MAPPED_RELATIONS.conform(rows)
    for table, frame in (
        (RELATIONS, rows), (MAPPED_RELATIONS, mapped), (RELATION_EVIDENCE, evidence), (KINDS, kinds()),
        (SCORED_RELATIONS, score_relations(mapped, evidence, STRICT.classifier, STRICT.policy)),
    ):  # fmt: skip
        write(home, table, frame)
    home.models.mkdir()
    (home.models / "judgement.json").write_text(STRICT.to_json())
    KindIndex.fit(kinds()).save(home.models / "kind_index.json")
    with Ledger.open(home.ledger) as ledger:
        ledger.record([answer()], {"prompt-carnations": MESSAGES})
    return pkgraph


def kinds() -> pl.DataFrame:
    grouped = products().group_by("kind_id")
    first = pl.col("kind", "category", "category_key", "department").first()
    return KINDS.conform(grouped.agg(first, pl.col("popularity").sum(), n_skus=pl.len()))


def write(home: Home, table: Table, frame: pl.DataFrame) -> None:
    home.tables.mkdir(parents=True, exist_ok=True)
    table.conform(frame).write_parquet(home.tables / f"{table.name}.parquet")


def test_the_dossier_goes_from_the_prompt_to_the_verdict(shop: Command) -> None:
    said = shop("explain", RELATION_ID, "--json")
    found = json.loads(said.out)

    assert (said.code, said.err) == (0, "")
    assert found["prompt"]["messages"] == json.loads(MESSAGES)
    assert found["answer"]["text"] == HOSTILE
    assert found["answer"]["cost_usd"] == 0.002
    assert [one["kind"] for one in found["candidates"] if one["is_target"]] == ["greeting cards"]
    [target] = found["targets"]
    assert target["is_accepted"] is False
    assert {one["reason"] for one in target["reasons"]} >= {"below_threshold"}
    assert {one["signal"] for one in target["signals"]} == set(RELATION_EVIDENCE.columns) - {
        "relation_id",
        "target_kind_id",
    }
    assert found["policy"]["threshold"] == 0.999_999


def test_what_spoke_for_and_against_sums_up_to_the_probability(shop: Command) -> None:
    found = json.loads(shop("explain", RELATION_ID, "--json").out)
    logit = sum(one["logit"] for one in found["parts"])

    assert found["targets"][0]["holds_probability"] == pytest.approx(1 / (1 + 2.718281828**-logit), abs=0.01)


def test_labels_are_shown_with_what_became_of_them(shop: Command) -> None:
    row = accepted().row(0, named=True)
    pair = Pair(RELATION_ID, row["prompt_id"], "model-a", 0, "0123456789ab", row["target_kind_id"])
    with LabelStore.open(Home(shop.home).labels) as store:
        store.add([Label(pair, True, "ada", NOW, fit=2), Label(pair, False, "ada", NOW, reason="vague")])
    found = json.loads(shop("explain", RELATION_ID, "--json").out)["labels"]

    assert [(one["annotator"], one["holds"], one["stands"]) for one in found] == [
        ("ada", True, False),
        ("ada", False, True),
    ]
    assert "vague" in shop("explain", RELATION_ID).out


def test_the_label_of_a_calibration_sample_is_shown_with_its_draw(shop: Command) -> None:
    row = accepted().row(0, named=True)
    sample, frame = shop.home / "sample.tsv", shop.home / "frame.tsv"
    texts = [row[name] for name in ("relation_type", "rationale", "product", "explanation")]
    said = {
        "prompt_id": row["prompt_id"], "model": row["model"], "position": row["position"],
        "statement": statement_key(*texts), "target_kind_id": row["target_kind_id"], "holds": 0, "fit": 2,
        "reason": "vague", "annotator": "J", "draw": 1742,
    }  # fmt: skip
    sample.write_text("\n".join("\t".join(map(str, line)) for line in (said, said.values())))
    settings = {
        "catalog": {"path": "shop.csv"},
        "models": [{"name": "model-a"}],
        "labels": {"calibration": str(sample), "calibration_frame": str(frame)},
    }
    Home(shop.home).settings.write_text(json.dumps(settings))
    (found,) = json.loads(shop("explain", RELATION_ID, "--json").out)["labels"]

    assert (found["file"], found["annotator"], found["holds"]) == ("sample.tsv", "J", False)
    assert (found["drawn"], found["draw"], found["fit"]) == ("calibration", 1742, 2)


def test_every_snapshot_that_holds_it_is_named(shop: Command) -> None:
    found = json.loads(shop("explain", "model-a-answer-1-0", "--json").out)["snapshots"]

    assert [(one["commit"], one["is_served"]) for one in found] == [(1, True)]
    assert [edge["target_kind"] for edge in found[0]["edges"]] == ["vases"]


def test_what_only_a_snapshot_still_knows_is_shown_all_the_same(shop: Command) -> None:
    """The answer was asked again: its relations are gone from the tables, not from the graph."""
    said = shop("explain", "model-a-answer-0-0")

    assert said.code == 0
    assert "It is in snapshots only" in said.out
    assert "greeting cards" in said.out


def test_nothing_a_model_or_a_catalog_wrote_reaches_the_terminal(shop: Command) -> None:
    said = shop("explain", RELATION_ID)

    assert not set("\x1b\x07\u202e") & set(said.out)
    assert '[2J{"relations": [[bold]"a card"]}' in said.out
    assert "]0;owned[red]x" in said.out
    assert not set("\x1b\x07\u202e") & set(shop("explain", RELATION_ID, "--json").out)


def test_an_unknown_relation_is_a_wrong_argument(shop: Command) -> None:
    said = shop("explain", "nothing-\x1b[2J7")

    assert said.code == 2
    assert "Nothing is known of the relation nothing-[2J7" in said.err


def test_on_an_empty_home_nothing_is_made(pkgraph: Command) -> None:
    assert pkgraph("explain", "r-0").code == 2
    assert not pkgraph.home.exists()
