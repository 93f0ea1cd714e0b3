"""The mapping of the demo shop keeps its quality on pairs and phrases that it was not trained on."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pkgraph.catalog import kinds_of, read_catalog
from pkgraph.mapping import KindIndex, match_phrases
from pkgraph.mapping.calibration import shipped_calibration
from pkgraph.mapping.matching import fitting
from pkgraph.mapping.relations import MAX_TARGETS
from pkgraph.model import kind_id
from pkgraph.settings import CatalogSettings

DEMO = Path(__file__).parents[2] / "demo"


@pytest.fixture(scope="module")
def index() -> KindIndex:
    return KindIndex.fit(kinds_of(read_catalog(CatalogSettings(source="complete_journey")).products))


def taken(phrases: list[str], index: KindIndex) -> pl.DataFrame:
    candidates = fitting(match_phrases(phrases, index), shipped_calibration())
    return candidates.filter(pl.col("fits") & (pl.col("rank") < MAX_TARGETS))


def read(name: str) -> pl.DataFrame:
    return pl.read_csv(DEMO / name, separator="\t", quote_char=None)


def test_at_least_95_of_100_pairs_judged_last_are_right(index: KindIndex) -> None:
    judged = read("mapping_labels_sampled.tsv").filter(pl.col("annotator") == "M4")
    ids = [kind_id(c, t) for c, t in judged.select("category", "type").iter_rows()]
    judged = judged.with_columns(kind_id=pl.Series(ids))
    found = taken(judged["phrase"].unique().to_list(), index).join(judged, on=["phrase", "kind_id"])

    assert found.height >= 200
    assert found.filter(pl.col("fit") > 0).height / found.height >= 0.95


def test_what_the_shop_sells_is_mapped_and_the_rest_is_refused(index: KindIndex) -> None:
    asked = read("mapping_coverage.tsv")
    mapped = set(taken(asked["phrase"].to_list(), index)["phrase"])
    sold = set(asked.filter(pl.col("sold") == 1)["phrase"])
    absent = set(asked.filter(pl.col("sold") == 0)["phrase"])

    assert len(sold & mapped) / len(sold) >= 0.93
    assert len(absent & mapped) / len(absent) <= 0.10
