"""What knowledge cost: US dollars a category, template or model, a relation, and an accepted relation.

Asking is all that costs; a template stands for what was asked for: companions, occasions, verdicts.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

By = Literal["category", "template", "model"]
PURPOSES_TITLE = "(purposes)"


def costs(responses: pl.DataFrame, relations: pl.DataFrame, accepted: pl.DataFrame, by: By) -> pl.DataFrame:
    """A row a category, template or model, dearest first.

    Args:
        responses: LLM_RESPONSES and JUDGE_RESPONSES of all categories.
        relations: RELATIONS of the same.
        accepted: ACCEPTED_RELATIONS of the same; a statement that means several kinds counts once.
        by: What a row is of.

    Returns:
        Columns `by`, n_prompts, input_tokens, output_tokens, usd, n_relations, usd_per_relation, n_accepted,
        usd_per_accepted_relation; the last two prices are null where nothing was stated or accepted.
    """
    key = pl.col("source_category").fill_null(PURPOSES_TITLE) if by == "category" else pl.col(by)
    asked = responses.with_columns(key.alias("of"))
    spent = asked.group_by("of").agg(
        n_prompts=pl.col("prompt_id").n_unique(),
        input_tokens=pl.col("input_tokens").sum(),
        output_tokens=pl.col("output_tokens").sum(),
        usd=pl.col("cost_usd").sum(),
    )
    of = asked.select("response_id", "of").unique("response_id")
    for name, statements in (("n_relations", relations), ("n_accepted", accepted)):
        distinct = statements.select("relation_id", "response_id").unique().join(of, on="response_id")
        spent = spent.join(distinct.group_by("of").agg(pl.len().alias(name)), on="of", how="left")
    return (
        spent.with_columns(pl.col("n_relations", "n_accepted").fill_null(0).cast(pl.Int64))
        .with_columns(usd_per_relation=_price("n_relations"), usd_per_accepted_relation=_price("n_accepted"))
        .sort("usd", "of", descending=[True, False])
        .select(
            *(pl.col("of").alias(by), "n_prompts", "input_tokens", "output_tokens", "usd", "n_relations"),
            *("usd_per_relation", "n_accepted", "usd_per_accepted_relation"),
        )
    )


def _price(n: str) -> pl.Expr:
    return pl.when(pl.col(n) > 0).then(pl.col("usd") / pl.col(n))
