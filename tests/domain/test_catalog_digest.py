"""An unchanged delivery is known by its bytes, an unchanged category by its kinds, whatever its title."""

from __future__ import annotations

import os
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgraph.catalog import kinds_of
from pkgraph.catalog.digest import category_versions, delivery_digest
from pkgraph.errors import CatalogError
from pkgraph.model import category_key
from pkgraph.settings import Settings, settings_from
from tests.shop import key_of, products


def shop(folder: Path, **sections: object) -> Settings:
    data = {
        "catalog": {"path": str(folder / "shop.csv")},
        "models": [{"name": "m", "answers": "a"}],
        **sections,
    }
    return settings_from(data, name="test")


def test_other_bytes_are_another_delivery_and_the_same_ones_the_same(tmp_path: Path) -> None:
    file, found = tmp_path / "shop.csv", []
    for text in ("A", "B", "A"):
        file.write_text(text)
        found.append(delivery_digest(shop(tmp_path)))

    assert found[0] == found[2] != found[1]


def test_a_copy_that_keeps_its_time_and_size_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    file.write_text("A")
    before, times = delivery_digest(shop(tmp_path)), file.stat()
    file.write_text("B")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert delivery_digest(shop(tmp_path)) != before


def test_the_same_bytes_read_otherwise_are_another_delivery(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("A")
    other = {"path": str(tmp_path / "shop.csv"), "columns": {"sku": "article"}}

    assert delivery_digest(shop(tmp_path)) != delivery_digest(shop(tmp_path, catalog=other))


def test_new_baskets_are_a_new_delivery(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("A")
    baskets = {"path": str(tmp_path / "baskets.csv")}
    found = set()
    for text in ("A", "B"):
        (tmp_path / "baskets.csv").write_text(text)
        found.add(delivery_digest(shop(tmp_path, baskets=baskets)))

    assert len(found) == 2


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"There is no file .*shop\.csv"):
        delivery_digest(shop(tmp_path))


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        ({"price": pl.lit(9.99)}, False),
        ({"brand": pl.lit("other")}, False),
        ({"popularity": pl.lit(0.9)}, False),
        ({"title": pl.concat_str(pl.col("title"), pl.lit(" new"))}, False),
        ({"department": pl.lit("FLORAL")}, True),
        ({"kind_id": pl.col("kind_id").replace({key_of("tulips"): "roses"})}, True),
    ],
)
def test_a_category_is_another_one_where_a_prompt_would_be(
    change: dict[str, pl.Expr], is_another: bool
) -> None:
    before = category_versions(kinds_of(products()))
    after = category_versions(kinds_of(products().with_columns(**change)))
    (flowers,) = [key for key in before if key.startswith("flowers")]

    assert (before[flowers] != after[flowers]) is is_another


def test_the_part_of_a_category_says_the_same_version_as_the_whole() -> None:
    whole = category_versions(kinds_of(products()))
    parts = [category_versions(kinds_of(products().filter(pl.col("category_key") == key))) for key in whole]

    assert whole == {key: version for part in parts for key, version in part.items()}


@given(st.text(min_size=1))
def test_a_key_is_safe_for_any_title(title: str) -> None:
    key = category_key(title)

    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key)
    assert len(key) <= 49
    assert key != category_key(title + " ")


@pytest.mark.parametrize(
    "titles",
    [
        ("Tea", "TEA", "tea"),
        ("x" * 10_000, "x" * 9_999),
        ("../../etc/passwd", "..\\..\\etc", "a/b", "a'b\"c", "a\x00b"),
        ("\u7dca\u6025", "\u8336", "\U0001f375"),
        ("caf\u00e9", "cafe", "cafe\u0301"),
    ],
    ids=["case", "length", "paths and quotes", "no letters of ours", "accents"],
)
def test_titles_that_look_alike_have_different_keys(titles: tuple[str, ...]) -> None:
    found = {category_key(title).casefold() for title in titles}

    assert len(found) == len(titles)
