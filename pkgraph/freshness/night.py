"""What one night refreshes: of what is due, the most valuable first, inside a budget; the rest is named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.freshness.plan import EXPECTED_OUTPUT_TOKENS
from pkgraph.tables import STALENESS_REPORT

if TYPE_CHECKING:
    from collections.abc import Mapping

# One basket in 10 000: without it, a category that no basket holds would never be worth anything.
LEAST_TRAFFIC = 1e-4
# The shop's mean weighs as much as ten statements: two changed ones do not make a category volatile.
PRIOR_STATEMENTS = 10
UNKNOWN_VOLATILITY = 0.5


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars a token, >= 0, of all models that are asked together."""

    input_usd: float
    output_usd: float

    def cost_usd(self, input_tokens: pl.Expr, output_tokens: pl.Expr) -> pl.Expr:
        return input_tokens * self.input_usd + output_tokens * self.output_usd


def plan_night(
    states: pl.DataFrame,
    changed: pl.DataFrame,
    *,
    price: Price | None,
    is_live: bool,
    budget_usd: float,
    day_usd: float,
    planned_at: datetime | None,
) -> pl.DataFrame:
    """Choose what is refreshed.

    The benefit of a category is traffic x age of what is due x volatility; those with the most benefit a
    dollar come first. What does not fit grows older, and so more valuable, until it does. What would fit on
    no day at all is refreshed in part, with all that is left when its turn comes.

    Args:
        states: As `staleness` gives them.
        changed: Columns category_key, n_compared and n_changed, as `changed_statements` gives them.
        price: Of the live models together; None where one of them is not known, and then nothing is asked.
        is_live: Whether any model can be asked; recorded answers stay as old as they are.
        budget_usd: What may be spent, >= 0.
        day_usd: What may be spent on a whole day, >= budget_usd.
        planned_at: When the schedule asked for this plan; None where it is for looking at alone.

    Returns:
        STALENESS_REPORT.
    """
    known = states.join(changed, on="category_key", how="left").with_columns(
        pl.col("n_compared", "n_changed").fill_null(0)
    )
    cost = (
        pl.lit(None, pl.Float64)
        if price is None
        else price.cost_usd(pl.col("due_input_tokens"), pl.col("due_output_tokens"))
    )
    valued = known.with_columns(
        volatility=_volatility(known), due_cost_usd=cost.cast(pl.Float64)
    ).with_columns(
        benefit=pl.max_horizontal("traffic", pl.lit(LEAST_TRAFFIC))
        * pl.col("due_age_days")
        * pl.col("volatility")
    )
    chosen, parted = _that_fit(valued, budget_usd, day_usd) if is_live and price is not None else ([], [])
    plan = (
        pl.when(pl.col("n_due") == 0)
        .then(pl.lit("fresh"))
        .when(pl.lit(not is_live))
        .then(pl.lit("recorded"))
        .when(pl.col("due_cost_usd").is_null())
        .then(pl.lit("unpriced"))
        .when(pl.col("category_key").is_in(chosen))
        .then(pl.lit("refresh"))
        .when(pl.col("category_key").is_in(parted))
        .then(pl.lit("part"))
        .otherwise(pl.lit("over_budget"))
    )
    chosen_at = pl.when(plan.is_in(["refresh", "part"])).then(pl.lit(planned_at, pl.Datetime("us", "UTC")))
    return STALENESS_REPORT.conform(valued.with_columns(plan=plan, planned_at=chosen_at))


def _that_fit(valued: pl.DataFrame, budget_usd: float, day_usd: float) -> tuple[list[str], list[str]]:
    """Keys of what is refreshed and of what is in part, most benefit a dollar first.

    One that is too dear for today leaves its place to cheaper ones; one that is too dear for any day takes
    what is left, where that pays for a prompt.
    """
    due = valued.filter(pl.col("n_due") > 0).with_columns(
        worth=pl.col("benefit") / pl.max_horizontal("due_cost_usd", pl.lit(1e-12)),
        prompt_usd=pl.col("due_cost_usd") / pl.col("n_due"),
    )
    left, whole, parted = budget_usd, list[str](), list[str]()
    ranked = due.sort("worth", "category_key", descending=[True, False])
    for key, cost, prompt_usd in ranked.select("category_key", "due_cost_usd", "prompt_usd").iter_rows():
        if cost <= left:
            left -= cost
            whole.append(key)
        elif cost > day_usd and prompt_usd <= left:
            left = 0.0
            parted.append(key)
    return whole, parted


def most_valuable(
    prompts: pl.DataFrame, worth: Mapping[str, float], *, price: Price, budget_usd: float
) -> list[str]:
    """The prompts that the money pays for, those of the kinds that most baskets hold first.

    Args:
        prompts: PROMPTS of one category that are to be asked.
        worth: Kind to its popularity; another one has none.
        price: Of the live models together.
        budget_usd: What may be spent, >= 0.
    """
    usd = price.cost_usd(pl.col("input_tokens"), pl.lit(EXPECTED_OUTPUT_TOKENS))
    popularity = pl.col("source_kind_id").replace_strict(dict(worth), default=0.0, return_dtype=pl.Float64)
    ranked = prompts.with_columns(usd=usd, popularity=popularity).sort(
        "popularity", "prompt_id", descending=[True, False]
    )
    return ranked.filter(pl.col("usd").cum_sum() <= budget_usd)["prompt_id"].to_list()


def _volatility(known: pl.DataFrame) -> pl.Expr:
    """Share of statements that a refresh changes, 0-1, drawn to the shop's mean where little was seen."""
    compared, changed = int(known["n_compared"].sum()), int(known["n_changed"].sum())
    mean = (changed + PRIOR_STATEMENTS * UNKNOWN_VOLATILITY) / (compared + PRIOR_STATEMENTS)
    return (pl.col("n_changed") + PRIOR_STATEMENTS * mean) / (pl.col("n_compared") + PRIOR_STATEMENTS)
