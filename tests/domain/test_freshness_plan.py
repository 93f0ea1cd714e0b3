"""What is known of each category, how old it is, and what is still to be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from pkgraph.catalog import kinds_of
from pkgraph.freshness import category_prompts, staleness, with_age_limits
from pkgraph.model import PURPOSES
from pkgraph.prompts.shop import prompts_of_kinds, prompts_of_purposes
from pkgraph.settings import FreshnessSettings, PromptSettings
from tests.shop import products

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SETTINGS = PromptSettings(purposes=("taco night",))


def prompts() -> pl.DataFrame:
    kinds = kinds_of(products())
    found = category_prompts(kinds, prompts_of_kinds(kinds, SETTINGS), prompts_of_purposes(SETTINGS))
    return with_age_limits(found, FreshnessSettings())


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
    assert (whole["n_due"], partly["n_due"]) == (0, 2)


def test_an_answer_is_due_from_its_age_limit_on() -> None:
    flowers = prompts().filter(category="flowers")["prompt_id"].to_list()
    ages = dict(zip(flowers, (NOW - timedelta(days=d) for d in (29.9, 30, 100)), strict=True))
    found = report(ages).row(by_predicate=pl.col("category") == "flowers", named=True)

    assert (found["n_due"], found["age_limit_days"], found["due_age_days"]) == (2, 30.0, 65.0)
    assert found["due_input_tokens"] < prompts().filter(category="flowers")["input_tokens"].sum()


def test_a_purpose_has_the_traffic_of_a_category_on_average() -> None:
    found = report({})
    shelves = found.filter(pl.col("category") != PURPOSES)["traffic"]

    assert found.filter(category=PURPOSES)["traffic"].to_list() == [shelves.mean()]
