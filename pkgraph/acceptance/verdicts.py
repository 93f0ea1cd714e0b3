"""Stages `scored_relations` and `accepted_relations`: a probability, every reason against, and what is left.

Unknown counts as no: without evidence or without a number, the verdict is a refusal with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.acceptance.statements import statements_of
from pkgraph.tables import ACCEPTED_RELATIONS, LABELLED_RELATIONS, SCORED_RELATIONS

if TYPE_CHECKING:
    from pkgraph.acceptance.certificate import Certificate, Certification
    from pkgraph.acceptance.classifier import HallucinationClassifier

UNCERTIFIED_THRESHOLD = 0.9
"""Where nothing is certified: on the demo's labels 4.1 % of what passes it is wrong, without a bound."""

MIN_MATCH_SCORE = 0.5
"""Below, the phrase is rather not this kind; the mapping itself already abstains where it is unsure."""

_NEEDED = ("match_score", "stated_confidence")

REASONS: dict[str, str] = {
    "missing_evidence": "There is evidence about the relation, its mapping and its stated confidence.",
    "no_probability": "The classifier gives a number.",
    "unknown_model": "The classifier has seen labels of the model.",
    "below_threshold": "The statement is as probable as the threshold asks.",
    "mapping_unsure": "The kind fits the phrase rather than not.",
    "source_is_target": "The relation leads to another kind.",
    "reviewer_says_no": "No reviewer has said that it does not hold, or that the kind does not fit.",
}
"""Reason to what holds where it does not apply; a verdict lists them in this order."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a relation must fulfil.

    Attributes:
        threshold: Least probability that the statement holds, 0-1.
        certificate: What the threshold guarantees; None: nothing, and publishing needs an override.
        why_uncertified: Why there is no certificate; "" where there is one.
    """

    threshold: float = UNCERTIFIED_THRESHOLD
    min_match_score: float = MIN_MATCH_SCORE
    certificate: Certificate | None = None
    why_uncertified: str = "Nothing was certified."


def policy_from(certification: Certification) -> Policy:
    """The certified threshold, or the strict one that promises nothing."""
    found = certification.certificate
    if found is None:
        return Policy(why_uncertified=certification.reason)
    return Policy(threshold=found.threshold, certificate=found, why_uncertified="")


def score_relations(
    mapped: pl.DataFrame,
    evidence: pl.DataFrame,
    classifier: HallucinationClassifier,
    policy: Policy,
    *,
    labelled: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The table `scored_relations`.

    `probability` is that of the statement times that of the mapping: whether a statement is true and whether
    its phrase means this kind are judged by different evidence, and taken as independent.

    Args:
        mapped: Table `mapped_relations`.
        evidence: Table `relation_evidence` about it.
        classifier: Judges the statements.
        policy: What they must fulfil.
        labelled: Table `labelled_relations`: what a reviewer refused is refused.
    """
    statements = statements_of(mapped, evidence.filter(pl.col("target_kind_id").is_not_null()))
    given = pl.Series("holds_probability", classifier.probabilities(statements), dtype=pl.Float64)
    probabilities = statements.select("relation_id", given.fill_nan(None))
    key = ["relation_id", "target_kind_id"]
    complete = pl.all_horizontal(pl.col(name).is_not_null() for name in _NEEDED)
    known = evidence.select(*key, complete.alias("is_complete"))
    rows = mapped.join(known, on=key, how="left").join(probabilities, on="relation_id", how="left")
    rows = rows.join(_refused(labelled), on="relation_id", how="left")
    is_wrong_kind = pl.col("target_kind_id").is_in(pl.col("wrong_target_ids")).fill_null(value=False)
    rows = rows.with_columns(is_refused=pl.col("is_refused").fill_null(value=False) | is_wrong_kind)
    probability = (pl.col("holds_probability") * pl.col("match_score")).clip(0, 1)
    reasons = _reasons(classifier, policy)
    judge = pl.lit(classifier.content_hash)
    scored = rows.with_columns(probability=probability, reasons=reasons, classifier=judge)
    return SCORED_RELATIONS.conform(scored.with_columns(is_accepted=pl.col("reasons").list.len() == 0))


def _refused(labelled: pl.DataFrame | None) -> pl.DataFrame:
    if labelled is None:
        labelled = LABELLED_RELATIONS.empty()
    return labelled.select("relation_id", "wrong_target_ids", is_refused=~pl.col("holds"))


def _reasons(classifier: HallucinationClassifier, policy: Policy) -> pl.Expr:
    is_number = pl.col("holds_probability").is_between(0, 1).fill_null(value=False)
    is_known = pl.col("model").is_in(list(classifier.models)) if classifier.models else pl.lit(value=True)
    against = {
        "missing_evidence": ~pl.col("is_complete").fill_null(value=False),
        "no_probability": ~is_number,
        "unknown_model": ~is_known,
        "below_threshold": is_number & (pl.col("holds_probability") < policy.threshold),
        "mapping_unsure": ~(pl.col("match_score") >= policy.min_match_score).fill_null(value=False),
        "source_is_target": (pl.col("source_kind_id") == pl.col("target_kind_id")).fill_null(value=False),
        "reviewer_says_no": pl.col("is_refused"),
    }
    named = [pl.when(against[reason]).then(pl.lit(reason)) for reason in REASONS]
    return pl.concat_list(named).list.drop_nulls()


def accept(scored: pl.DataFrame) -> pl.DataFrame:
    """The table `accepted_relations`: what nothing speaks against, and nothing else."""
    return ACCEPTED_RELATIONS.conform(
        scored.filter(pl.col("is_accepted") & (pl.col("reasons").list.len() == 0))
    )
