"""Stage 6: the signals about each mapped relation, counted over all categories."""

import dagster as dg
import polars as pl

from pkg_assets.partitions import CATEGORIES, category_keys
from pkg_assets.reporting import table_result, table_spec
from pkgraph.tables import MAPPED_RELATIONS, RELATION_EVIDENCE
from resources.table_store import TableStore

GROUP = "gate"


@dg.asset(**table_spec(RELATION_EVIDENCE, GROUP), partitions_def=CATEGORIES, code_version="1")
def relation_evidence(
    context: dg.AssetExecutionContext,
    mapped_relations: pl.DataFrame,
    co_purchase: pl.DataFrame,
    kinds: pl.DataFrame,
    tables: TableStore,
) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.evidence import gather_evidence

    # Support and agreement are counted among all categories known so far, so the store is read itself.
    everything = tables.read_all(MAPPED_RELATIONS, category_keys(context.instance))
    evidence = gather_evidence(mapped_relations, everything, co_purchase=co_purchase, kinds=kinds)
    known = {name: 1 - evidence[name].null_count() / max(evidence.height, 1) for name in evidence.columns[2:]}
    return table_result(RELATION_EVIDENCE, evidence, known_share=dg.MetadataValue.json(known))
