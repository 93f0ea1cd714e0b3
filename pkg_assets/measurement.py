"""Stage 10: how well the published graph completes baskets bought after everything it learned from."""

import dagster as dg
import polars as pl

from pkg_assets.reporting import sample_rows, table_result, table_spec
from pkgraph.tables import OFFLINE_METRICS
from resources.graph_store import GraphStore
from resources.shop import Shop

GROUP = "measurement"
SHOWN_K = 10


# A publishing that this misses is measured with the next one, so losing an event is harmless here.
PUBLISHED = (
    dg.AutomationCondition.any_deps_updated()
    .allow(dg.AssetSelection.assets("published_graph"))
    .since_last_handled()
    & ~dg.AutomationCondition.in_progress()
).with_label("a graph was published")


@dg.asset(
    **table_spec(OFFLINE_METRICS, GROUP),
    deps=["published_graph"],
    code_version="1",
    automation_condition=PUBLISHED,
)
def offline_metrics(
    products: pl.DataFrame,
    kinds: pl.DataFrame,
    basket_lines: pl.DataFrame,
    shop: Shop,
    graph_store: GraphStore,
) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.baskets import cut_off_of
    from pkgraph.measurement import measure_graph
    from pkgraph.recommend import Graph

    cut_off = cut_off_of(shop.settings().catalog, basket_lines)
    graph = Graph.published(graph_store.root)
    metrics = OFFLINE_METRICS.empty()
    if cut_off is not None:
        metrics = measure_graph(graph, products, kinds, basket_lines, cut_off=cut_off)
    at_ten = metrics.filter(
        (pl.col("k") == SHOWN_K) & pl.col("metric").is_in(["hit_rate", "ndcg", "coverage"])
    )
    return table_result(
        OFFLINE_METRICS,
        metrics,
        snapshot_id=graph.snapshot_id,
        held_out_from=str(cut_off),
        at_ten=sample_rows(at_ten.sort("slice", "metric", "value", descending=[False, False, True]), 60),
    )
