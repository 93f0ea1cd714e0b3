"""Every check of the way, as the UI shows it; a blocking one stops what follows in the same run.

The lock is elsewhere: `accepted_relations` and `published_graph` judge what they read once more, whoever
started them.
"""

import warnings
from typing import Any

import dagster as dg
import polars as pl

from checks.expectations import Outcome, own_part, ranges, validate
from checks.gate import category_gate
from pkg_assets.judged import judgement_as_made
from pkg_assets.knowledge import drift_of_scored
from pkg_assets.partitions import CATEGORIES, category_keys
from pkgraph import tables
from pkgraph.tables import MAPPED_RELATIONS, SCORED_RELATIONS, Table
from resources.artifacts import Artifacts
from resources.graph_store import GraphStore
from resources.shop import Shop
from resources.table_store import TableStore

# Checks on partitions are preview in dagster 1.13, which the version range in pyproject.toml pins.
warnings.filterwarnings("ignore", category=dg.PreviewWarning, message=".*partitions_def.*")


def _result(outcomes: list[Outcome], **metadata: Any) -> dg.AssetCheckResult:
    broken = [one for one in outcomes if not one.passed]
    n_rows = max((one.n_rows for one in outcomes), default=0)
    records = [
        dg.TableRecord(
            {
                "holds": "yes" if one.passed else "NO",
                "expectation": one.expectation,
                "offenders": one.n_unexpected,
                "sample": ", ".join(one.sample),
            }
        )
        for one in sorted(outcomes, key=lambda one: one.passed)
    ]
    return dg.AssetCheckResult(
        passed=bool(outcomes) and not broken,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(f"{one.expectation} ({one.n_unexpected})" for one in broken)[:500] or None,
        metadata={
            "n_rows": n_rows,
            "n_expectations": len(outcomes),
            "n_broken": len(broken),
            "held_percent": 100.0 * (len(outcomes) - len(broken)) / max(len(outcomes), 1),
            "expectations": dg.MetadataValue.table(records) if records else "none",
            **metadata,
        },
    )


def contract_check(
    table: Table, *, may_be_empty: bool = False, is_cut: bool = True
) -> dg.AssetChecksDefinition:
    """The Great Expectations suite that follows from a table's description."""

    @dg.asset_check(
        asset=table.name,
        name="every_value_is_as_described",
        description=f"{table.description} Every column keeps what its description promises.",
        blocking=True,
        partitions_def=CATEGORIES if is_cut else None,
    )
    def check(frame: pl.DataFrame) -> dg.AssetCheckResult:
        return _result(validate(frame, table, may_be_empty=may_be_empty))

    return check


@dg.asset_check(asset="products", blocking=True, additional_ins={"rejected": dg.AssetIn("rejected_products")})
def every_row_of_the_delivery_is_kept_or_rejected(
    context: dg.AssetCheckExecutionContext, products: pl.DataFrame, rejected: pl.DataFrame
) -> dg.AssetCheckResult:
    """Rows delivered = products + rejected rows."""
    event = context.instance.get_latest_materialization_event(dg.AssetKey("products"))
    said = event.asset_materialization.metadata["n_rows_delivered"].value if event else None
    delivered = said if isinstance(said, int) else -1
    lost = abs(delivered - products.height - rejected.height)
    return _result([Outcome("rows delivered = kept + rejected", max(delivered, 0), lost)])


@dg.asset_check(asset="products")
def few_of_the_served_skus_are_gone(
    products: pl.DataFrame, graph_store: GraphStore, shop: Shop
) -> dg.AssetCheckResult:
    """A catalog that lost too many of the SKUs that are served now will not be published without a reason."""
    served, limit = graph_store.served_skus(), shop.settings().gate.max_sku_loss
    gone = served - set(products["sku"])
    share = len(gone) / max(len(served), 1)
    return dg.AssetCheckResult(
        passed=share <= limit,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "n_gone": len(gone),
            "share_gone": share,
            "limit": limit,
            "sample": ", ".join(sorted(gone)[:5]),
        },
    )


@dg.asset_check(asset="prompts", blocking=True, partitions_def=CATEGORIES)
def every_prompt_is_rendered_once(prompts: pl.DataFrame) -> dg.AssetCheckResult:
    """Each prompt stands once, with its messages and an estimate of its tokens."""
    once = Outcome(
        "prompt_id: to be unique", prompts.height, prompts.height - prompts["prompt_id"].n_unique()
    )
    return _result([once, *ranges(prompts, tables.PROMPTS)])


@dg.asset_check(
    asset="relations",
    blocking=True,
    partitions_def=CATEGORIES,
    additional_ins={
        "responses": dg.AssetIn("llm_responses"),
        "unreadable": dg.AssetIn("unreadable_responses"),
    },
)
def nothing_is_lost_while_reading(
    relations: pl.DataFrame, responses: pl.DataFrame, unreadable: pl.DataFrame
) -> dg.AssetCheckResult:
    """Answers = read + unreadable, statements = relations + refused, and every value is as described."""
    from pkgraph.relations import RULES
    from pkgraph.relations.conservation import Stage

    stage = Stage(responses, relations, unreadable)
    rules = [Outcome(name, responses.height, count(stage)) for name, (_, count) in RULES.items()]
    return _result([*rules, *validate(relations, tables.RELATIONS, may_be_empty=True)])


@dg.asset_check(
    asset="mapped_relations",
    blocking=True,
    partitions_def=CATEGORIES,
    additional_ins={
        "relations": dg.AssetIn("relations"),
        "unmapped": dg.AssetIn("unmapped_products"),
    },
)
def nothing_is_lost_while_mapping(
    mapped_relations: pl.DataFrame, relations: pl.DataFrame, unmapped: pl.DataFrame
) -> dg.AssetCheckResult:
    """Each relation is mapped or refused, none is both, and every value is as described."""
    from pkgraph.mapping.conservation import RULES, MappingStage

    stage = MappingStage(relations, mapped_relations, unmapped)
    rules = [Outcome(name, relations.height, count(stage)) for name, (_, count) in RULES.items()]
    return _result(
        [
            *rules,
            *validate(
                mapped_relations, own_part(tables.MAPPED_RELATIONS, tables.RELATIONS), may_be_empty=True
            ),
        ]
    )


@dg.asset_check(asset="relation_evidence", blocking=True, partitions_def=CATEGORIES)
def every_signal_is_in_its_range(relation_evidence: pl.DataFrame) -> dg.AssetCheckResult:
    """Signals lie in the ranges they promise, are finite, and missing only where they may be."""
    return _result(ranges(relation_evidence, tables.RELATION_EVIDENCE))


@dg.asset_check(asset="scored_relations", blocking=True, partitions_def=CATEGORIES)
def the_gate_of_the_category_is_open(
    context: dg.AssetCheckExecutionContext,
    scored_relations: pl.DataFrame,
    tables: TableStore,
    artifacts: Artifacts,
) -> dg.AssetCheckResult:
    """The suite of the table and the gate's own rules, by which `accepted_relations` judges once more."""
    judgement = judgement_as_made(context.instance, artifacts)
    drift = drift_of_scored(tables, category_keys(context.instance), scored_relations, judgement)
    gate = category_gate(scored_relations, judgement, drift)
    rules = [Outcome(name, n, gate.broken.get(name, 0 if n else 1)) for name, n in gate.evaluated.items()]
    suite = validate(scored_relations, own_part(SCORED_RELATIONS, MAPPED_RELATIONS))
    told = {one.expectation for one in rules}
    return _result([*(one for one in suite if one.expectation not in told), *rules])


@dg.asset_check(asset="published_graph")
def every_rule_holds_of_the_published_bytes(graph_store: GraphStore) -> dg.AssetCheckResult:
    """What publishing asked, asked again of what is served: checksums, then every rule of a graph."""
    from pkgraph.snapshot import judge_by_rules, open_published

    served = open_published(graph_store.root, verify=True)
    found = judge_by_rules(served.sections, served.manifest.intake)
    rules = [Outcome(name, n, found.broken.get(name, 0 if n else 1)) for name, n in found.evaluated.items()]
    return _result(rules, snapshot_id=served.snapshot_id)


@dg.asset_check(asset="staleness_report")
def no_knowledge_is_older_than_its_limit(staleness_report: pl.DataFrame) -> dg.AssetCheckResult:
    """What is known of a category is younger than its age limit."""
    old = staleness_report.filter(pl.col("age_days") >= pl.col("age_limit_days"))
    return dg.AssetCheckResult(
        passed=old.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{old.height} categories hold knowledge beyond its age limit" if old.height else None,
        metadata={
            "n_categories": staleness_report.height,
            "n_too_old": old.height,
            "oldest_days": float(old["age_days"].max() or 0),  # type: ignore[arg-type]
            "sample": ", ".join(old.sort("age_days", descending=True)["category"].head(5)),
        },
    )


CHECKS = (
    contract_check(tables.PRODUCTS, is_cut=False),
    every_row_of_the_delivery_is_kept_or_rejected,
    few_of_the_served_skus_are_gone,
    contract_check(tables.KINDS, is_cut=False),
    every_prompt_is_rendered_once,
    contract_check(tables.LLM_RESPONSES),
    nothing_is_lost_while_reading,
    contract_check(tables.JUDGE_VERDICTS, may_be_empty=True),
    nothing_is_lost_while_mapping,
    every_signal_is_in_its_range,
    the_gate_of_the_category_is_open,
    every_rule_holds_of_the_published_bytes,
    no_knowledge_is_older_than_its_limit,
)
