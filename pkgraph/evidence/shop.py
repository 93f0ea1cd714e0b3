"""Signals from the shop itself: where things stand, how popular they are, what is bought together."""

from __future__ import annotations

import polars as pl

# A lift of 1/16 is as good as never; beyond 2 ** 10 stand pairs of a few baskets.
_LOG_LOW, _LOG_HIGH = -4.0, 10.0
# Half a basket on both sides keeps the logarithm of a pair never seen finite, and small counts near chance.
_HALF = 0.5


def shelf_signals(rows: pl.DataFrame, kinds: pl.DataFrame | None) -> pl.DataFrame:
    """The rows with same category, same department and the target's popularity.

    Args:
        rows: Rows of `mapped_relations`.
        kinds: Table `kinds`; without it department and popularity are not known.
    """
    has_source = pl.col("source_kind_id").is_not_null()
    same = (pl.col("source_category") == pl.col("target_category")).cast(pl.Float64)
    rows = rows.with_columns(is_same_category=pl.when(has_source).then(same))
    if kinds is None:
        unknown = pl.lit(None, pl.Float64)
        return rows.with_columns(is_same_department=unknown, target_popularity_log=unknown)
    known = kinds.select("kind_id", "department", "popularity").unique("kind_id", keep="first")
    found = rows.join(
        known.rename(lambda name: f"target_{name}"), on="target_kind_id", how="left", maintain_order="left"
    ).join(
        known.select(source_kind_id="kind_id", source_department="department"),
        on="source_kind_id",
        how="left",
        maintain_order="left",
    )
    popularity = pl.when(pl.col("target_popularity") > 0).then(
        pl.col("target_popularity").log10().clip(-12, 0)
    )
    signals = found.select(
        is_same_department=(pl.col("source_department") == pl.col("target_department")).cast(pl.Float64),
        target_popularity_log=popularity,
    )
    return pl.concat([rows, signals], how="horizontal")


def basket_signals(rows: pl.DataFrame, co_purchase: pl.DataFrame | None) -> pl.DataFrame:
    """The rows with the co-purchase lift of source and target; null where too little was bought to say.

    Args:
        rows: Rows of `mapped_relations`.
        co_purchase: Table `co_purchase`.
    """
    if co_purchase is None:
        unknown = pl.lit(None, pl.Float64)
        return rows.with_columns(lift_low_log=unknown, lift_log=unknown)
    lift = (pl.col("n_both") + _HALF) / (pl.col("expected") + _HALF)
    pairs = co_purchase.lazy().select(
        "kind_a_id",
        "kind_b_id",
        lift_low_log=pl.col("lift_low").log(2).clip(_LOG_LOW, _LOG_HIGH),
        lift_log=lift.log(2).clip(_LOG_LOW, _LOG_HIGH),
    )
    # A pair is listed once, the smaller id first; a row without a source kind has no pair.
    ends = ("source_kind_id", "target_kind_id")
    has_both = pl.all_horizontal(pl.col(end).is_not_null() for end in ends)
    named = rows.lazy().with_columns(
        kind_a_id=pl.when(has_both).then(pl.min_horizontal(ends)),
        kind_b_id=pl.when(has_both).then(pl.max_horizontal(ends)),
    )
    key = ["kind_a_id", "kind_b_id"]
    return named.join(pairs, on=key, how="left", maintain_order="left").drop(key).collect()
