"""Stage 9: accepted relations of all categories become one compiled graph, judged and committed."""

import importlib.metadata
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field, field_validator

from checks.gate import candidate_gate
from pkg_assets.accepted import accepted_as_judged
from pkg_assets.changes import changes_since
from pkg_assets.inputs import fingerprints
from pkg_assets.judged import judgement_as_made
from pkg_assets.knowledge import kind_index_of
from pkg_assets.partitions import category_keys
from pkg_assets.reporting import OWNERS, fingerprint, markdown_table
from pkg_assets.versions import CHANNEL, MAIN, MERGED, PUBLISHED_AT, to_publish
from pkgraph.acceptance.audit import audit
from pkgraph.acceptance.judgement import Judgement
from pkgraph.acceptance.validity import Candidate, candidate_of, objections
from pkgraph.errors import GateRefused
from pkgraph.labels.standing import audit_labels
from pkgraph.recommend import Graph
from pkgraph.recommend.showcase import showcase
from pkgraph.snapshot import Published, claim_of
from resources.answer_ledger import AnswerLedger
from resources.artifacts import Artifacts
from resources.clock import Clock
from resources.graph_store import GraphStore
from resources.label_store import ReviewersLabels
from resources.shop import Shop
from resources.table_store import TableStore

GROUP = "graph"


class PublishConfig(dg.Config):
    """Exceptions a person makes by name; each is written into the snapshot."""

    accept_uncertified: str | None = Field(
        default=None, description="Why it may go out without a certificate."
    )
    accept_sku_loss: str | None = Field(default=None, description="Why the catalog may have lost many SKUs.")
    channel: str | None = Field(
        default=None, description="Publish to this channel, say canary, instead of the main one."
    )

    @field_validator("accept_uncertified", "accept_sku_loss")
    @classmethod
    def _a_blank_is_no_reason(cls, reason: str | None) -> str | None:
        return (reason or "").strip() or None


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"numpy"},
    code_version="1",
    # The default age limit of what is known; a shop that changes nothing for a month has a feed that broke.
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=30), warn_window=timedelta(days=21)
    ),
    deps=["accepted_relations", "hallucination_classifier", "kind_index"],
)
def published_graph(
    context: dg.AssetExecutionContext,
    config: PublishConfig,
    products: pl.DataFrame,
    labelled_relations: pl.DataFrame,
    calibration_pairs: pl.DataFrame,
    shop: Shop,
    tables: TableStore,
    artifacts: Artifacts,
    answer_ledger: AnswerLedger,
    label_store: ReviewersLabels,
    graph_store: GraphStore,
    clock: Clock,
) -> dg.MaterializeResult[None]:
    """An immutable snapshot of every accepted relation, judged on its bytes before it is committed."""
    from pkgraph.snapshot import publish
    from pkgraph.snapshot.compile import compile_graph

    settings = shop.settings()
    judgement = judgement_as_made(context.instance, artifacts)
    keys = category_keys(context.instance)
    # Before the tables are read: what is accepted meanwhile shows as a difference, and is published next.
    merged = {**to_publish(context.instance, keys), "products": fingerprint(products)}
    candidate = candidate_of(
        accepted_as_judged(context.instance, tables, keys),
        judgement.policy,
        labelled=labelled_relations,
        calibration=calibration_pairs,
    )
    accepted = candidate.published
    inputs = {**fingerprints(settings), "classifier": judgement.classifier.content_hash}
    with label_store.open() as store:
        certified = judgement.policy.certificate
        verdicts = audit_labels(store, certified.sample if certified else "")["is_right"]
    certificate = _certificate(judgement, candidate, inputs, verdicts, config.accept_uncertified)
    with answer_ledger.open() as ledger:
        answers = ledger.totals().high_water_mark
    served = graph_store.served()
    published = publish(
        graph_store.channel(config.channel),
        compile_graph(products, accepted, has_cards=False),
        inputs={
            **inputs,
            "code": importlib.metadata.version("pkgraph"),
            "catalog": fingerprint(products),
            "kinds": kind_index_of(artifacts).fingerprint,
            "labels": fingerprint(labelled_relations),
            "calibration": fingerprint(calibration_pairs),
            "answers": answers,
            "model_names": sorted(model.name for model in settings.models),
            "certificate": certificate,
            "override": None if certificate else config.accept_uncertified,
            "accepted_sku_loss": config.accept_sku_loss,
        },
        judge=candidate_gate(
            accepted,
            products,
            judgement,
            served_skus=() if config.accept_sku_loss else graph_store.served_skus(),
            max_sku_loss=settings.gate.max_sku_loss,
        ),
        created_at=clock.now().isoformat(timespec="seconds"),
        keep=settings.history.keep,
        base=served.snapshot_id if served and config.channel else None,
    )
    return dg.MaterializeResult(
        metadata={
            **_report(published, Graph.open(published.path)),
            **changes_since(served, published),
            MERGED: dg.MetadataValue.json(merged),
            CHANNEL: config.channel or MAIN,
            PUBLISHED_AT: clock.now().isoformat(),
            "n_held_back": candidate.held_back.height,
            "n_refused_since": candidate.refused.height,
        },
        data_version=dg.DataVersion(published.snapshot_id),
    )


def _certificate(
    judgement: Judgement,
    candidate: Candidate,
    inputs: Mapping[str, str],
    verdicts: pl.Series,
    override: str | None,
) -> dict[str, Any] | None:
    """The certificate's record where it stands, None where a person said why it may be missing.

    Raises:
        GateRefused: There is none, or it is void, and nobody took it on.
    """
    certificate = judgement.policy.certificate
    audited = None
    if certificate is not None:
        n, n_wrong = verdicts.len(), int((~verdicts).sum())
        audited = audit(n, n_wrong, alpha=certificate.alpha, delta=certificate.delta)
    against = objections(judgement, candidate, inputs, audited)
    if certificate is not None and not against:
        n_covered = int(candidate.published["is_covered"].sum())
        n_beyond = candidate.published.height - n_covered
        said = audited.sentence if audited else ""
        return certificate.to_record() | {"n_covered": n_covered, "n_beyond": n_beyond, "audits": said}
    if override:
        return None
    raise GateRefused(
        f"The graph has no valid certificate: {' '.join(against)}",
        remedy="Label a random sample and train again, or publish with --accept-uncertified REASON.",
    )


def _report(published: Published, graph: Graph) -> dict[str, Any]:
    manifest = graph.manifest
    certificate = manifest.certificate
    return {
        "snapshot_id": published.snapshot_id,
        "commit": published.sequence,
        "is_new": published.is_new,
        "n_edges": manifest.counts["edges"],
        "n_skus": manifest.counts["skus"],
        "n_rationales": manifest.counts["rationales"],
        "n_rules": len(published.gate.evaluated),
        "not_compiled": dg.MetadataValue.json(dict(manifest.intake.refused)),
        "certificate": claim_of(manifest),
        "certificate_record": dg.MetadataValue.json(dict(certificate or {})),
        "override": manifest.override or "none",
        "examples": dg.MetadataValue.md(_examples(graph)),
    }


def _examples(graph: Graph) -> str:
    rows = [
        (product.title, item.title, item.path.rationale, item.path.explanation, f"{item.score:.2f}")
        for product, found in showcase(graph)
        for item in found.items
    ]
    return markdown_table(("for", "recommended", "rationale", "because", "score"), rows)
