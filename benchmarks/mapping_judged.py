"""The mapping as shipped, judged on phrases that no label it was trained on knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pkgraph.mapping import KindIndex, match_phrases
from pkgraph.mapping.calibration import shipped_calibration
from pkgraph.mapping.matching import fitting
from pkgraph.mapping.relations import MAX_TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def accepted(phrases: list[str], index: KindIndex) -> pl.DataFrame:
    """The kinds that each phrase is resolved to."""
    candidates = fitting(match_phrases(phrases, index), shipped_calibration())
    return candidates.filter(pl.col("fits") & (pl.col("rank") < MAX_TARGETS))


def print_judged(
    pairs: pl.DataFrame, index: KindIndex, demo: Path, interval: Callable[[int, int], str]
) -> None:
    """Precision on pairs that were drawn from what was accepted, coverage on phrases drawn at random.

    Args:
        pairs: Judged pairs: phrase, kind_id, fit.
        index: The fitted kinds.
        demo: Folder of mapping_coverage.tsv: phrase, sold (1 where the shop has a right kind).
        interval: Says a share with its interval.
    """
    print(f"as shipped, threshold {shipped_calibration().threshold:.3f}")
    if not pairs.is_empty():
        taken = accepted(pairs["phrase"].unique().sort().to_list(), index)
        judged = taken.join(pairs, on=["phrase", "kind_id"], how="inner")
        print(f"  precision of pairs    {interval(judged.filter(pl.col('fit') > 0).height, judged.height)}")
        print(f"  no longer accepted    {pairs.height - judged.height} of {pairs.height} judged pairs")
    path = demo / "mapping_coverage.tsv"
    if path.exists():
        asked = pl.read_csv(path, separator="\t", quote_char=None)
        mapped = set(accepted(asked["phrase"].to_list(), index)["phrase"])
        sold = asked.filter(pl.col("sold") == 1)["phrase"].to_list()
        absent = asked.filter(pl.col("sold") == 0)["phrase"].to_list()
        print(f"  sold and mapped       {interval(len(mapped & set(sold)), len(sold))}")
        print(f"  not sold and refused  {interval(len(set(absent) - mapped), len(absent))}")
        print(f"  sold but refused: {', '.join(sorted(set(sold) - mapped)) or 'none'}")
        print(f"  not sold but mapped: {', '.join(sorted(set(absent) & mapped)) or 'none'}")
