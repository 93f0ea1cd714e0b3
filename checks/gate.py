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

    from pkgraph.acceptance.judgement import Judgement
    from pkgraph.snapshot import Snapshot


def category_gate(scored: pl.DataFrame, judgement: Judgement) -> GateReport:
    """The lock of one category: ranges and the rules of verdicts, under the judgement that is in force.

    The asset check shows the same and a Great Expectations suite beside it, which costs 0.1 s a time.
    """
    described = report(ranges(scored, SCORED_RELATIONS))
    rules = judge_scored(scored, judgement.policy)
    present, stale = "every_score_is_of_the_present_classifier", _stale(scored, judgement)
    return GateReport(
        {**described.evaluated, **rules.evaluated, present: scored.height},
        {**described.broken, **rules.broken, **({present: stale} if stale else {})},
    )


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
    threshold = judgement.policy.threshold * judgement.policy.min_match_score
    present = accepted.filter(pl.col("classifier") == judgement.classifier.content_hash)
    judged = statements.join(present, on=["relation_id", "target_kind_id"], how="semi")
    below = judged.filter(~(pl.col("probability") >= threshold))
    return _outcome(
        f"every_probability_reaches_{threshold:.4g}", statements.height, list(below["relation_id"])
    )


def _no_product_is_made_up(candidate: Snapshot, products: pl.DataFrame) -> Outcome:
    ids = candidate.sections.sku_ids
    strange = {ids[row] for row in range(len(ids))} ^ set(products["sku"])
    return _outcome("the_products_are_those_of_the_catalog", len(ids), strange)


def _few_skus_are_lost(candidate: Snapshot, served: Collection[str], max_loss: float) -> Outcome:
    ids = candidate.sections.sku_ids
    lost = set(served) - {ids[row] for row in range(len(ids))}
    too_many = len(lost) > max_loss * len(served)
    return Outcome(
        f"at_most_{max_loss:.0%}_of_the_served_skus_are_lost", len(ids), len(lost) if too_many else 0
    )
