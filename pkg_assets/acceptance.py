"""Stages 8 and 9: verdicts with reasons, and what passed the gate; where it closes, the former stays."""

import dagster as dg
import polars as pl

from checks.gate import category_gate
from pkg_assets.judged import judgement_as_made
from pkg_assets.knowledge import drift_of_scored, price_of
from pkg_assets.partitions import CATEGORIES, category_keys
from pkg_assets.reporting import count_table, fingerprint, table_result, table_spec
from pkg_assets.versions import ScoredFrom
from pkgraph.tables import ACCEPTED_RELATIONS, SCORED_RELATIONS
from resources.artifacts import Artifacts
from resources.table_store import TableStore

GROUP = "gate"


@dg.asset(
    **table_spec(SCORED_RELATIONS, GROUP),
    deps=["hallucination_classifier"],
    partitions_def=CATEGORIES,
    code_version="1",
)
def scored_relations(
    context: dg.AssetExecutionContext,
    mapped_relations: pl.DataFrame,
    relation_evidence: pl.DataFrame,
    labelled_relations: pl.DataFrame,
    calibration_pairs: pl.DataFrame,
    artifacts: Artifacts,
) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.acceptance import score_relations

    judgement = judgement_as_made(context.instance, artifacts)
    scored = score_relations(
        mapped_relations,
        relation_evidence,
        judgement.classifier,
        judgement.policy,
        labelled=labelled_relations,
        calibration=calibration_pairs,
    )
    refused = scored.explode("reasons", empty_as_null=False, keep_nulls=False)["reasons"].value_counts(
        sort=True
    )
    return table_result(
        SCORED_RELATIONS,
        scored,
        sample=("source_kind", "relation_type", "rationale", "target_kind", "probability", "reasons"),
        version=ScoredFrom(fingerprint(mapped_relations), judgement.fingerprint).version,
        accepted_share=int(scored["is_accepted"].sum()) / max(scored.height, 1),
        covered_share=scored["is_covered"].mean() or 0.0,
        mean_probability=scored["probability"].mean() or 0.0,
        refused_by_reason=count_table(dict(refused.sort("count", "reasons").iter_rows()), "reason"),
    )


@dg.asset(**table_spec(ACCEPTED_RELATIONS, GROUP), partitions_def=CATEGORIES, code_version="1")
def accepted_relations(
    context: dg.AssetExecutionContext,
    scored_relations: pl.DataFrame,
    tables: TableStore,
    artifacts: Artifacts,
) -> dg.MaterializeResult[pl.DataFrame]:
    from pkgraph.acceptance import accept

    judgement = judgement_as_made(context.instance, artifacts)
    drift = drift_of_scored(tables, category_keys(context.instance), scored_relations, judgement)
    gate = category_gate(scored_relations, judgement, drift)
    if not gate.is_open:
        broken = ", ".join(f"{name} ({n})" for name, n in gate.broken.items()) or "nothing was evaluated"
        strange = f" {drift.sentence}" if drift and not drift.is_like_the_frame else ""
        raise dg.Failure(
            f"The gate of {context.partition_key} is closed: {broken}.{strange} "
            "What was accepted before stays.",
            allow_retries=False,
        )
    accepted = accept(scored_relations)
    usd, usd_each = price_of(tables, context.partition_key, accepted)
    return table_result(
        ACCEPTED_RELATIONS,
        accepted,
        sample=("source_kind", "relation_type", "rationale", "target_kind", "explanation", "probability"),
        n_rules=len(gate.evaluated),
        drift=drift.sentence if drift else "nothing from outside the certified frame",
        judgement=judgement.fingerprint,
        cost_usd=usd,
        usd_per_accepted_relation=usd_each,
    )
