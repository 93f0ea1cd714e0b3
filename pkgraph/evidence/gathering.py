"""Stage `relation_evidence`: every signal about every relation, missing where it is not known."""

from __future__ import annotations

import polars as pl

from pkgraph.evidence.shop import basket_signals, shelf_signals
from pkgraph.evidence.signals import SIGNALS
from pkgraph.evidence.statements import answer_signals, wording_signals
from pkgraph.evidence.support import (
    agreement_signals,
    judge_signal,
    reverse_signal,
    support_signals,
    typing_signals,
)
from pkgraph.tables import MAPPED_RELATIONS, RELATION_EVIDENCE, RELATIONS


def gather_evidence(
    mapped_part: pl.DataFrame,
    all_mapped: pl.DataFrame,
    *,
    unmapped_part: pl.DataFrame | None = None,
    all_unmapped: pl.DataFrame | None = None,
    co_purchase: pl.DataFrame | None = None,
    kinds: pl.DataFrame | None = None,
    verdicts: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The table `relation_evidence` of these relations.

    Args:
        mapped_part: Rows of `mapped_relations` to gather evidence about, say of one category.
        all_mapped: All rows of the shop known so far; agreement and support are counted among them.
            Rows of the part that it lacks are added.
        unmapped_part: Rows of `unmapped_products` that go with the part. They are never published, but they
            belong to their answers, and the labels of theirs teach as well.
        all_unmapped: The same of the whole shop.
        co_purchase: Table `co_purchase`, from training weeks only; None where there are no baskets.
        kinds: Table `kinds`, for departments and popularity.
        verdicts: Table `judge_verdicts`; None where no judge was asked.
    """
    rows = _together(mapped_part, unmapped_part)
    everything = _together(all_mapped, all_unmapped)
    key = list(RELATION_EVIDENCE.key)
    everything = pl.concat([everything.join(rows, on=key, how="anti", nulls_equal=True), rows]).sort(key)
    statements = _once(rows)
    in_answer = answer_signals(statements)
    wording = wording_signals(statements, _once(everything))
    rows = support_signals(reverse_signal(agreement_signals(rows, everything), everything), everything)
    rows = typing_signals(rows, everything)
    rows = judge_signal(basket_signals(shelf_signals(rows, kinds), co_purchase), verdicts)
    rows = rows.drop(set(in_answer.columns) - {"relation_id"}, strict=False)
    rows = rows.join(in_answer, on="relation_id", how="left").join(wording, on="relation_id", how="left")
    return RELATION_EVIDENCE.conform(rows.with_columns(_known(name) for name in SIGNALS))


def _together(mapped: pl.DataFrame, unmapped: pl.DataFrame | None) -> pl.DataFrame:
    """Mapped and unmapped statements as rows of `mapped_relations`; the target of the latter is null."""
    rows = mapped.select(*MAPPED_RELATIONS.columns)
    if unmapped is not None:
        rows = pl.concat([rows, unmapped.select(*RELATIONS.columns)], how="diagonal")
    return rows.sort(RELATION_EVIDENCE.key)


def _once(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.unique("relation_id", keep="first", maintain_order=True)


def _known(name: str) -> pl.Expr:
    """The signal as a number, null where it is none: NaN and infinity never leave this stage."""
    value = pl.col(name).cast(pl.Float64)
    return pl.when(value.is_finite()).then(value).alias(name)
