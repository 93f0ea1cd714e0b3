"""Stage 3: every prompt is answered, from the ledger or by a model; what is paid for is kept first."""

from datetime import datetime

import dagster as dg
import polars as pl
from pydantic import Field

from pkg_assets.partitions import CATEGORIES
from pkg_assets.reporting import count_table, counts, table_result, table_spec
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
    shop: Shop,
    language_models: LanguageModels,
    answer_ledger: AnswerLedger,
    clock: Clock,
) -> dg.MaterializeResult[pl.DataFrame]:
    from pkg_assets.budget import limits_of_daemon, limits_of_run
    from pkgraph.llm import ask_all
    from pkgraph.relations import parse_status

    settings, now = shop.settings(), clock.now()
    alone = config.is_unattended
    with answer_ledger.open() as ledger:
        responses = ask_all(
            prompts,
            language_models.open(),
            ledger,
            now=clock.now,
            limits=limits_of_daemon(settings, now) if alone else limits_of_run(settings, context.run_id),
            may_ask=language_models.may_ask,
            parse_status=parse_status,
            renew_before=_due(config, prompts, settings, context.partition_key),
        )
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
