"""How old knowledge may grow: the default, the season, and what the settings say of a category by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from pkgraph.freshness import renew_before
from pkgraph.freshness.limits import age_limit_days
from pkgraph.prompts.shop import prompts_of_purposes
from pkgraph.settings import FreshnessSettings, PromptSettings

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("category", "purpose", "days"),
    [
        ("PASTA", None, 30),
        ("CHRISTMAS SEASONAL", None, 14),
        ("purposes", "mother\u2019s day gift", 14),
        ("purposes", "Mother's Day Gift", 14),
        ("purposes", "new year's eve toast", 14),
        ("purposes", "taco night", 30),
        ("FALLEN LOGS", None, 30),
        ("summery dresses", None, 30),
    ],
)
def test_a_season_shortens_the_limit_and_a_part_of_a_word_is_no_season(
    category: str, purpose: str | None, days: float
) -> None:
    found = age_limit_days(FreshnessSettings(), category_key="k", category=category, purpose=purpose)

    assert found == days


@pytest.mark.parametrize("name", ["CHRISTMAS", "christmas-12345678"])
def test_what_is_said_of_a_category_by_title_or_key_counts_before_its_season(name: str) -> None:
    settings = FreshnessSettings(category_age_limit_days={name: 3})
    found = age_limit_days(settings, category_key="christmas-12345678", category="CHRISTMAS", purpose=None)

    assert found == 3


def test_a_season_never_lengthens_a_limit() -> None:
    settings = FreshnessSettings(age_limit_days=7)

    assert age_limit_days(settings, category_key="k", category="EASTER", purpose=None) == 7


def test_without_seasonal_words_there_is_no_season() -> None:
    settings = FreshnessSettings(seasonal_words=())

    assert age_limit_days(settings, category_key="k", category="EASTER", purpose=None) == 30


@pytest.mark.parametrize("days", [0, -1])
def test_a_limit_of_no_time_is_refused(days: float) -> None:
    with pytest.raises(ValidationError):
        FreshnessSettings(category_age_limit_days={"PASTA": days})


def test_each_purpose_is_renewed_by_its_own_limit() -> None:
    prompts = prompts_of_purposes(PromptSettings(purposes=("taco night", "easter brunch")))
    moments = renew_before(prompts, FreshnessSettings(), category_key="purposes", due_at=NOW)
    of = {name: moments[key] for key, name in prompts.select("prompt_id", "rationale").iter_rows()}

    assert of == {"taco night": NOW - timedelta(days=30), "easter brunch": NOW - timedelta(days=14)}
