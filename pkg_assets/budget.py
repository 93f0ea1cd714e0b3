"""Whose money a request is sent for: a person's run has its own budget, the daemon's share one a day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl

from pkgraph.freshness.night import Price, most_valuable
from pkgraph.llm import Ledger, Limits
from pkgraph.llm.prices import Prices
from pkgraph.settings import Settings
from resources.prices import prices_of


def limits_of_run(settings: Settings, run_id: str) -> Limits:
    return Limits(run_id, settings.spending.budget_usd, settings.spending.daily_cap_usd)


def limits_of_daemon(settings: Settings, now: datetime) -> Limits:
    """One name a day, so that what two runs at once set aside counts for both."""
    name = f"daemon {now.astimezone(UTC):%Y-%m-%d}"
    return Limits(name, settings.freshness.daily_budget_usd, settings.spending.daily_cap_usd)


def budget_left(settings: Settings, ledger: Ledger, now: datetime) -> float:
    """What the daemon may still spend today, US dollars, >= 0; what people spend counts for the cap alone."""
    limits = limits_of_daemon(settings, now)
    spent = ledger.spent(limits, now)
    left = settings.freshness.daily_budget_usd - spent.run_usd
    if limits.daily_cap_usd is not None:
        left = min(left, limits.daily_cap_usd - spent.day_usd)
    return max(0.0, left)


def budget_of_a_day(settings: Settings) -> float:
    """What the daemon may spend on a whole day that nobody else spends anything on, US dollars, >= 0."""
    cap = settings.spending.daily_cap_usd
    daily = settings.freshness.daily_budget_usd
    return daily if cap is None else min(daily, cap)


def live_models(settings: Settings) -> list[str]:
    return [model.name for model in settings.models if model.answers is None]


def price_of(settings: Settings) -> Price | None:
    """What a prompt costs when all live models and the judge are asked; None where a price is not known."""
    prices = [prices_of(model) for model in settings.models if model.answers is None]
    judge = prices_of(settings.judge) if settings.judge and settings.judge.answers is None else Prices(0, 0)
    known = [price for price in prices if price is not None]
    if len(known) < len(prices) or judge is None:
        return None
    # A judge reads each answer once, beside a rubric as long as the prompt, and says less than the answer.
    heard = len(settings.models)
    return Price(
        sum(price.input_usd for price in known) + heard * judge.input_usd,
        sum(price.output_usd for price in known) + heard * (judge.input_usd + judge.output_usd),
    )


def paid_for(
    prompts: pl.DataFrame,
    worth: Mapping[str, float],
    due: Mapping[str, datetime],
    settings: Settings,
    ledger: Ledger,
    now: datetime,
) -> pl.DataFrame:
    """Those of a category's prompts that are to be asked and that what is left of today pays for.

    Args:
        prompts: PROMPTS.
        worth: Kind to its popularity; the most popular ones come first.
        due: Prompt to the moment before which its answer is too old; where there is none, any answer will do.
        settings: The shop's.
        ledger: Knows what was answered, and what was spent today.
        now: The time.
    """
    models, price = live_models(settings), price_of(settings)
    answered_at = ledger.answered_at(prompts["prompt_id"], models=models)
    known = [key for key, moment in answered_at.items() if key not in due or moment > due[key]]
    still_open = prompts.filter(~pl.col("prompt_id").is_in(known))
    if price is None or not models:
        return still_open.clear()
    chosen = most_valuable(still_open, worth, price=price, budget_usd=budget_left(settings, ledger, now))
    return still_open.filter(pl.col("prompt_id").is_in(chosen))
