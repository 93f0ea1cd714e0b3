"""How old the knowledge of a category or a purpose may grow."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from pkgraph.settings import FreshnessSettings


def age_limit_days(
    settings: FreshnessSettings, *, category_key: str, category: str, purpose: str | None
) -> float:
    """Days; what the settings say of the category by name counts before its season, that before the default.

    A purpose is seasonal by its own words: "mother's day gift" is, "taco night" is not.
    """
    named = settings.category_age_limit_days
    own = named.get(category_key, named.get(category))
    if own is not None:
        return own
    seasonal = _pattern(settings.seasonal_words)
    text = (category if purpose is None else purpose).casefold().replace("’", "'")
    if seasonal is not None and seasonal.search(text):
        return min(settings.seasonal_age_limit_days, settings.age_limit_days)
    return settings.age_limit_days


def _pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    spelled = [re.escape(word.casefold()) for word in words if word.strip()]
    return re.compile(rf"(?<!\w)(?:{'|'.join(spelled)})(?!\w)") if spelled else None


def with_age_limits(prompts: pl.DataFrame, settings: FreshnessSettings) -> pl.DataFrame:
    """The prompts with `age_limit_days`.

    Args:
        prompts: As `category_prompts` gives them.
        settings: The shop's.
    """
    named = prompts.select("category_key", "category", "purpose").unique(maintain_order=True)
    limits = [
        age_limit_days(settings, category_key=key, category=category, purpose=purpose)
        for key, category, purpose in named.iter_rows()
    ]
    named = named.with_columns(age_limit_days=pl.Series(limits, dtype=pl.Float64))
    return prompts.join(named, on=named.columns[:3], how="left", nulls_equal=True, maintain_order="left")


def renew_before(
    prompts: pl.DataFrame, settings: FreshnessSettings, *, category_key: str, due_at: datetime
) -> dict[str, datetime]:
    """For each prompt of a category, before which moment its answer must have come to be due at `due_at`.

    The moment is fixed with the plan, so a run that is repeated asks for nothing twice.

    Args:
        prompts: PROMPTS of one category.
        settings: The shop's.
        category_key: The category.
        due_at: When it was planned, with a zone.
    """
    return {
        prompt_id: due_at
        - timedelta(
            days=age_limit_days(
                settings, category_key=category_key, category=category or category_key, purpose=purpose
            )
        )
        for prompt_id, category, purpose in prompts.select(
            "prompt_id", "source_category", "rationale"
        ).iter_rows()
    }
