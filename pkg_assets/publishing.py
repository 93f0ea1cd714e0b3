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
from pkg_assets.partitions import category_keys
from pkg_assets.reporting import OWNERS, fingerprint, markdown_table
from pkg_assets.versions import MERGED, PUBLISHED_AT, to_publish
from pkgraph.acceptance.certificate import Certificate
from pkgraph.acceptance.judgement import Judgement
from pkgraph.errors import GateRefused
from pkgraph.recommend import Graph
from pkgraph.recommend.showcase import showcase
from pkgraph.snapshot import Published
from pkgraph.tables import RELATIONS
from resources.answer_ledger import AnswerLedger
from resources.artifacts import JUDGEMENT, Artifacts
from resources.clock import Clock
from resources.graph_store import GraphStore
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
    shop: Shop,
    tables: TableStore,
    artifacts: Artifacts,
    answer_ledger: AnswerLedger,
    graph_store: GraphStore,
    clock: Clock,
) -> dg.MaterializeResult[None]:
    """An immutable snapshot of every accepted relation, judged on its bytes before it is committed."""
    from pkgraph.snapshot import publish
    from pkgraph.snapshot.compile import compile_graph

    settings = shop.settings()
    judgement = Judgement.from_json(artifacts.read(JUDGEMENT))
    keys = category_keys(context.instance)
    # Before the tables are read: what is accepted meanwhile shows as a difference, and is published next.
    merged = {**to_publish(context.instance, keys), "products": fingerprint(products)}
    accepted = accepted_as_judged(context.instance, tables, keys)
    inputs = fingerprints(
        settings, artifacts, labels=labelled_relations, relations=tables.read_all(RELATIONS, keys)
    )
    inputs["classifier"] = judgement.classifier.content_hash
    certificate = _certificate(judgement, accepted, inputs, config.accept_uncertified)
    with answer_ledger.open() as ledger:
        answers = ledger.totals().high_water_mark
    served = graph_store.served()
    published = publish(
        graph_store.channel(config.channel),
        compile_graph(products, accepted),
        inputs={
            **inputs,
            "code": importlib.metadata.version("pkgraph"),
            "catalog": fingerprint(products),
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
            PUBLISHED_AT: clock.now().isoformat(),
        },
        data_version=dg.DataVersion(published.snapshot_id),
    )


def _certificate(
    judgement: Judgement, accepted: pl.DataFrame, inputs: Mapping[str, str], override: str | None
) -> dict[str, Any] | None:
    """The certificate's record where it stands, None where a person said why it may be missing.

    Raises:
        GateRefused: There is none, or it is void, and nobody took it on.
    """
    certificate = judgement.policy.certificate
    void = (
        _why_void(certificate, judgement, accepted, inputs)
        if certificate
        else judgement.policy.why_uncertified
    )
    if certificate is not None and not void:
        return certificate.to_record()
    if override:
        return None
    raise GateRefused(
        f"The graph has no valid certificate: {void}",
        remedy="Label relations and train again, or publish with --accept-uncertified REASON.",
    )


def _why_void(
    certificate: Certificate, judgement: Judgement, accepted: pl.DataFrame, inputs: Mapping[str, str]
) -> str:
    """Why the certificate does not speak of these relations; "" where it does."""
    changed = certificate.is_void(inputs)
    stale = accepted.filter(pl.col("classifier").ne_missing(judgement.classifier.content_hash)).height
    bound = certificate.bound_over(accepted["relation_id"].n_unique())
    reasons = (
        (f"{', '.join(changed)} changed since it was made.", bool(changed)),
        (f"Another classifier accepted {stale} of the relations.", stale > 0),
        (
            f"So few of the certified statements are left that up to {bound:.1%} may be wrong.",
            bound > certificate.alpha,
        ),
    )
    return " ".join(reason for reason, holds in reasons if holds)


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
        "certificate": claim(certificate),
        "certificate_record": dg.MetadataValue.json(dict(certificate or {})),
        "override": manifest.override or "none",
        "examples": dg.MetadataValue.md(_examples(graph)),
    }


def claim(certificate: Mapping[str, Any] | None) -> str:
    """The certificate as a sentence."""
    if not certificate:
        return "none: published uncertified"
    return (
        f"at most {certificate['bound']:.2%} of the published statements are wrong, with confidence "
        f"{1 - certificate['delta']:.0%} ({certificate['n']} labels, {certificate['errors']} errors)"
    )


def _examples(graph: Graph) -> str:
    rows = [
        (product.title, item.title, item.path.rationale, item.path.explanation, f"{item.score:.2f}")
        for product, found in showcase(graph)
        for item in found.items
    ]
    return markdown_table(("for", "recommended", "rationale", "because", "score"), rows)
