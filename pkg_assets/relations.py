"""Stage 4: answers become typed relations; what cannot be read becomes a row with the reason."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from pkg_assets.partitions import CATEGORIES
from pkg_assets.reporting import count_table, counts, table_result, table_spec
from pkgraph.tables import RELATIONS, UNREADABLE_RESPONSES

GROUP = "distillation"


@dg.multi_asset(
    name="reading",
    outs={
        t.name: dg.AssetOut(**table_spec(t, GROUP), code_version="1")
        for t in (RELATIONS, UNREADABLE_RESPONSES)
    },
    partitions_def=CATEGORIES,
)
def reading(llm_responses: pl.DataFrame) -> Iterator[dg.MaterializeResult[pl.DataFrame]]:
    """What the answers state, read strictly, repaired within bounds, validated."""
    from pkgraph.relations import read_relations

    read = read_relations(llm_responses)
    yield table_result(
        RELATIONS,
        read.relations,
        sample=("source_kind", "relation_type", "rationale", "product", "explanation", "stated_confidence"),
        by_type=count_table(counts(read.relations, "relation_type"), "relation_type"),
        usd_per_relation=float(llm_responses["cost_usd"].sum()) / max(read.relations.height, 1),
        n_repaired=int(read.relations["is_repaired"].sum()),
    )
    yield table_result(
        UNREADABLE_RESPONSES,
        read.unreadable,
        sample=("model", "position", "reason", "detail"),
        by_reason=count_table(counts(read.unreadable, "reason"), "reason"),
    )
