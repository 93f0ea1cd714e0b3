"""Whose money a request is sent for: a person's run has its own budget, the daemon's share one a day."""

from __future__ import annotations

from datetime import UTC, datetime

from pkgraph.llm import Ledger, Limits
from pkgraph.settings import Settings


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
