"""Baskets are read from the shop's file or from the demo shop; a bad line costs that line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pkgraph.catalog.cleaning import MAX_DETAIL_CHARS, MAX_TEXT_CHARS, normalised
from pkgraph.catalog.complete_journey import demo_basket_lines
from pkgraph.catalog.files import read_rows
from pkgraph.errors import InputError
from pkgraph.settings import BasketSettings, CatalogSettings
from pkgraph.tables import BASKET_LINES, REJECTED_BASKET_LINES

DEMO_CUT_OFF = datetime(2017, 12, 1)  # noqa: DTZ001  (the panel's clock has no zone)
"""The demo shop's last month is held out for measuring; everything learned comes from before."""

# The demo shop's month is 8.6 % of its baskets.
_HELD_OUT_SHARE = 0.1

_FIELDS = ("basket", "sku", "shopper", "time")
_IDS = ("basket", "sku", "shopper")

REFUSALS: dict[str, tuple[str, pl.Expr]] = {
    "text_too_long": (
        "An id has at most 200 characters.",
        pl.any_horizontal(pl.col(name).str.len_chars() > MAX_TEXT_CHARS for name in _IDS),
    ),
    "missing_basket": ("Every line belongs to a basket.", pl.col("basket").is_null()),
    "missing_sku": ("Every line names a product.", pl.col("sku").is_null()),
    "unreadable_time": (
        "A time is ISO 8601 (2017-12-01, 2017-12-01T18:30:00, ...Z, ...+02:00), or absent.",
        pl.col("time").is_not_null() & pl.col("read_time").is_null(),
    ),
}
"""Reason -> (the rule it breaks, what offends), in the order of looking."""


@dataclass(frozen=True, slots=True)
class BasketDelivery:
    """What became of the lines of the baskets.

    Attributes:
        lines: Table `basket_lines`.
        rejected: Table `rejected_basket_lines`.
        n_lines: Lines delivered; always `lines.height + n_repeated + rejected.height`.
        n_repeated: Lines that name a product a second time in its basket; that is no fault.
        cut_off: Baskets from this time on are held out for measuring; None where lines have no time.
    """

    lines: pl.DataFrame
    rejected: pl.DataFrame
    n_lines: int
    n_repeated: int
    cut_off: datetime | None


def before(lines: pl.DataFrame, time: datetime | None) -> pl.DataFrame:
    """Lines of the training part; one without a time is in neither part. Without a cut-off, all of them."""
    return lines if time is None else lines.filter(pl.col("time") < time)


def since(lines: pl.DataFrame, time: datetime) -> pl.DataFrame:
    """Lines of the held-out part; one without a time is in neither part."""
    return lines.filter(pl.col("time") >= time)


def n_unknown_lines(products: pl.DataFrame, lines: pl.DataFrame) -> int:
    """Lines whose product the catalog lacks."""
    return lines.join(products, on="sku", how="anti").height


def cut_off_of(catalog: CatalogSettings, lines: pl.DataFrame) -> datetime | None:
    """From when on baskets are held out for measuring; None where lines have no time."""
    return DEMO_CUT_OFF if catalog.source == "complete_journey" else _cut_off(lines)


def _cut_off(lines: pl.DataFrame) -> datetime | None:
    """The time from which the last tenth of the baskets begins."""
    starts = lines.group_by("basket").agg(pl.col("time").min()).get_column("time").drop_nulls().sort()
    return starts[int(len(starts) * (1 - _HELD_OUT_SHARE))] if len(starts) else None


def _delivery(good: pl.DataFrame, rejected: pl.DataFrame, cut_off: datetime | None) -> BasketDelivery:
    # A basket has one time, its first: none is cut in two by a cut-off.
    timed = good.with_columns(pl.col("time").min().over("basket"))
    lines = BASKET_LINES.conform(timed.unique(["basket", "sku"], keep="first", maintain_order=True))
    n_repeated = good.height - lines.height
    n_lines = good.height + rejected.height
    return BasketDelivery(lines, rejected, n_lines, n_repeated, cut_off or _cut_off(lines))


def _time() -> pl.Expr:
    """ISO 8601 as a time without zone; a time with an offset becomes UTC."""
    text = pl.col("time").str.replace(" ", "T", literal=True).str.replace("Z$", "+00:00")
    zoned = text.str.replace(r"([+-]\d\d):?(\d\d)$", "$1:$2")
    with_zone = [
        zoned.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC").dt.replace_time_zone(None)
        for form in ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M%:z")
    ]
    plain = [
        text.str.to_datetime(form, strict=False, time_unit="us")
        for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
    ]
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    return pl.coalesce(*plain, *with_zone, day)


def _from_file(settings: BasketSettings) -> BasketDelivery:
    columns = {name: column for name, column in settings.columns.model_dump().items() if column is not None}
    rows = read_rows(settings.path, settings.format, columns)
    rows = rows.with_columns(pl.lit(None, pl.String).alias(n) for n in _FIELDS if n not in columns)
    rows = rows.with_columns(normalised(pl.col(name)) for name in _FIELDS).with_columns(read_time=_time())
    found = [pl.when(offends).then(pl.lit(reason)) for reason, (_, offends) in REFUSALS.items()]
    judged = rows.with_columns(reason=pl.coalesce("fault", *found))
    parts = [pl.format(f"{name}={{}}", pl.col(name).str.slice(0, 60)) for name in _FIELDS]
    shown = pl.concat_str(parts, separator=" | ", ignore_nulls=True)
    refused = judged.filter(pl.col("reason").is_not_null())
    refused = refused.with_columns(detail=pl.coalesce("detail", shown).str.slice(0, MAX_DETAIL_CHARS))
    good = judged.filter(pl.col("reason").is_null()).with_columns(time=pl.col("read_time"))
    if good.is_empty():
        reasons = ", ".join(refused["reason"].unique().sort())
        raise InputError(
            f"None of the {rows.height} lines of {settings.path} can be used: {reasons}.",
            remedy="Check file and column mapping of [baskets].",
        )
    return _delivery(good, REJECTED_BASKET_LINES.conform(refused), None)


def read_baskets(baskets: BasketSettings | None, catalog: CatalogSettings) -> BasketDelivery | None:
    """The shop's baskets; the demo shop brings its own; None where there are none.

    Raises:
        InputError: The source as a whole cannot be used.
    """
    if baskets is not None:
        return _from_file(baskets)
    if catalog.source == "complete_journey":
        return _delivery(demo_basket_lines(), REJECTED_BASKET_LINES.empty(), DEMO_CUT_OFF)
    return None
