"""Stage `relation_evidence`: every signal about every mapped relation, missing where it is not known."""

from __future__ import annotations

import polars as pl

from pkgraph.evidence.shop import basket_signals, shelf_signals
from pkgraph.evidence.signals import SIGNALS
from pkgraph.evidence.statements import answer_signals, wording_signals
from pkgraph.evidence.support import agreement_signals, reverse_signal, support_signals
from pkgraph.tables import RELATION_EVIDENCE


def gather_evidence(
    mapped_part: pl.DataFrame,
    all_mapped: pl.DataFrame,
    *,
    co_purchase: pl.DataFrame | None = None,
    kinds: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The table `relation_evidence` of these mapped relations.

    Args:
        mapped_part: Rows of `mapped_relations` to gather evidence about, say of one category.
        all_mapped: All rows of the shop known so far; agreement and support are counted among them.
            Rows of the part that it lacks are added.
        co_purchase: Table `co_purchase`, from training weeks only; None where there are no baskets.
        kinds: Table `kinds`, for departments and popularity.
    """
    key = list(RELATION_EVIDENCE.key)
    everything = pl.concat([all_mapped.join(mapped_part, on=key, how="anti"), mapped_part]).sort(key)
    statements = _once(mapped_part)
    rows = mapped_part.sort(key)
    rows = support_signals(reverse_signal(agreement_signals(rows, everything), everything), everything)
    rows = basket_signals(shelf_signals(rows, kinds), co_purchase)
    rows = rows.join(wording_signals(statements, _once(everything)), on="relation_id", how="left")
    in_answer = answer_signals(statements)
    rows = rows.drop(set(in_answer.columns) - {"relation_id"}, strict=False)
    rows = rows.join(in_answer, on="relation_id", how="left")
    return RELATION_EVIDENCE.conform(rows.with_columns(_known(name) for name in SIGNALS))


def _once(mapped: pl.DataFrame) -> pl.DataFrame:
    return mapped.sort("relation_id", "target_kind_id").unique(
        "relation_id", keep="first", maintain_order=True
    )


def _known(name: str) -> pl.Expr:
    """The signal as a number, null where it is none: NaN and infinity never leave this stage."""
    value = pl.col(name).cast(pl.Float64)
    return pl.when(value.is_finite()).then(value).alias(name)
