"""Stage 6: the signals about each mapped relation, counted over all categories."""

import dagster as dg
import polars as pl

from pkg_assets.knowledge import all_evidence
from pkg_assets.partitions import CATEGORIES, category_keys
from pkg_assets.reporting import table_result, table_spec
from pkgraph.tables import RELATION_EVIDENCE
from resources.table_store import TableStore

GROUP = "gate"


@dg.asset(
    **table_spec(RELATION_EVIDENCE, GROUP),
    deps=["co_purchase", "kinds", "judge_verdicts"],
    partitions_def=CATEGORIES,
    code_version="1",
)
def relation_evidence(
    context: dg.AssetExecutionContext,
    mapped_relations: pl.DataFrame,
    unmapped_products: pl.DataFrame,
    tables: TableStore,
) -> dg.MaterializeResult[pl.DataFrame]:
    ids = pl.concat([mapped_relations["relation_id"], unmapped_products["relation_id"]]).unique()
    everything = all_evidence(tables, category_keys(context.instance))
    evidence = everything.filter(pl.col("relation_id").is_in(ids.implode()))
    known = {name: 1 - evidence[name].null_count() / max(evidence.height, 1) for name in evidence.columns[2:]}
    return table_result(RELATION_EVIDENCE, evidence, known_share=dg.MetadataValue.json(known))
