"""Stage 2: every kind of a category, and every purpose, becomes one rendered prompt."""

import dagster as dg
import polars as pl

from pkg_assets.partitions import CATEGORIES
from pkg_assets.reporting import table_result, table_spec
from pkgraph.model import PURPOSES
from pkgraph.tables import PROMPTS
from resources.shop import Shop

GROUP = "distillation"


@dg.asset(**table_spec(PROMPTS, GROUP), partitions_def=CATEGORIES, code_version="1")
def prompts(
    context: dg.AssetExecutionContext, catalog: pl.DataFrame, shop: Shop
) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.catalog import kinds_of
    from pkgraph.prompts.shop import prompts_of_kinds, prompts_of_purposes

    settings = shop.settings().prompts
    if context.partition_key == PURPOSES:
        rendered = prompts_of_purposes(settings)
    else:
        rendered = prompts_of_kinds(kinds_of(catalog), settings)
    return table_result(
        PROMPTS,
        rendered,
        sample=("template", "source_kind", "rationale", "input_tokens"),
        input_tokens=int(rendered["input_tokens"].sum()),
        templates=rendered["template"].unique().sort().to_list(),
    )
