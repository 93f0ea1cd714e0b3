"""Whether a certificate speaks of what is about to be published: every objection, not the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.acceptance.verdicts import with_refusals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkgraph.acceptance.audit import Audit
    from pkgraph.acceptance.judgement import Judgement
    from pkgraph.acceptance.verdicts import Policy


def supported(accepted: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The accepted relations that the policy of today would take; without a certificate, all of them.

    Where a category's gate is closed, what it accepted before stays, under thresholds of then. Of these, only
    what reaches the certified threshold of now may go out under the certificate.

    Args:
        accepted: Table `accepted_relations`.
        policy: The one in force.
    """
    if policy.certificate is None:
        return accepted
    now = pl.col("answer").is_in(sorted(policy.covered))
    found = policy.with_least(accepted.with_columns(is_covered=now))
    return found.filter(pl.col("probability") >= pl.col("least")).select(accepted.columns)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is to be published, and what is not.

    Attributes:
        published: Rows of `accepted_relations`.
        held_back: Rows that the policy in force would not take.
        refused: Rows that a reviewer found wrong after they were accepted.
    """

    published: pl.DataFrame
    held_back: pl.DataFrame
    refused: pl.DataFrame


def candidate_of(
    accepted: pl.DataFrame, policy: Policy, *, labelled: pl.DataFrame, calibration: pl.DataFrame
) -> Candidate:
    """Accepted relations, sorted out by what is known now.

    Args:
        accepted: Table `accepted_relations` of all categories.
        policy: The one in force.
        labelled: Table `labelled_relations`.
        calibration: Table `calibration_pairs`.
    """
    fit = supported(accepted, policy)
    key = ["relation_id", "target_kind_id"]
    judged = with_refusals(fit, labelled, calibration)
    return Candidate(
        published=judged.filter(~pl.col("is_refused")).select(accepted.columns),
        held_back=accepted.join(fit, on=key, how="anti"),
        refused=judged.filter("is_refused").select(accepted.columns),
    )


def objections(
    judgement: Judgement, candidate: Candidate, inputs: Mapping[str, str], audited: Audit | None
) -> tuple[str, ...]:
    """Why the certificate does not speak of these relations; none: it does.

    Args:
        judgement: The one in force.
        candidate: What is to be published.
        inputs: Fingerprints of today's models, templates, mapping, classifier and promise.
        audited: The random audits so far; None: nothing was certified.
    """
    published = candidate.published
    certificate = judgement.policy.certificate
    if certificate is None:
        return (judgement.policy.why_uncertified or "Nothing was certified.",)
    changed = certificate.changed_inputs(inputs)
    stale = published.filter(pl.col("classifier").ne_missing(judgement.classifier.content_hash)).height
    n_covered = published.filter("is_covered").select("relation_id", "target_kind_id").n_unique()
    n_found = candidate.refused.filter("is_covered").height
    bound = certificate.bound_over(n_covered, n_found)
    found = (
        (f"{', '.join(changed)} changed since it was made.", bool(changed)),
        (f"Another classifier accepted {stale} of the relations.", stale > 0),
        (
            f"So few of the certified pairs are left that up to {bound:.1%} may be wrong.",
            bound > certificate.alpha + 1e-6,
        ),
        (audited.sentence if audited else "", audited is not None and audited.contradicts),
    )
    return tuple(reason for reason, holds in found if holds)
