"""One night: of what is due the most valuable first, inside the budget; what does not fit is named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from pkgraph.freshness import Price, changed_statements, most_valuable, plan_night, staleness, with_age_limits
from pkgraph.freshness.plan import EXPECTED_OUTPUT_TOKENS
from pkgraph.settings import FreshnessSettings
from pkgraph.tables import KINDS

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
DOLLAR_A_PROMPT = Price(0, 1 / EXPECTED_OUTPUT_TOKENS)
UNSEEN = changed_statements([], pl.DataFrame(schema={"prompt_id": pl.String, "category_key": pl.String}))

Shelf = tuple[str, int, float, float]
"""Category, kinds, popularity of each, age in days of their answers."""


def planned(
    shelves: Sequence[Shelf], *, budget_usd: float, changed: pl.DataFrame = UNSEEN, **other: Any
) -> dict[str, str]:
    given = {"price": DOLLAR_A_PROMPT, "is_live": True, "planned_at": NOW, "day_usd": 1e9, **other}
    report = plan_night(states(shelves), changed, budget_usd=budget_usd, **given)
    return dict(report.select("category", "plan").iter_rows())


def states(shelves: Sequence[Shelf]) -> pl.DataFrame:
    rows: list[dict[str, Any]] = [
        {"kind_id": f"{name}{n}", "kind": f"{name}{n}", "category": name, "category_key": name,
         "n_skus": 1, "popularity": popularity, "age": age}
        for name, n_kinds, popularity, age in shelves
        for n in range(n_kinds)
    ]  # fmt: skip
    kinds = KINDS.conform(pl.DataFrame(rows).with_columns(department=pl.lit(None, pl.String)))
    prompts = pl.DataFrame(rows).select(
        "category_key", "category", purpose=pl.lit(None, pl.String), prompt_id="kind_id", input_tokens=100
    )
    answered_at = {row["kind_id"]: NOW - timedelta(days=row["age"]) for row in rows}
    return staleness(kinds, with_age_limits(prompts, FreshnessSettings()), answered_at, now=NOW)


def test_what_is_young_is_left_alone_whatever_there_is_to_spend() -> None:
    assert planned([("milk", 3, 0.5, 29), ("soap", 1, 0.1, 31)], budget_usd=100) == {
        "milk": "fresh",
        "soap": "refresh",
    }


def test_the_one_that_more_baskets_hold_comes_first() -> None:
    assert planned([("rare", 1, 0.01, 40), ("daily", 1, 0.3, 40)], budget_usd=1) == {
        "daily": "refresh",
        "rare": "over_budget",
    }


def test_of_equals_the_older_comes_first() -> None:
    assert planned([("a", 1, 0.1, 31), ("b", 1, 0.1, 60)], budget_usd=1) == {
        "a": "over_budget",
        "b": "refresh",
    }


def test_of_equals_the_cheaper_comes_first_and_a_dear_one_leaves_its_place_to_others() -> None:
    shelves = [("dear", 5, 0.03, 40), ("cheap", 1, 0.14, 40), ("least", 1, 0.001, 40)]

    assert planned(shelves, budget_usd=2) == {"dear": "over_budget", "cheap": "refresh", "least": "refresh"}


def test_what_would_fit_on_no_day_is_refreshed_in_part_when_its_turn_comes() -> None:
    shelves = [("dear", 5, 0.03, 60), ("worth more", 1, 0.5, 40), ("worth less", 1, 0.001, 40)]

    assert planned(shelves, budget_usd=3, day_usd=4) == {
        "worth more": "refresh",
        "dear": "part",
        "worth less": "over_budget",
    }
    assert planned(shelves, budget_usd=1.5, day_usd=4)["dear"] == "over_budget"


def test_the_best_sellers_are_asked_about_first_as_far_as_the_money_goes() -> None:
    rows = [{"prompt_id": f"p{n}", "source_kind_id": f"k{n}", "input_tokens": 100} for n in range(4)]
    popularity = {"k0": 0.1, "k1": 0.4, "k2": 0.3}

    def chosen(budget_usd: float) -> list[str]:
        prompts = pl.DataFrame(rows)
        return most_valuable(prompts, popularity, price=DOLLAR_A_PROMPT, budget_usd=budget_usd)

    assert chosen(0.99) == []
    assert chosen(2.5) == ["p1", "p2"]
    assert chosen(99) == ["p1", "p2", "p0", "p3"]


def test_of_equals_the_one_whose_answers_changed_before_comes_first() -> None:
    same = '{"relations": [{"relation": "complement", "product": "tea"}]}'
    other = '{"relations": [{"relation": "complement", "product": "rum"}]}'
    prompts = pl.DataFrame({"prompt_id": ["1", "2"], "category_key": ["still", "wild"]})
    changed = changed_statements([("1", same, same), ("2", same, other)], prompts)

    assert sorted(changed.rows()) == [("still", 1, 0), ("wild", 2, 2)]
    assert planned([("still", 1, 0.1, 40), ("wild", 1, 0.1, 40)], budget_usd=1, changed=changed) == {
        "still": "over_budget",
        "wild": "refresh",
    }


@pytest.mark.parametrize(
    ("circumstance", "reason"),
    [({"price": None}, "unpriced"), ({"is_live": False}, "recorded"), ({}, "over_budget")],
)
def test_what_cannot_be_refreshed_says_why(circumstance: dict[str, Any], reason: str) -> None:
    assert planned([("milk", 1, 0.5, 40)], budget_usd=0, **circumstance) == {"milk": reason}


def test_a_model_that_costs_nothing_is_asked_for_all_that_is_due_without_a_budget() -> None:
    found = planned([("milk", 1, 0.5, 40), ("soap", 1, 0.0, 40)], budget_usd=0, price=Price(0, 0))

    assert set(found.values()) == {"refresh"}


def test_a_plan_that_no_schedule_asked_for_binds_nobody() -> None:
    for moment in (NOW, None):
        report = plan_night(
            states([("milk", 1, 0.5, 40), ("soap", 1, 0.5, 1)]),
            UNSEEN,
            price=DOLLAR_A_PROMPT,
            is_live=True,
            budget_usd=9,
            day_usd=9,
            planned_at=moment,
        )
        assert dict(report.select("category", "planned_at").iter_rows()) == {"milk": moment, "soap": None}


def test_what_did_not_fit_grows_old_until_it_does_and_nobody_is_forgotten() -> None:
    """Thirty categories, money for one a night: after a year none is older than the limit and two rounds."""
    ages = {f"c{n:02}": 30.0 for n in range(30)}
    traffic = {name: 0.3 if n < 3 else 0.001 for n, name in enumerate(ages)}
    oldest = 0.0
    for night in range(365):
        plan = planned([(name, 1, traffic[name], age) for name, age in ages.items()], budget_usd=1)
        assert list(plan.values()).count("refresh") <= 1
        ages = {name: 1.0 if plan[name] == "refresh" else age + 1 for name, age in ages.items()}
        oldest = max(oldest, *ages.values()) if night > 60 else oldest

    assert oldest <= 30 + 2 * 30
