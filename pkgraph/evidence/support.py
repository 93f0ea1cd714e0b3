"""Signals from other statements: other models and samples, the target's own answer, sources that agree."""

from __future__ import annotations

import polars as pl

from pkgraph.tables import JUDGE_VERDICTS

_SOURCE = pl.coalesce("source_kind_id", pl.concat_str(pl.lit("purpose:"), "rationale_id"))


def _named(mapped: pl.DataFrame) -> pl.DataFrame:
    return mapped.with_columns(source=_SOURCE)


def _others(mapped: pl.DataFrame, who: list[str], within: list[str]) -> pl.DataFrame:
    """How many speakers answered for a source, and how many of them named a target."""
    asked = mapped.select(*within, *who).unique().group_by(within).agg(n_asked=pl.len())
    named = (
        mapped.filter(pl.col("target_kind_id").is_not_null()).select(*within, "target_kind_id", *who).unique()
    )
    said = named.group_by(*within, "target_kind_id").agg(n_said=pl.len())
    return said.join(asked, on=within)


def _agreement(rows: pl.DataFrame, mapped: pl.DataFrame, who: list[str], within: list[str]) -> pl.Series:
    """Share of the other speakers that name the target; null where there is no other."""
    found = rows.join(
        _others(mapped, who, within), on=[*within, "target_kind_id"], how="left", maintain_order="left"
    )
    others = pl.col("n_asked").cast(pl.Float64) - 1
    return found.select(pl.when(others > 0).then((pl.col("n_said") - 1) / others)).to_series()


def agreement_signals(rows: pl.DataFrame, mapped: pl.DataFrame) -> pl.DataFrame:
    """The rows with `models_agree` and `samples_agree`.

    Args:
        rows: Rows of `mapped_relations` to look at.
        mapped: All of them, the rows included.
    """
    ours, everyone = _named(rows), _named(mapped)
    return rows.with_columns(
        models_agree=_agreement(ours, everyone, ["model"], ["source"]),
        samples_agree=_agreement(ours, everyone, ["sample"], ["source", "model"]),
    )


def reverse_signal(rows: pl.DataFrame, mapped: pl.DataFrame) -> pl.DataFrame:
    """The rows with `is_reversed`: whether an answer about the target names the source.

    Null where the target was not asked about, and for purposes, which are nobody's target.
    """
    pairs = mapped.select(source="source_kind_id", target="target_kind_id").drop_nulls().unique()
    back = pairs.select(target_kind_id="source", source_kind_id="target", is_back=1.0)
    asked = pairs.select(target_kind_id="source").unique().with_columns(is_asked=pl.lit(value=True))
    found = rows.join(back, on=["target_kind_id", "source_kind_id"], how="left", maintain_order="left")
    found = found.join(asked, on="target_kind_id", how="left", maintain_order="left")
    known = pl.col("is_asked").is_not_null() & pl.col("source_kind_id").is_not_null()
    value = pl.when(known).then(pl.col("is_back").fill_null(0.0))
    return rows.with_columns(is_reversed=found.select(value).to_series())


def judge_signal(rows: pl.DataFrame, verdicts: pl.DataFrame | None) -> pl.DataFrame:
    """The rows with `judge_holds`.

    Args:
        rows: Rows of `mapped_relations`.
        verdicts: Table `judge_verdicts`.
    """
    said = (JUDGE_VERDICTS.empty() if verdicts is None else verdicts).select(
        "relation_id", judge_holds="holds"
    )
    return rows.join(said, on="relation_id", how="left", maintain_order="left")


def _degree(rows: pl.DataFrame, mapped: pl.DataFrame, by: list[str]) -> pl.Series:
    """Other sources that share these columns; null where one of the columns is."""
    counted = mapped.select("source", *by).unique().group_by(by).agg(n=pl.len())
    found = rows.join(counted, on=by, how="left", maintain_order="left")
    return found.select(pl.col("n").cast(pl.Float64) - 1).to_series()


def support_signals(rows: pl.DataFrame, mapped: pl.DataFrame) -> pl.DataFrame:
    """The rows with how many other sources share the rationale, the target, and both."""
    everyone = _named(mapped)
    return rows.with_columns(
        rationale_target_support=_degree(rows, everyone, ["rationale_id", "target_kind_id"]),
        rationale_degree=_degree(rows, everyone, ["rationale_id"]),
        target_degree=_degree(rows, everyone, ["target_kind_id"]),
    )


_PURPOSES = "purposes"
# As many made-up statements of the usual types, so that one other source alone does not say 0 or 1.
_PRIOR_WEIGHT = 3.0
# Half a source on both sides, as with co-purchase.
_HALF = 0.5
_LOG = 10.0


def typing_signals(rows: pl.DataFrame, mapped: pl.DataFrame) -> pl.DataFrame:
    """The rows with `type_prior` and `target_pmi`: how usual type and target are for the source's category.

    A source's own statements are left out of both; null where no other source is there to say.
    """
    ours, everyone = _by_category(rows), _by_category(mapped)
    return rows.with_columns(type_prior=_type_prior(ours, everyone), target_pmi=_target_pmi(ours, everyone))


def _by_category(mapped: pl.DataFrame) -> pl.DataFrame:
    return _named(mapped).with_columns(shelf=pl.col("source_category").fill_null(_PURPOSES))


def _joined(rows: pl.DataFrame, counted: dict[str, list[str]], everyone: pl.DataFrame) -> pl.DataFrame:
    """The rows with the number of distinct things in `everyone` that share these columns, by name."""
    for name, by in counted.items():
        n = everyone.group_by(by).agg(pl.len().alias(name))
        rows = rows.join(n, on=by, how="left", maintain_order="left")
    return rows


def _type_prior(rows: pl.DataFrame, mapped: pl.DataFrame) -> pl.Series:
    pair = ["shelf", "target_category"]
    typed = [*pair, "relation_type"]
    once = mapped.drop_nulls("target_kind_id").select("relation_id", *typed, "source").unique()
    counted = {"n": pair, "n_own": [*pair, "source"], "typed": typed, "typed_own": [*typed, "source"]}
    found = _joined(rows, {**counted, "usual": ["relation_type"]}, once)
    others = pl.col("n").cast(pl.Float64) - pl.col("n_own")
    alike = pl.col("typed").cast(pl.Float64) - pl.col("typed_own")
    usual = pl.col("usual") / max(once.height, 1)
    share = (alike + _PRIOR_WEIGHT * usual) / (others + _PRIOR_WEIGHT)
    return found.select(pl.when(others > 0).then(share)).to_series()


def _target_pmi(rows: pl.DataFrame, mapped: pl.DataFrame) -> pl.Series:
    once = mapped.drop_nulls("target_kind_id").select("shelf", "target_kind_id", "source").unique()
    counted = {"shelf_n": ["shelf"], "target_n": ["target_kind_id"], "both": ["shelf", "target_kind_id"]}
    found = _joined(rows, counted, once)
    both, target = pl.col("both").cast(pl.Float64) - 1, pl.col("target_n").cast(pl.Float64) - 1
    chance = target * (pl.col("shelf_n") - 1) / max(once.height - 1, 1)
    pmi = ((both + _HALF) / (chance + _HALF)).log(2).clip(-_LOG, _LOG)
    return found.select(pl.when(target > 0).then(pmi)).to_series()
