"""The classifier and the policy it stands under, made together and kept together.

They are one document, so that no relation can be scored by one and gated by the threshold of another.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pkgraph.acceptance.certificate import Certificate, Certification, certify
from pkgraph.acceptance.classifier import HallucinationClassifier
from pkgraph.acceptance.pretrained import load_pretrained
from pkgraph.acceptance.statements import statements_of
from pkgraph.acceptance.training import MIN_LABELS, judge, train_classifier
from pkgraph.acceptance.verdicts import Policy, policy_from
from pkgraph.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

SEED = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a relation is judged by."""

    classifier: HallucinationClassifier
    policy: Policy

    @property
    def fingerprint(self) -> str:
        """Key of classifier and policy together."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        certificate = self.policy.certificate
        policy = {
            "threshold": self.policy.threshold,
            "min_match_score": self.policy.min_match_score,
            "certificate": certificate.to_record() if certificate else None,
            "why_uncertified": self.policy.why_uncertified,
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


@dataclass(frozen=True, slots=True)
class Judging:
    """How a judgement came about, for the reports.

    Attributes:
        judged: Every statement as the classifier judges it, see `Training.judged`.
    """

    judgement: Judgement
    judged: pl.DataFrame
    certification: Certification


def make_judgement(
    relations: pl.DataFrame,
    evidence: pl.DataFrame,
    labelled: pl.DataFrame,
    *,
    alpha: float,
    delta: float,
    label_source: str,
    fingerprints: Mapping[str, str],
) -> Judging:
    """Train on the shop's labels and certify a threshold; without enough, take the pretrained classifier.

    Args:
        relations: Table `relations`, all categories.
        evidence: Table `relation_evidence` about them.
        labelled: Table `labelled_relations`.
        alpha: Largest wrong share that may be published.
        delta: Chance that the claim is false.
        label_source: Where the labels come from, in words.
        fingerprints: Inputs whose change voids the certificate; the classifier's own is added.
    """
    statements = statements_of(relations, evidence)
    n_teaching = int(labelled["teaches"].sum())
    if n_teaching < MIN_LABELS:
        reason = f"The classifier was trained on another shop: {n_teaching} labels of {MIN_LABELS} needed."
        classifier = load_pretrained()
        judged = judge(statements, labelled, classifier)
        certification = Certification(
            None, reason, certify(judged.clear(), alpha=alpha, delta=delta, label_source="", seed=SEED).curve
        )
        return Judging(Judgement(classifier, policy_from(certification)), judged, certification)
    training = train_classifier(statements, labelled, seed=SEED)
    certification = certify(
        training.judged,
        alpha=alpha,
        delta=delta,
        label_source=label_source,
        seed=SEED,
        fingerprints={**fingerprints, "classifier": training.classifier.content_hash},
    )
    return Judging(Judgement(training.classifier, policy_from(certification)), training.judged, certification)
