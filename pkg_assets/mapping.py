"""Stage 5: product phrases are resolved to the shop's kinds, or refused."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from pkg_assets.knowledge import kind_index_of
from pkg_assets.partitions import CATEGORIES
from pkg_assets.reporting import OWNERS, count_table, counts, table_result, table_spec
from pkgraph.tables import MAPPED_RELATIONS, UNMAPPED_PRODUCTS
from resources.artifacts import INDEX, Artifacts

GROUP = "mapping"


@dg.asset(group_name=GROUP, owners=OWNERS, kinds={"scikitlearn"}, code_version="1")
def kind_index(kinds: pl.DataFrame, artifacts: Artifacts) -> dg.MaterializeResult[None]:
    """The fitted index from product phrases to the kinds of the whole catalog."""
    from pkgraph.mapping import KindIndex

    index = KindIndex.fit(kinds)
    with artifacts.replacing(INDEX) as path:
        index.save(path)
    return dg.MaterializeResult(
        metadata={"n_kinds": kinds.height, "fingerprint": index.fingerprint},
        data_version=dg.DataVersion(index.fingerprint),
    )


@dg.multi_asset(
    name="resolution",
    outs={
        MAPPED_RELATIONS.name: dg.AssetOut(**table_spec(MAPPED_RELATIONS, GROUP), code_version="1"),
        UNMAPPED_PRODUCTS.name: dg.AssetOut(**table_spec(UNMAPPED_PRODUCTS, GROUP), code_version="1"),
    },
    deps=["kind_index"],
    partitions_def=CATEGORIES,
)
def resolution(relations: pl.DataFrame, artifacts: Artifacts) -> Iterator[dg.MaterializeResult[pl.DataFrame]]:
    """Phrases resolved to kinds where something fits; what fits nothing is a refusal with its reason."""
    from pkgraph.mapping import map_relations

    mapping = map_relations(relations, kind_index_of(artifacts))
    n_mapped = mapping.mapped["relation_id"].n_unique()
    yield table_result(
        MAPPED_RELATIONS,
        mapping.mapped,
        sample=("source_kind", "relation_type", "product", "target_kind", "target_category", "match_score"),
        mapped_share=n_mapped / max(relations.height, 1),
        kinds_per_relation=mapping.mapped.height / max(n_mapped, 1),
    )
    yield table_result(
        UNMAPPED_PRODUCTS,
        mapping.unmapped,
        sample=("source_kind", "product", "reason", "best_kind", "best_score"),
        by_reason=count_table(counts(mapping.unmapped, "reason"), "reason"),
        not_sold=count_table(dict(list(counts(mapping.unmapped, "product").items())[:20]), "product"),
    )
