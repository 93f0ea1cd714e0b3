"""Stage 11: what is known of each category, how old it is, and what the next night would do about it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from pkg_assets.budget import budget_left, budget_of_a_day, live_models, price_of
from pkg_assets.reporting import count_table, counts, sample_rows, table_result, table_spec
from pkgraph.home import Home
from pkgraph.llm import ReplayLanguageModel
from pkgraph.model import LanguageModel
from pkgraph.settings import Settings
from pkgraph.tables import STALENESS_REPORT
from resources.answer_ledger import AnswerLedger
from resources.clock import Clock
from resources.language_models import LanguageModels
from resources.shop import Shop

GROUP = "freshness"


class NightConfig(dg.Config):
    planned_at: str | None = Field(
        default=None,
        description="ISO 8601 with zone, set by the schedule: what the plan chooses is then refreshed.",
    )


@dg.asset(
    **table_spec(STALENESS_REPORT, GROUP),
    deps=["llm_responses"],
    code_version="2",
    # The schedule makes it every night; where it does not, nobody looks after the ages.
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
    ),
)
def staleness_report(
    config: NightConfig,
    kinds: pl.DataFrame,
    shop: Shop,
    language_models: LanguageModels,
    answer_ledger: AnswerLedger,
    clock: Clock,
) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.freshness import changed_statements, plan_night, staleness, with_age_limits

    settings, now = shop.settings(), clock.now()
    prompts = with_age_limits(prompts_by_category(kinds, settings), settings.freshness)
    with answer_ledger.open() as ledger:
        answered_at = ledger.answered_at(prompts["prompt_id"], models=live_models(settings))
        changed = changed_statements(ledger.renewed(), prompts)
        budget_usd = budget_left(settings, ledger, now)
    day_usd = budget_of_a_day(settings)
    report = plan_night(
        staleness(kinds, prompts, answered_at, now=now),
        changed,
        price=price_of(settings),
        is_live=bool(live_models(settings)),
        budget_usd=budget_usd,
        day_usd=day_usd,
        planned_at=datetime.fromisoformat(config.planned_at) if config.planned_at else None,
    )
    models = language_models.open()
    return table_result(
        STALENESS_REPORT,
        report,
        sample=("category", "state", "n_kinds", "n_answered", "age_days", "n_due", "plan"),
        by_state=count_table(counts(report, "state"), "state"),
        models=[model.name for model in models],
        answer_files=_answer_files(models, prompts["prompt_id"]),
        **_costs(shop),
        **_open(report),
        **_plan(report, budget_usd, day_usd),
    )


def _open(report: pl.DataFrame) -> dict[str, Any]:
    still_open = report.filter(pl.col("state") != "distilled")
    return {
        "open_prompts": int((still_open["n_prompts"] - still_open["n_answered"]).sum()),
        "open_input_tokens": int(still_open["open_input_tokens"].sum()),
        "open_output_tokens": int(still_open["open_output_tokens"].sum()),
    }


def _plan(report: pl.DataFrame, budget_usd: float, day_usd: float) -> dict[str, Any]:
    """What is refreshed, and by name what is due and is not, or not all of it, with what would help."""
    chosen = report.filter(pl.col("plan") == "refresh")
    left_out = report.filter(pl.col("plan").is_in(["part", "over_budget", "unpriced", "recorded"]))
    shown = left_out.sort("benefit", "category_key", descending=[True, False]).select(
        "category", "plan", "n_due", "age_days", "age_limit_days", "due_cost_usd", remedy=_remedy(day_usd)
    )
    planned_usd = float(chosen["due_cost_usd"].sum())
    return {
        "by_plan": count_table(counts(report, "plan"), "plan"),
        "oldest_days": float(report["age_days"].max() or 0),  # type: ignore[arg-type]
        "budget_left_usd": budget_usd,
        "planned_cost_usd": budget_usd if "part" in report["plan"] else planned_usd,
        "n_left_out": left_out.height,
        "left_out_cost_usd": float(left_out["due_cost_usd"].sum()),
        "left_out": sample_rows(shown.head(MAX_SHOWN), MAX_SHOWN),
    }


def _remedy(day_usd: float) -> pl.Expr:
    dear = pl.format(
        "dearer than a day's {} USD: best sellers first, day after day; raise daily_budget_usd to have all",
        pl.lit(f"{day_usd:g}"),
    )
    return (
        pl.when(pl.col("plan") == "recorded")
        .then(pl.lit("name a live model in [[models]]"))
        .when(pl.col("plan") == "unpriced")
        .then(pl.lit("give the model's prices in [[models]]"))
        .when(pl.col("due_cost_usd") > day_usd)
        .then(dear)
        .otherwise(pl.lit("none needed: what waits becomes more valuable; or raise daily_budget_usd"))
    )


# A page of the UI; the table has them all.
MAX_SHOWN = 100


def prompts_by_category(kinds: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Every prompt the shop's settings lead to, with its category."""
    from pkgraph.freshness import category_prompts
    from pkgraph.prompts.shop import prompts_of_kinds, prompts_of_purposes

    return category_prompts(
        kinds, prompts_of_kinds(kinds, settings.prompts), prompts_of_purposes(settings.prompts)
    )


def _costs(shop: Shop) -> dict[str, Any]:
    """What the knowledge that is there cost, by template and by category, and an accepted relation."""
    from pkgraph.measurement.costs import costs
    from pkgraph.stored import read_table
    from pkgraph.tables import ACCEPTED_RELATIONS, JUDGE_RESPONSES, LLM_RESPONSES, RELATIONS

    home = Home(Path(shop.home))
    asked = pl.concat([read_table(home, table) for table in (LLM_RESPONSES, JUDGE_RESPONSES)])
    relations, accepted = (read_table(home, table) for table in (RELATIONS, ACCEPTED_RELATIONS))
    by_template = costs(asked, relations, accepted, "template")
    usd, n_accepted = float(by_template["usd"].sum()), int(by_template["n_accepted"].sum())
    return {
        "cost_usd": usd,
        "usd_per_accepted_relation": usd / max(n_accepted, 1),
        "cost_by_template": sample_rows(by_template, n=20),
        "cost_by_category": sample_rows(costs(asked, relations, accepted, "category"), n=400),
    }


def _answer_files(
    models: Sequence[LanguageModel | ReplayLanguageModel], prompt_ids: Iterable[str]
) -> dg.MetadataValue:
    """Which recorded answers were left out, and why."""
    asked = set(prompt_ids)
    return dg.MetadataValue.json(
        {
            model.name: {
                "unknown_prompts": len(model.unused(asked)),
                "bad_lines": [f"line {bad.line}: {bad.reason}: {bad.detail}" for bad in model.bad_lines[:20]],
                "n_bad_lines": len(model.bad_lines),
            }
            for model in models
            if isinstance(model, ReplayLanguageModel)
        }
    )
