"""Stage 4b: where the shop names a judge, a second model says how likely each statement holds."""

from collections.abc import Iterator
from contextlib import suppress

import dagster as dg
import polars as pl
from pydantic import Field

from pkg_assets.partitions import CATEGORIES
from pkg_assets.reporting import count_table, counts, table_result, table_spec
from pkgraph.errors import BudgetExceeded
from pkgraph.tables import JUDGE_RESPONSES, JUDGE_VERDICTS, UNREADABLE_VERDICTS
from resources.answer_ledger import AnswerLedger
from resources.clock import Clock
from resources.language_models import LanguageModels
from resources.shop import Shop

GROUP = "distillation"
OP = "hearing_the_judge"


class HearConfig(dg.Config):
    is_unattended: bool = Field(
        default=False, description="Nobody started it: it shares the day's budget of the daemon."
    )


@dg.multi_asset(
    name=OP,
    outs={
        t.name: dg.AssetOut(**table_spec(t, GROUP), code_version="1")
        for t in (JUDGE_RESPONSES, JUDGE_VERDICTS, UNREADABLE_VERDICTS)
    },
    partitions_def=CATEGORIES,
    pool="llm_api",
)
def hearing(
    context: dg.AssetExecutionContext,
    config: HearConfig,
    relations: pl.DataFrame,
    shop: Shop,
    language_models: LanguageModels,
    answer_ledger: AnswerLedger,
    clock: Clock,
) -> Iterator[dg.MaterializeResult[pl.DataFrame]]:
    """What the judge answered, and what of it could be read; nothing where the shop names no judge."""
    from pkg_assets.budget import limits_of_daemon, limits_of_run
    from pkgraph.llm import ask_all
    from pkgraph.prompts.judging import judge_prompts
    from pkgraph.relations.verdicts import read_verdicts, verdict_status

    settings, now = shop.settings(), clock.now()
    judge, alone = language_models.open_judge(), config.is_unattended
    limits = limits_of_daemon(settings, now) if alone else limits_of_run(settings, context.run_id)
    with answer_ledger.open() as ledger:

        def ask(*, may_ask: bool) -> pl.DataFrame:
            return ask_all(
                judge_prompts(relations),
                [judge] if judge else [],
                ledger,
                now=clock.now,
                limits=limits,
                may_ask=may_ask,
                parse_status=verdict_status,
            )

        if alone:
            # A word that the day does not pay for is missing, like any other that the judge did not say.
            with suppress(BudgetExceeded):
                ask(may_ask=language_models.may_ask)
        responses = ask(may_ask=language_models.may_ask and not alone)
    read = read_verdicts(responses, relations)
    yield table_result(
        JUDGE_RESPONSES,
        responses,
        sample=("model", "source_kind", "rationale", "status", "text"),
        by_status=count_table(counts(responses, "status"), "status"),
        cost_usd=float(responses["cost_usd"].sum()),
    )
    yield table_result(
        JUDGE_VERDICTS,
        read.verdicts,
        judged_share=read.verdicts.height / max(relations.height, 1),
        mean_holds=read.verdicts["holds"].mean() or 0.0,
    )
    yield table_result(
        UNREADABLE_VERDICTS,
        read.unreadable,
        sample=("model", "position", "reason", "detail"),
        by_reason=count_table(counts(read.unreadable, "reason"), "reason"),
    )
