"""Baskets are read from the shop's file or from the demo shop; a bad line costs that line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pkgraph.catalog.complete_journey import demo_basket_lines
from pkgraph.settings import BasketSettings, CatalogSettings
from pkgraph.tables import BASKET_LINES, REJECTED_BASKET_LINES

DEMO_CUT_OFF = datetime(2017, 12, 1)  # noqa: DTZ001  (the panel's clock has no zone)
"""The demo shop's last month is held out for measuring; everything learned comes from before."""


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


def before(lines: pl.DataFrame, time: datetime) -> pl.DataFrame:
    """Lines of the training part; one without a time is in neither part."""
    return lines.filter(pl.col("time") < time)


def since(lines: pl.DataFrame, time: datetime) -> pl.DataFrame:
    """Lines of the held-out part; one without a time is in neither part."""
    return lines.filter(pl.col("time") >= time)


def _delivery(good: pl.DataFrame, rejected: pl.DataFrame, cut_off: datetime | None) -> BasketDelivery:
    lines = BASKET_LINES.conform(good.unique(["basket", "sku"], keep="first", maintain_order=True))
    n_repeated = good.height - lines.height
    return BasketDelivery(lines, rejected, good.height + rejected.height, n_repeated, cut_off)


def read_baskets(baskets: BasketSettings | None, catalog: CatalogSettings) -> BasketDelivery | None:
    """The shop's baskets; the demo shop brings its own; None where there are none.

    Raises:
        InputError: The source as a whole cannot be used.
    """
    if baskets is None and catalog.source == "complete_journey":
        return _delivery(demo_basket_lines(), REJECTED_BASKET_LINES.empty(), DEMO_CUT_OFF)
    if baskets is None:
        return None
    raise NotImplementedError
