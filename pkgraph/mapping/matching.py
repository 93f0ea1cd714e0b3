"""Phrases meet kinds: candidates with the calibrated probability that each one fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pkgraph.mapping.calibration import Calibration, shipped_calibration
from pkgraph.mapping.candidates import pairs, read_phrases
from pkgraph.mapping.features import pair_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkgraph.mapping.index import KindIndex

CANDIDATES = pl.Schema(
    {
        "phrase": pl.String,
        "kind_id": pl.String,
        "kind": pl.String,
        "category": pl.String,
        "match_score": pl.Float64,
        "match_margin": pl.Float64,
        "rank": pl.Int32,
    }
)
MAX_CANDIDATES = 20
# A kind is a stray where its label has ten times as many SKUs in another category, and is kept all the same
# where its own category makes it fit clearly better: SHAMPOO under BABY for "baby shampoo".
STRAY_RATIO = 10.0
STRAY_LEAD = 0.1


def fitting(candidates: pl.DataFrame, rule: Calibration) -> pl.DataFrame:
    """The candidates with `fits`: good enough, and hardly behind the best kind of their phrase.

    Of what trails the best by more than the calibration's lead about a third is wrong: "milk" reaches
    CHOCOLATE MILK, but not as well as it reaches MILK.
    """
    score = pl.col("match_score")
    close = score >= score.max().over("phrase") - rule.lead
    return candidates.with_columns(fits=(score >= rule.threshold) & close)


def match_phrases(
    phrases: Sequence[str], index: KindIndex, *, calibration: Calibration | None = None
) -> pl.DataFrame:
    """The best kinds of every phrase, whether good enough or not.

    Returns:
        Columns phrase, kind_id, kind, category; match_score: probability that the kind fits, 0-1;
        match_margin: match_score minus that of the next kind; rank: from 0. Ordered by phrase and rank;
        a phrase that shares nothing with any kind has no row.
    """
    unique = sorted(set(phrases))
    readings = read_phrases(unique, index)
    if readings is None:
        return pl.DataFrame(schema=CANDIDATES)
    at, kind = pairs(readings, index)
    score = (calibration or shipped_calibration()).probability(pair_features(readings, index, at, kind))
    scored = pl.DataFrame(
        {
            "at": readings.phrase[at],
            "row": kind,
            "match_score": np.round(score, 6),
            "sku": index.log_skus[kind],
        }
    )
    return _ranked(scored, unique, index)


def _without_strays(best: pl.DataFrame, index: KindIndex) -> pl.DataFrame:
    """No kind that the shop filed under a strange category while its home fits as well.

    A few of the 178 LAYER CAKES stand under FROZEN PIE; whoever asks for a cake means the others.
    """
    shelf = pl.DataFrame(
        {
            "row": np.arange(len(index.texts)),
            "label": index.kinds["kind"],
            "home": index.home_share,
        }
    )
    held = best.join(shelf, on="row", how="left")
    homes = held.group_by("at", "label").agg(
        home_score=pl.col("match_score").sort_by("home", "row").last(), most=pl.col("home").max()
    )
    known = held.join(homes, on=["at", "label"], how="left")
    stray = (pl.col("home") * STRAY_RATIO < pl.col("most")) & (
        pl.col("match_score") <= pl.col("home_score") + STRAY_LEAD
    )
    return known.filter(~stray).select(best.columns)


def _ranked(scored: pl.DataFrame, phrases: Sequence[str], index: KindIndex) -> pl.DataFrame:
    """The best reading counts; equal scores go to the kind with more SKUs, then to the lower row."""
    best = scored.group_by("at", "row").agg(pl.col("match_score").max(), pl.col("sku").first())
    ordered = _without_strays(best, index).sort(
        "at", "match_score", "sku", "row", descending=[False, True, True, False]
    )
    ranked = ordered.with_columns(
        rank=pl.int_range(pl.len(), dtype=pl.Int32).over("at"),
        next=pl.col("match_score").shift(-1).over("at").fill_null(0.0),
    ).filter(pl.col("rank") < MAX_CANDIDATES)
    kinds = index.kinds[ranked["row"].to_list()]
    return ranked.select(
        phrase=pl.Series([phrases[i] for i in ranked["at"]], dtype=pl.String),
        kind_id=kinds["kind_id"],
        kind=kinds["kind"],
        category=kinds["category"],
        match_score="match_score",
        match_margin=pl.col("match_score") - pl.col("next"),
        rank="rank",
    )
