"""Stage 3: every prompt is answered, from the ledger or by a model; what is paid for is kept first."""

from contextlib import suppress
from datetime import datetime

import dagster as dg
import polars as pl
from pydantic import Field

from pkg_assets.budget import limits_of_daemon, limits_of_run, paid_for
from pkg_assets.partitions import CATEGORIES
from pkg_assets.reporting import count_table, counts, table_result, table_spec
from pkgraph.errors import BudgetExceeded
from pkgraph.settings import Settings
from pkgraph.tables import LLM_RESPONSES
from resources.answer_ledger import AnswerLedger
from resources.clock import Clock
from resources.language_models import LanguageModels
from resources.shop import Shop

GROUP = "distillation"


class AskConfig(dg.Config):
    """What is asked besides the prompts that have no answer yet."""

    due_at: str | None = Field(
        default=None,
        description="ISO 8601 with zone: what had reached its age limit then is asked for again.",
    )
    is_unattended: bool = Field(
        default=False, description="Nobody started it: it shares the day's budget of the daemon."
    )
    is_part: bool = Field(
        default=False,
        description="All of it is too dear for any day: what today's budget pays for, best sellers first.",
    )


@dg.asset(
    **table_spec(LLM_RESPONSES, GROUP, kinds=frozenset({"polars", "litellm"})),
    partitions_def=CATEGORIES,
    code_version="1",
    pool="llm_api",
)
def llm_responses(
    context: dg.AssetExecutionContext,
    config: AskConfig,
    prompts: pl.DataFrame,
    catalog: pl.DataFrame,
    shop: Shop,
    language_models: LanguageModels,
    answer_ledger: AnswerLedger,
    clock: Clock,
) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.llm import ask_all
    from pkgraph.relations import parse_status

    settings, now, models = shop.settings(), clock.now(), language_models.open()
    alone, due = config.is_unattended, _due(config, prompts, settings, context.partition_key)
    limits = limits_of_daemon(settings, now) if alone else limits_of_run(settings, context.run_id)
    with answer_ledger.open() as ledger:

        def ask(some: pl.DataFrame, *, may_ask: bool) -> pl.DataFrame:
            return ask_all(
                some,
                models,
                ledger,
                now=clock.now,
                limits=limits,
                may_ask=may_ask,
                parse_status=parse_status,
                renew_before=due,
            )

        if config.is_part:
            worth = dict(catalog.group_by("kind_id").agg(pl.col("popularity").sum()).iter_rows())
            # What is left may pay for the last prompts as they are expected, and not for their worst case.
            with suppress(BudgetExceeded):
                ask(paid_for(prompts, worth, due, settings, ledger, now), may_ask=language_models.may_ask)
        responses = ask(prompts, may_ask=language_models.may_ask and not config.is_part)
    answered = responses.filter(pl.col("status") == "answered")
    return table_result(
        LLM_RESPONSES,
        responses,
        sample=("model", "source_kind", "rationale", "status", "text"),
        answered_share=answered.height / max(responses.height, 1),
        by_status=count_table(counts(responses, "status"), "status"),
        input_tokens=int(answered["input_tokens"].sum()),
        output_tokens=int(answered["output_tokens"].sum()),
        cost_usd=float(answered["cost_usd"].sum()),
        usd_per_answer=float(answered["cost_usd"].sum()) / max(answered.height, 1),
    )


def _due(config: AskConfig, prompts: pl.DataFrame, settings: Settings, key: str) -> dict[str, datetime]:
    from pkgraph.freshness import renew_before

    if config.due_at is None:
        return {}
    moment = datetime.fromisoformat(config.due_at)
    return renew_before(prompts, settings.freshness, category_key=key, due_at=moment)
