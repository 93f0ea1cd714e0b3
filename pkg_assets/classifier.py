"""Stage 7: labels train and calibrate the classifier, and certify the threshold it stands under."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from pkg_assets.inputs import fingerprints
from pkg_assets.knowledge import all_evidence, calibration_of, promises_of
from pkg_assets.partitions import category_keys
from pkg_assets.reporting import (
    OWNERS,
    count_table,
    counts,
    picture,
    sample_rows,
    table_result,
    table_spec,
)
from pkgraph.acceptance.judgement import Judging
from pkgraph.labels import Agreement
from pkgraph.tables import (
    CALIBRATION_PAIRS,
    LABELLED_RELATIONS,
    MAPPED_RELATIONS,
    REJECTED_LABELS,
    RELATION_LABELS,
    RELATIONS,
)
from resources.artifacts import JUDGEMENT, Artifacts
from resources.label_store import ReviewersLabels
from resources.shop import Shop
from resources.table_store import TableStore

GROUP = "gate"


@dg.multi_asset(
    name="labelling",
    outs={
        t.name: dg.AssetOut(**table_spec(t, GROUP), code_version="1")
        for t in (LABELLED_RELATIONS, REJECTED_LABELS)
    },
    deps=["relations"],
)
def labels(
    context: dg.AssetExecutionContext, shop: Shop, tables: TableStore, label_store: ReviewersLabels
) -> Iterator[dg.MaterializeResult[pl.DataFrame]]:
    """What reviewers said, in the file of the settings and in the label store, joined with the relations."""
    from pkgraph.labels import join_labels, read_relation_labels
    from pkgraph.labels.standing import with_stored

    path = shop.settings().labels.relations
    read = read_relation_labels(Path(path)) if path else None
    with label_store.open() as store:
        said = with_stored(RELATION_LABELS.empty() if read is None else read.labels, store)
    joined = join_labels(said, tables.read_all(RELATIONS, category_keys(context.instance)))
    yield table_result(
        LABELLED_RELATIONS,
        joined.labelled,
        n_labels=joined.n_labels,
        n_conflicting=joined.n_conflicting,
        n_teaching=int(joined.labelled["teaches"].sum()),
        agreement=_said(joined.agreement),
        unused=dg.MetadataValue.json(dict(joined.unused)),
        wrong_by_reason=count_table(counts(joined.labelled.drop_nulls("reason"), "reason"), "reason"),
    )
    rejected = REJECTED_LABELS.empty() if read is None else read.rejected
    yield table_result(REJECTED_LABELS, rejected, sample=("row", "reason", "detail"))


def _said(agreement: Agreement) -> str:
    if agreement.share is None:
        return "none judged twice"
    kappa = "not defined" if agreement.kappa is None else f"{agreement.kappa:.2f}"
    return f"{agreement.share:.3f} of {agreement.n} judged twice, kappa {kappa}"


@dg.asset(
    **table_spec(CALIBRATION_PAIRS, GROUP),
    deps=["mapped_relations"],
    code_version="1",
)
def calibration_pairs(
    context: dg.AssetExecutionContext, shop: Shop, tables: TableStore
) -> dg.MaterializeResult[pl.DataFrame]:
    sample = calibration_of(shop.settings(), tables, category_keys(context.instance))
    return table_result(
        CALIBRATION_PAIRS,
        sample.pairs,
        n_labels=sample.n_labels,
        n_drawn=sample.n_drawn,
        n_answers_in_frame=len(sample.in_frame),
        right_share=sample.pairs["is_right"].mean() or 0.0,
        agreement_holds=_said(sample.agreement_holds),
        agreement_fit=_said(sample.agreement_fit),
        unused=dg.MetadataValue.json(dict(sample.unused)),
        wrong_by_reason=count_table(counts(sample.pairs.drop_nulls("reason"), "reason"), "reason"),
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"scikitlearn"},
    code_version="1",
    deps=[
        *("relations", "mapped_relations", "unmapped_products", "judge_verdicts"),
        *("kind_index", "co_purchase", "kinds"),
    ],
)
def hallucination_classifier(
    context: dg.AssetExecutionContext,
    labelled_relations: pl.DataFrame,
    calibration_pairs: pl.DataFrame,  # noqa: ARG001 - the sample is read with its frame, once that was looked at
    shop: Shop,
    tables: TableStore,
    artifacts: Artifacts,
) -> dg.MaterializeResult[None]:
    """Trained on labels, calibrated, under thresholds that a random sample certifies."""
    from pkgraph.acceptance.judgement import Knowledge, make_judgement

    keys, settings = category_keys(context.instance), shop.settings()
    known = Knowledge(
        relations=tables.read_all(RELATIONS, keys),
        mapped_relations=tables.read_all(MAPPED_RELATIONS, keys),
        relation_evidence=all_evidence(tables, keys),
        labelled_relations=labelled_relations,
    )
    judging = make_judgement(
        known,
        calibration_of(settings, tables, keys),
        promises=promises_of(settings),
        label_source=Path(settings.labels.calibration or "none").name,
        fingerprints=fingerprints(settings),
    )
    with artifacts.replacing(JUDGEMENT) as path:
        path.write_text(judging.judgement.to_json(), encoding="utf-8")
    version = dg.DataVersion(judging.judgement.fingerprint)
    return dg.MaterializeResult(metadata=_report(judging, settings.gate.alpha), data_version=version)


def _report(judging: Judging, alpha: float) -> dict[str, Any]:
    from pkgraph.acceptance import kept_against_bound_png, measure_by, reliability_png, score_histogram_png

    policy, judged = judging.judgement.policy, judging.judged
    labelled = judged.filter(pl.col("holds").is_not_null())
    certificate = policy.certificate
    shown: dict[str, Any] = {
        "threshold": policy.threshold,
        "certificate": dg.MetadataValue.json(certificate.to_record())
        if certificate
        else policy.why_uncertified,
        "score_histogram": picture(
            score_histogram_png(judged, policy.threshold), "labelled statements by score"
        ),
    }
    if labelled.is_empty():
        return shown
    metrics = {
        **measure_by(labelled),
        **measure_by(labelled, "model"),
        **measure_by(labelled, "relation_type"),
    }
    table = pl.DataFrame(
        [{"of": name, **_rounded(one)} for name, one in metrics.items()], infer_schema_length=None
    )
    whole = {name: value for name, value in _rounded(metrics["all"]).items() if value is not None}
    return {
        **shown,
        **whole,
        "metrics": sample_rows(table, table.height),
        "reliability": picture(reliability_png(judged), "reliability diagram"),
        "kept_against_bound": picture(
            kept_against_bound_png(judging.certification, alpha), "kept share and bound"
        ),
    }


def _rounded(metrics: object) -> dict[str, float | int | None]:
    from dataclasses import asdict

    values = asdict(metrics)  # type: ignore[call-overload]
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
