"""Stage 11: what is known of each category, how old it is, what distilling the rest would take."""

from collections.abc import Iterable, Sequence

import dagster as dg
import polars as pl

from pkg_assets.reporting import count_table, counts, table_result, table_spec
from pkgraph.model import LanguageModel
from pkgraph.settings import Settings
from pkgraph.tables import STALENESS_REPORT
from resources.answer_ledger import AnswerLedger
from resources.clock import Clock
from resources.language_models import LanguageModels
from resources.shop import Shop

GROUP = "freshness"


@dg.asset(**table_spec(STALENESS_REPORT, GROUP), deps=["llm_responses"], code_version="1")
def staleness_report(
    kinds: pl.DataFrame,
    shop: Shop,
    language_models: LanguageModels,
    answer_ledger: AnswerLedger,
    clock: Clock,
) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.freshness import staleness

    prompts = prompts_by_category(kinds, shop.settings())
    with answer_ledger.open() as ledger:
        answered_at = ledger.answered_at(prompts["prompt_id"])
    models = language_models.open()
    report = staleness(kinds, prompts, answered_at, now=clock.now())
    still_open = report.filter(pl.col("state") != "distilled")
    return table_result(
        STALENESS_REPORT,
        report,
        sample=("category", "state", "n_kinds", "n_answered", "age_days", "open_input_tokens"),
        by_state=count_table(counts(report, "state"), "state"),
        models=[model.name for model in models],
        answer_files=_answer_files(models, prompts["prompt_id"]),
        open_prompts=int((still_open["n_prompts"] - still_open["n_answered"]).sum()),
        open_input_tokens=int(still_open["open_input_tokens"].sum()),
        open_output_tokens=int(still_open["open_output_tokens"].sum()),
    )


def prompts_by_category(kinds: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Every prompt the shop's settings lead to, with its category."""
    from pkgraph.freshness import category_prompts
    from pkgraph.prompts.shop import prompts_of_kinds, prompts_of_purposes

    return category_prompts(
        kinds, prompts_of_kinds(kinds, settings.prompts), prompts_of_purposes(settings.prompts)
    )


def _answer_files(models: Sequence[LanguageModel], prompt_ids: Iterable[str]) -> dg.MetadataValue:
    """Which recorded answers were left out, and why."""
    from pkgraph.llm import ReplayLanguageModel

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
