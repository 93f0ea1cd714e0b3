"""Relations are mapped: every one either has targets or is a refusal with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.mapping.calibration import Calibration, shipped_calibration
from pkgraph.mapping.matching import fitting, match_phrases
from pkgraph.tables import MAPPED_RELATIONS, UNMAPPED_PRODUCTS

if TYPE_CHECKING:
    from pkgraph.mapping.index import KindIndex

MAX_TARGETS = 8


@dataclass(frozen=True, slots=True)
class Mapping:
    """Mapped relations, a row a target, and refused ones, a row a relation; no relation is in both."""

    mapped: pl.DataFrame
    unmapped: pl.DataFrame


def map_relations(
    relations: pl.DataFrame,
    index: KindIndex,
    *,
    calibration: Calibration | None = None,
    max_targets: int = MAX_TARGETS,
) -> Mapping:
    """Every product phrase resolved to at most `max_targets` kinds, or refused.

    Args:
        relations: As RELATIONS describes.
        index: The fitted kinds.
        calibration: None takes the one that ships.
        max_targets: Kinds per phrase, at least 1.
    """
    rule = calibration or shipped_calibration()
    matched = match_phrases(relations["product"].unique().to_list(), index, calibration=rule)
    candidates = fitting(matched, rule)
    joined = relations.join(candidates, left_on="product", right_on="phrase", how="inner")
    # A relation from a purpose has no source, and nothing equals null.
    is_source = pl.col("kind_id").eq_missing(pl.col("source_kind_id"))
    marked = joined.with_columns(is_source=is_source)
    mapped = _targets(marked, max_targets)
    refused = relations.join(mapped.select("relation_id").unique(), on="relation_id", how="anti")
    return Mapping(mapped=MAPPED_RELATIONS.conform(mapped), unmapped=_refusals(refused, marked))


def _targets(marked: pl.DataFrame, max_targets: int) -> pl.DataFrame:
    others = marked.filter(~pl.col("is_source")).sort("relation_id", "rank")
    place = pl.int_range(pl.len(), dtype=pl.Int32).over("relation_id")
    chosen = pl.col("fits") & (place < max_targets)
    flagged = others.with_columns(chosen=chosen)
    left_out = (
        flagged.filter(~pl.col("chosen")).group_by("relation_id").agg(left_out=pl.col("match_score").max())
    )
    taken = flagged.filter("chosen").join(left_out, on="relation_id", how="left").sort("relation_id", "rank")
    return taken.with_columns(
        target_kind_id="kind_id",
        target_kind="kind",
        target_category="category",
        match_margin=pl.col("match_score") - pl.col("left_out").fill_null(0.0),
        match_rank=pl.int_range(pl.len(), dtype=pl.Int32).over("relation_id"),
        n_targets=pl.len().over("relation_id").cast(pl.Int32),
    )


def _refusals(refused: pl.DataFrame, marked: pl.DataFrame) -> pl.DataFrame:
    named = marked.group_by("relation_id").agg(names_source=(pl.col("is_source") & pl.col("fits")).any())
    best = (
        marked.filter(~pl.col("is_source"))
        .sort("relation_id", "rank")
        .group_by("relation_id", maintain_order=True)
        .first()
        .select("relation_id", best_kind_id="kind_id", best_kind="kind", best_score="match_score")
    )
    reason = (
        pl.when(pl.col("names_source").fill_null(value=False))
        .then(pl.lit("names_its_source"))
        .when(pl.col("best_kind_id").is_null())
        .then(pl.lit("no_candidate"))
        .otherwise(pl.lit("below_threshold"))
    )
    full = refused.join(named, on="relation_id", how="left").join(best, on="relation_id", how="left")
    return UNMAPPED_PRODUCTS.conform(full.with_columns(reason=reason))
