"""The classifier and the policy it stands under, made together and kept together.

They are one document, so that no relation can be scored by one and gated by the threshold of another.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.acceptance.certificate import Certificate
from pkgraph.acceptance.certification import Certification, Promises, certify
from pkgraph.acceptance.classifier import HallucinationClassifier
from pkgraph.acceptance.pretrained import load_pretrained
from pkgraph.acceptance.statements import statements_of
from pkgraph.acceptance.training import MIN_LABELS, judge, train_classifier
from pkgraph.acceptance.verdicts import Policy, certified_scores, policy_from, score_relations
from pkgraph.errors import InputError
from pkgraph.labels import with_tuning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkgraph.labels import CalibrationSet

SEED = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a relation is judged by."""

    classifier: HallucinationClassifier
    policy: Policy

    @property
    def fingerprint(self) -> str:
        """Key of classifier and policy together."""
        return fingerprint_of(self.to_json())

    def to_json(self) -> str:
        certificate = self.policy.certificate
        policy = {
            "threshold": self.policy.threshold,
            "min_match_score": self.policy.min_match_score,
            "certificate": certificate.to_record() if certificate else None,
            "why_uncertified": self.policy.why_uncertified,
            "covered": {answer: list(scores) for answer, scores in self.policy.covered.items()},
        }
        return json.dumps(
            {"classifier": json.loads(self.classifier.to_json()), "policy": policy}, sort_keys=True
        )

    @classmethod
    @lru_cache(maxsize=2)  # 0.1 s for 5 000 numbers, and every category asks for it three times
    def from_json(cls, text: str) -> Judgement:
        """The judgement in a document.

        Raises:
            InputError: It is no such document, or its threshold is not the certified one.
        """
        try:
            data = json.loads(text)
            policy = dict(data["policy"])
            record = policy.pop("certificate")
            policy["covered"] = {str(answer): _scores(s) for answer, s in policy["covered"].items()}
            found = cls(
                HallucinationClassifier.from_json(json.dumps(data["classifier"])),
                Policy(certificate=Certificate.from_record(record) if record else None, **policy),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"The judgement cannot be read: {error}.", remedy="Train it again.") from error
        certificate = found.policy.certificate
        if certificate is not None and certificate.threshold != found.policy.threshold:
            raise InputError("The threshold is not the one that was certified.", remedy="Train it again.")
        return found


def fingerprint_of(text: str) -> str:
    """Key of the judgement in a document, without reading it: one judgement has one spelling."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _scores(values: object) -> tuple[float | None, ...]:
    if not isinstance(values, list):
        raise TypeError("the scores of an answer are no list")
    if not all(v is None or (type(v) in {float, int} and 0 <= v <= 1) for v in values):
        raise ValueError("a certified score is no share")
    return tuple(values)


@dataclass(frozen=True, slots=True)
class Judging:
    """How a judgement came about, for the reports.

    Attributes:
        judged: Every statement as the classifier judges it, see `Training.judged`.
        pairs: Every pair, as `certify` takes it.
    """

    judgement: Judgement
    judged: pl.DataFrame
    pairs: pl.DataFrame
    certification: Certification


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All categories' tables of the names."""

    relations: pl.DataFrame
    mapped_relations: pl.DataFrame
    relation_evidence: pl.DataFrame
    labelled_relations: pl.DataFrame


def make_judgement(
    known: Knowledge,
    calibration: CalibrationSet,
    *,
    promises: Promises,
    label_source: str,
    fingerprints: Mapping[str, str],
) -> Judging:
    """Train on the shop's labels and the tuning part of its random sample, certify on the rest of that.

    Without labels enough the pretrained classifier judges.

    Args:
        known: What is known of the shop.
        calibration: The random sample.
        promises: What the certificate is to say.
        label_source: Where the labels come from, in words.
        fingerprints: Inputs whose change voids the certificate; the classifier's own is added.
    """
    statements = statements_of(known.relations, known.relation_evidence)
    labelled = with_tuning(known.labelled_relations, calibration.pairs, known.relations)
    classifier, judged, why_not = _trained(statements, labelled)
    pairs, scored = judged_pairs(known, classifier, calibration)
    if classifier.is_transferred:
        reason = f"The classifier was trained on another shop: {why_not}"
        empty = certify(pairs.clear(), promises=promises, label_source="").curve
        certification = Certification(None, reason, empty)
    else:
        inputs = {**fingerprints, "classifier": classifier.content_hash}
        certification = certify(
            pairs,
            promises=promises,
            label_source=label_source,
            fingerprints=inputs,
            sample=calibration.sample,
        )
    covered = certified_scores(scored.filter(pl.col("answer").is_in(sorted(calibration.in_frame))))
    policy = policy_from(certification, covered)
    return Judging(Judgement(classifier, policy), judged, pairs, certification)


def _trained(
    statements: pl.DataFrame, labelled: pl.DataFrame
) -> tuple[HallucinationClassifier, pl.DataFrame, str]:
    """The shop's own classifier, or the pretrained one and why."""
    n_teaching = int(labelled["teaches"].sum())
    why_not = f"{n_teaching} labels of {MIN_LABELS} needed."
    if n_teaching >= MIN_LABELS:
        try:
            training = train_classifier(statements, labelled, seed=SEED)
        except InputError as error:  # a member has less than all of the labels, or one verdict alone
            why_not = str(error)
        else:
            return training.classifier, training.judged, ""
    pretrained = load_pretrained()
    return pretrained, judge(statements, labelled, pretrained), why_not


def judged_pairs(
    known: Knowledge, classifier: HallucinationClassifier, calibration: CalibrationSet
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Every pair as `certify` takes it, and the same as scored under no threshold.

    What the sample says is not held against its pairs here: that is what the certificate counts.
    """
    scored = score_relations(
        known.mapped_relations,
        known.relation_evidence,
        classifier,
        Policy(threshold=0.0),
        labelled=known.labelled_relations,
    )
    key = ["relation_id", "target_kind_id"]
    verdicts = calibration.pairs.select(*key, "is_right", "holds", "tunes")
    source = pl.coalesce("source_kind_id", pl.concat_str(pl.lit("purpose:"), "rationale_id"))
    pairs = scored.select(
        *key,
        "model",
        "relation_type",
        "probability",
        source=source,
        category=pl.coalesce("source_category", pl.lit("")),
        is_publishable=pl.col("is_accepted"),
        is_open=pl.col("reasons").list.set_difference(["reviewer_says_no"]).list.len() == 0,
        is_in_frame=pl.col("answer").is_in(sorted(calibration.in_frame)),
    )
    joined = pairs.join(verdicts, on=key, how="left", maintain_order="left")
    return joined.with_columns(pl.col("tunes").fill_null(value=False)), scored
