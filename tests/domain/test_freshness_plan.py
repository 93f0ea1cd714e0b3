"""What is known of each category, how old it is, and what is still to be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from pkgraph.catalog import kinds_of
from pkgraph.freshness import category_prompts, staleness
from pkgraph.model import PURPOSES
from pkgraph.prompts.shop import prompts_of_kinds, prompts_of_purposes
from pkgraph.settings import PromptSettings
from tests.shop import products

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SETTINGS = PromptSettings(purposes=("taco night",))


def prompts() -> pl.DataFrame:
    kinds = kinds_of(products())
    return category_prompts(kinds, prompts_of_kinds(kinds, SETTINGS), prompts_of_purposes(SETTINGS))


def report(answered_at: dict[str, datetime]) -> pl.DataFrame:
    return staleness(kinds_of(products()), prompts(), answered_at, now=NOW)


def test_every_prompt_of_the_shop_belongs_to_one_category() -> None:
    found = prompts()

    assert found["prompt_id"].is_unique().all()
    assert found.height == kinds_of(products()).height + 1
    assert found.filter(category_key=PURPOSES).height == 1


def test_a_shop_that_was_never_asked_is_not_distilled_anywhere() -> None:
    found = report({})

    assert set(found["state"]) == {"not_distilled"}
    assert found["age_days"].null_count() == found.height
    assert int(found["n_answered"].sum()) == 0
    assert int(found["open_input_tokens"].sum()) == int(prompts()["input_tokens"].sum())


def test_the_oldest_answer_tells_the_age_and_a_missing_one_the_state() -> None:
    flowers = prompts().filter(category="flowers")["prompt_id"].to_list()
    ages = dict(zip(flowers, (NOW - timedelta(days=d) for d in (3, 10, 1)), strict=True))

    whole = report(ages).row(by_predicate=pl.col("category") == "flowers", named=True)
    partly = report({flowers[0]: NOW}).row(by_predicate=pl.col("category") == "flowers", named=True)

    assert (whole["state"], whole["age_days"], whole["open_output_tokens"]) == ("distilled", 10.0, 0)
    assert (partly["state"], partly["n_answered"], partly["n_prompts"]) == ("partly", 1, 3)
    assert partly["open_output_tokens"] > 0
