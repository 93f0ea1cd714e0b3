"""Stages `scored_relations` and `accepted_relations`: a probability, every reason against, and what is left.

Unknown counts as no: without evidence or without a number, the verdict is a refusal with its reason.

`probability` is that of the statement times that of the mapping: whether a statement is true and whether its
phrase means this kind are judged by different evidence, and taken as independent. It is what is certified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.acceptance.certificate import OTHERS
from pkgraph.acceptance.statements import statements_of
from pkgraph.labels import answer_keys
from pkgraph.tables import ACCEPTED_RELATIONS, CALIBRATION_PAIRS, LABELLED_RELATIONS, SCORED_RELATIONS

if TYPE_CHECKING:
    from pkgraph.acceptance.certificate import Certificate
    from pkgraph.acceptance.certification import Certification
    from pkgraph.acceptance.classifier import HallucinationClassifier

Scores = Mapping[str, tuple[float | None, ...]]

UNCERTIFIED_THRESHOLD = 0.9
"""Where nothing is certified: 2 to 4 % of the demo's random pairs that pass it are wrong, without a bound."""

MIN_MATCH_SCORE = 0.5
"""Below, the phrase is rather not this kind; the mapping itself already abstains where it is unsure."""

_NEEDED = ("match_score", "stated_confidence")

REASONS: dict[str, str] = {
    "missing_evidence": "There is evidence about the relation, its mapping and its stated confidence.",
    "no_probability": "The classifier gives a number.",
    "unknown_model": "The classifier has seen labels of the model.",
    "below_threshold": "Statement and mapping are as probable as the threshold asks.",
    "no_certified_threshold": "A certified threshold speaks of its relation type, in or outside the frame.",
    "mapping_unsure": "The kind fits the phrase rather than not.",
    "source_is_target": "The relation leads to another kind.",
    "reviewer_says_no": "No reviewer has said that it does not hold, or that the kind does not fit.",
}
"""Reason to what holds where it does not apply; a verdict lists them in this order."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a relation must fulfil.

    Attributes:
        threshold: Least probability that statement and mapping hold, 0-1, where nothing is certified.
        min_match_score: Least probability that the kind fits the phrase, 0-1.
        certificate: What its thresholds guarantee; None: nothing, and publishing needs an override.
        why_uncertified: Why there is no certificate; "" where there is one.
        covered: Answers of the frame that was certified, by the key of their pairs, to the probabilities of
            these pairs, in the order of position and target. They stand until the next certification:
            evidence that changes because other categories did moves nothing the exact bound speaks of.
    """

    threshold: float = UNCERTIFIED_THRESHOLD
    min_match_score: float = MIN_MATCH_SCORE
    certificate: Certificate | None = None
    why_uncertified: str = "Nothing was certified."
    covered: Scores = field(default_factory=dict)

    def thresholds(self) -> pl.DataFrame:
        """Columns part, is_covered, least: null where nothing may be accepted."""
        if self.certificate is None:
            rows: list[tuple[str, bool, float | None]]
            rows = [(OTHERS, covered, self.threshold) for covered in (True, False)]
        else:
            parts = self.certificate.parts.items()
            rows = [(name, True, part.threshold) for name, part in parts]
            rows += [(name, False, part.beyond.threshold if part.beyond else None) for name, part in parts]
        schema = {"part": pl.String, "is_covered": pl.Boolean, "least": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def with_least(self, scored: pl.DataFrame) -> pl.DataFrame:
        """The rows with the probability that each of them must reach, `least`; null: none is enough."""
        own = [name for name in (self.certificate.parts if self.certificate else ()) if name != OTHERS]
        part = pl.when(pl.col("relation_type").is_in(own)).then("relation_type").otherwise(pl.lit(OTHERS))
        named = scored.with_columns(part=part)
        key = ["part", "is_covered"]
        return named.join(self.thresholds(), on=key, how="left", maintain_order="left").drop("part")


def policy_from(certification: Certification, covered: Scores | None = None) -> Policy:
    """The certified thresholds, or the strict one that promises nothing."""
    found = certification.certificate
    if found is None:
        return Policy(why_uncertified=certification.reason)
    return Policy(
        threshold=found.threshold, certificate=found, why_uncertified="", covered=dict(covered or {})
    )


_ORDER = ("answer", "position", "target_kind_id")


def certified_scores(scored: pl.DataFrame) -> dict[str, tuple[float | None, ...]]:
    """Answer to the probabilities of its pairs, as `Policy.covered` keeps them."""
    once = scored.unique(_ORDER, keep="first", maintain_order=True).sort(_ORDER)
    grouped = once.group_by("answer", maintain_order=True).agg("probability")
    return {answer: tuple(values) for answer, values in grouped.iter_rows()}


def _certified(covered: Scores, answers: pl.Series) -> pl.DataFrame:
    """Columns answer, place (of a pair in its answer) and certified, for those of these answers it has."""
    rows = [
        (answer, place, value)
        for answer in answers.unique().sort()
        for place, value in enumerate(covered.get(answer, ()))
    ]
    schema = {"answer": pl.String, "place": pl.Int64, "certified": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def with_certified(rows: pl.DataFrame, covered: Scores) -> pl.DataFrame:
    """The rows with `is_covered`, and with `certified`: the probability of then; null where not covered."""
    place = pl.struct("position", "target_kind_id").rank("dense").over("answer").cast(pl.Int64) - 1
    certified = _certified(covered, rows["answer"])
    found = rows.with_columns(place=place).join(
        certified, on=["answer", "place"], how="left", maintain_order="left"
    )
    return found.with_columns(is_covered=pl.col("answer").is_in(sorted(covered))).drop("place")


def score_relations(
    mapped: pl.DataFrame,
    evidence: pl.DataFrame,
    classifier: HallucinationClassifier,
    policy: Policy,
    *,
    labelled: pl.DataFrame | None = None,
    calibration: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The table `scored_relations`.

    Args:
        mapped: Table `mapped_relations`; all of an answer, or none of it.
        evidence: Table `relation_evidence` about it.
        classifier: Judges the statements.
        policy: What they must fulfil.
        labelled: Table `labelled_relations`: what a reviewer refused is refused.
        calibration: Table `calibration_pairs`: the same.
    """
    rows = _with_probability(mapped, evidence, classifier)
    rows = with_refusals(rows, labelled, calibration)
    answers = answer_keys(mapped).select("response_id", "answer")
    rows = with_certified(rows.join(answers, on="response_id", how="left"), policy.covered)
    probability = pl.when("is_covered").then("certified").otherwise("probability")
    rows = policy.with_least(rows.with_columns(probability=probability))
    judge = pl.lit(classifier.content_hash)
    scored = rows.with_columns(reasons=_reasons(classifier, policy), classifier=judge)
    return SCORED_RELATIONS.conform(scored.with_columns(is_accepted=pl.col("reasons").list.len() == 0))


def _with_probability(
    mapped: pl.DataFrame, evidence: pl.DataFrame, classifier: HallucinationClassifier
) -> pl.DataFrame:
    statements = statements_of(mapped, evidence.filter(pl.col("target_kind_id").is_not_null()))
    given = pl.Series("holds_probability", classifier.probabilities(statements), dtype=pl.Float64)
    # Six digits: thresholds are scores, and the last bits of a float differ between machines.
    probabilities = statements.select("relation_id", given.fill_nan(None).round(6))
    key = ["relation_id", "target_kind_id"]
    complete = pl.all_horizontal(pl.col(name).is_not_null() for name in _NEEDED)
    known = evidence.select(*key, complete.alias("is_complete"))
    rows = mapped.join(known, on=key, how="left").join(probabilities, on="relation_id", how="left")
    both = (pl.col("holds_probability") * pl.col("match_score")).clip(0, 1).round(6)
    return rows.with_columns(probability=both)


def with_refusals(
    rows: pl.DataFrame, labelled: pl.DataFrame | None, calibration: pl.DataFrame | None
) -> pl.DataFrame:
    """The rows with `is_refused`: a reviewer said no to the statement, or to this kind for its phrase."""
    key = ["relation_id", "target_kind_id"]
    reviewed = LABELLED_RELATIONS.empty() if labelled is None else labelled
    sample = CALIBRATION_PAIRS.empty() if calibration is None else calibration
    refused = pl.concat([frame.filter(~pl.col("holds"))["relation_id"] for frame in (reviewed, sample)])
    kinds = reviewed.explode("wrong_target_ids").select("relation_id", target_kind_id="wrong_target_ids")
    pairs = pl.concat([kinds.drop_nulls(), sample.filter(~pl.col("is_right")).select(key)]).unique()
    found = rows.join(
        pairs.with_columns(is_wrong=pl.lit(value=True)), on=key, how="left", maintain_order="left"
    )
    is_refused = pl.col("relation_id").is_in(refused.unique().implode())
    is_refused |= pl.col("is_wrong").fill_null(value=False)
    return found.with_columns(is_refused=is_refused).drop("is_wrong")


def _reasons(classifier: HallucinationClassifier, policy: Policy) -> pl.Expr:
    is_number = pl.col("holds_probability").is_between(0, 1).fill_null(value=False)
    is_known = pl.col("model").is_in(list(classifier.models)) if classifier.models else pl.lit(value=True)
    against = {
        "missing_evidence": ~pl.col("is_complete").fill_null(value=False),
        "no_probability": ~is_number,
        "unknown_model": ~is_known,
        "below_threshold": is_number & (pl.col("probability") < pl.col("least")).fill_null(value=False),
        "no_certified_threshold": pl.col("least").is_null(),
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
