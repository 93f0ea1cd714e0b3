"""The gate before publishing: what must hold of a candidate snapshot, judged on the bytes that were written.

`pkgraph.snapshot` asks its own rules as well; here stands what only the pipeline knows: what was accepted,
what the catalog holds, and what is served now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from checks.expectations import Outcome, ranges, report, validate
from pkgraph.acceptance import judge_scored
from pkgraph.model import GateReport
from pkgraph.snapshot.edges import statements_of
from pkgraph.tables import GRAPH_STATEMENTS, SCORED_RELATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pkgraph.acceptance.drift import Drift
    from pkgraph.acceptance.judgement import Judgement
    from pkgraph.snapshot import Snapshot


def category_gate(scored: pl.DataFrame, judgement: Judgement, drift: Drift | None) -> GateReport:
    """The lock of one category: ranges, the rules of verdicts and drift, under the judgement in force.

    `drift` is None where nothing is accepted from outside the frame of the certificate.

    The asset check shows the same and a Great Expectations suite beside it, which costs 0.1 s a time.
    """
    described = report(ranges(scored, SCORED_RELATIONS))
    rules = judge_scored(scored, judgement.policy)
    more = {"every_score_is_of_the_present_classifier": _stale(scored, judgement)}
    if judgement.policy.certificate is not None:
        more["every_new_pair_has_a_certified_threshold"] = _outside_every_claim(scored)
    if drift is not None:
        more["new_pairs_are_like_the_certified_ones"] = 0 if drift.is_like_the_frame else drift.n_pairs
    return GateReport(
        {**described.evaluated, **rules.evaluated, **dict.fromkeys(more, scored.height)},
        {**described.broken, **rules.broken, **{name: n for name, n in more.items() if n}},
    )


def _outside_every_claim(scored: pl.DataFrame) -> int:
    """Taken for an empty category, they would push out what was accepted before."""
    is_refused = pl.col("reasons").list.contains("no_certified_threshold")
    return scored.filter(~pl.col("is_covered") & is_refused).height


def _stale(rows: pl.DataFrame, judgement: Judgement) -> int:
    return rows.filter(pl.col("classifier").ne_missing(judgement.classifier.content_hash)).height


def candidate_gate(
    accepted: pl.DataFrame,
    products: pl.DataFrame,
    judgement: Judgement,
    *,
    served_skus: Collection[str],
    max_sku_loss: float,
) -> Callable[[Snapshot], GateReport]:
    """A judge of candidate snapshots.

    Args:
        accepted: Table `accepted_relations` of all categories.
        products: Table `products`.
        judgement: The one that is in force; what it judged must reach its threshold.
        served_skus: SKUs of the snapshot that is served now; empty where none is or the loss is accepted.
        max_sku_loss: Share 0-1 of them that may be missing.
    """

    def judge(candidate: Snapshot) -> GateReport:
        statements = statements_of(candidate)
        return report(
            [
                *validate(statements, GRAPH_STATEMENTS),
                _nothing_else_got_in(statements, accepted),
                _nothing_is_below(statements, accepted, judgement),
                _no_product_is_made_up(candidate, products),
                _few_skus_are_lost(candidate, served_skus, max_sku_loss),
            ]
        )

    return judge


def _outcome(sentence: str, n_rows: int, offenders: Collection[str]) -> Outcome:
    sample = tuple(sorted(offenders)[:5])
    return Outcome(sentence, n_rows, len(offenders), sample)


def _nothing_else_got_in(statements: pl.DataFrame, accepted: pl.DataFrame) -> Outcome:
    strange = statements.join(accepted, on=["relation_id", "target_kind_id"], how="anti")
    return _outcome("every_statement_was_accepted", statements.height, strange["relation_id"].to_list())


def _nothing_is_below(statements: pl.DataFrame, accepted: pl.DataFrame, judgement: Judgement) -> Outcome:
    """Of what this judgement accepted; what stays from an earlier one was held to that one's threshold."""
    present = accepted.filter(pl.col("classifier") == judgement.classifier.content_hash)
    least = judgement.policy.with_least(present).select("relation_id", "target_kind_id", "least")
    judged = statements.join(least, on=["relation_id", "target_kind_id"], how="inner")
    below = judged.filter(~(pl.col("probability") >= pl.col("least")).fill_null(value=False))
    return _outcome("every_probability_reaches_its_threshold", statements.height, list(below["relation_id"]))


def _no_product_is_made_up(candidate: Snapshot, products: pl.DataFrame) -> Outcome:
    ids = candidate.sections.sku_ids
    strange = set(ids) ^ set(products["sku"])
    return _outcome("the_products_are_those_of_the_catalog", len(ids), strange)


def _few_skus_are_lost(candidate: Snapshot, served: Collection[str], max_loss: float) -> Outcome:
    ids = candidate.sections.sku_ids
    lost = set(served) - set(ids)
    too_many = len(lost) > max_loss * len(served)
    return Outcome(
        f"at_most_{max_loss:.0%}_of_the_served_skus_are_lost", len(ids), len(lost) if too_many else 0
    )
