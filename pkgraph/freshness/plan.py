"""One row a category: how much of it has been distilled, how old that is, what is still to be asked."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.model import PURPOSES

if TYPE_CHECKING:
    from collections.abc import Mapping

# Mean tokens of an answer: 1.9 KB of text in the 348 recorded ones, at four characters a token.
EXPECTED_OUTPUT_TOKENS = 450
# Nothing known is worse than knowledge at its limit; twice the limit is a judgement.
UNANSWERED_AGE = 2.0


def category_prompts(kinds: pl.DataFrame, companions: pl.DataFrame, occasions: pl.DataFrame) -> pl.DataFrame:
    """Every prompt of the shop with the category it belongs to.

    Args:
        kinds: KINDS.
        companions: PROMPTS, one a kind.
        occasions: PROMPTS, one a purpose.

    Returns:
        Columns category_key, category, purpose (null for a kind), prompt_id, input_tokens.
    """
    of_kind = kinds.select("kind_id", "category_key", "category")
    wanted = ("category_key", "category", "purpose", "prompt_id", "input_tokens")
    return pl.concat(
        [
            companions.join(of_kind, left_on="source_kind_id", right_on="kind_id")
            .with_columns(purpose=pl.lit(None, pl.String))
            .select(wanted),
            occasions.with_columns(
                category_key=pl.lit(PURPOSES), category=pl.lit(PURPOSES), purpose="rationale"
            ).select(wanted),
        ]
    ).sort("category_key", "prompt_id")


def staleness(
    kinds: pl.DataFrame, prompts: pl.DataFrame, answered_at: Mapping[str, datetime], *, now: datetime
) -> pl.DataFrame:
    """The state of every category.

    Args:
        kinds: KINDS.
        prompts: As `category_prompts` gives them, with age limits.
        answered_at: When each answered prompt was last answered, by prompt_id.
        now: The age is counted up to here.

    Returns:
        STALENESS_REPORT up to `due_output_tokens`, and for the plan `traffic` and `due_age_days`.
        A category without any answer is "not_distilled", one with some is "partly".
    """
    answers = pl.DataFrame(
        {"prompt_id": list(answered_at), "answered_at": list(answered_at.values())},
        schema={"prompt_id": pl.String, "answered_at": pl.Datetime("us", "UTC")},
    )
    is_open, is_due = pl.col("answered_at").is_null(), pl.col("age_days") >= pl.col("age_limit_days")
    state = (
        pl.when(pl.col("n_answered") == 0)
        .then(pl.lit("not_distilled"))
        .when(pl.col("n_answered") < pl.col("n_prompts"))
        .then(pl.lit("partly"))
        .otherwise(pl.lit("distilled"))
    )
    any_of = (1 - (1 - pl.col("popularity")).product()).round(12).alias("traffic")
    size = kinds.group_by("category_key").agg(pl.len().alias("n_kinds"), pl.col("n_skus").sum(), any_of)
    return (
        prompts.join(answers, on="prompt_id", how="left")
        .with_columns(age_days=(pl.lit(now) - pl.col("answered_at")).dt.total_seconds() / 86_400)
        .with_columns(age_days=pl.col("age_days").fill_null(UNANSWERED_AGE * pl.col("age_limit_days")))
        .group_by("category_key", "category")
        .agg(
            n_prompts=pl.len(),
            n_answered=(~is_open).sum(),
            oldest_answer_at=pl.col("answered_at").min(),
            open_input_tokens=pl.col("input_tokens").filter(is_open).sum(),
            open_output_tokens=is_open.sum() * EXPECTED_OUTPUT_TOKENS,
            age_limit_days=pl.col("age_limit_days").min(),
            n_due=is_due.sum(),
            due_input_tokens=pl.col("input_tokens").filter(is_due).sum(),
            due_output_tokens=is_due.sum() * EXPECTED_OUTPUT_TOKENS,
            due_age_days=pl.col("age_days").filter(is_due).mean().fill_null(0),
        )
        .join(size, on="category_key", how="left")
        .with_columns(
            pl.col("n_kinds", "n_skus").fill_null(0),
            state=state,
            age_days=(pl.lit(now) - pl.col("oldest_answer_at")).dt.total_seconds() / 86_400,
            # Purposes have no shelf: they are looked at as often as a category on average.
            traffic=pl.col("traffic").fill_null(pl.col("traffic").mean()).fill_null(0),
        )
        .sort("category_key")
    )
