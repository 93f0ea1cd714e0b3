"""How much of what models say of a category changes when they are asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pkgraph.relations.parsing import MAX_STATEMENTS, parse_answer
from pkgraph.relations.statements import statement_from

if TYPE_CHECKING:
    from collections.abc import Iterable


def changed_statements(renewed: Iterable[tuple[str, str, str]], prompts: pl.DataFrame) -> pl.DataFrame:
    """Statements before and after, by category.

    Args:
        renewed: prompt_id, former text and new text of every renewed answer.
        prompts: Columns prompt_id and category_key.

    Returns:
        Columns category_key, n_compared (statements of either answer) and n_changed (of one of them alone).
    """
    counted = pl.DataFrame(
        [(prompt_id, *_compared(_said(former), _said(new))) for prompt_id, former, new in renewed],
        schema={"prompt_id": pl.String, "n_compared": pl.Int64, "n_changed": pl.Int64},
        orient="row",
    )
    return (
        counted.join(prompts.select("prompt_id", "category_key"), on="prompt_id")
        .group_by("category_key")
        .agg(pl.col("n_compared", "n_changed").sum())
    )


def _compared(former: set[tuple[str, str]], new: set[tuple[str, str]]) -> tuple[int, int]:
    return len(former | new), len(former ^ new)


def _said(text: str) -> set[tuple[str, str]]:
    """Relation and product of each statement; a model words rationales anew each time."""
    statements = (statement_from(raw, purpose="") for raw in parse_answer(text).statements[:MAX_STATEMENTS])
    return {(one.relation, one.product.casefold()) for one in statements}
