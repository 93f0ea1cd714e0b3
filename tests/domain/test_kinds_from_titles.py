"""Kinds made from titles: sizes, counts and brand go, what a shopper says stays."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.catalog import derived_kind, naming, read_catalog
from pkgraph.catalog.naming import MAX_KIND_CHARS
from pkgraph.settings import CatalogSettings

EXAMPLES = re.findall(
    r'^ {4}"(.+?)"\s+(?:\(brand (.+?)\)\s+)?-> "(.+?)"$', naming.__doc__ or "", re.MULTILINE
)


def test_the_documented_examples_hold() -> None:
    assert len(EXAMPLES) == 6
    for title, brand, kind in EXAMPLES:
        assert derived_kind(title, brand or None) == kind


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Orange Juice 64 FL OZ", "orange juice"),
        ("Cola 12x330ml", "cola"),
        ("Cola 2x1L", "cola"),
        ("Iced Tea 6pk/16.9 fl oz", "iced tea"),
        ("12 oz 6 pack root beer", "root beer"),
        ("Hair Clips 24ct.", "hair clips"),
        ("AA Batteries, 8-Count", "aa batteries"),
        ("Pack of 6 Socks", "socks"),
        ("6 x Cola", "cola"),
        ("Cola x6", "cola"),
        ("1/2 gal milk", "milk"),
        ("Eggs, Large, 1 dozen", "eggs large"),
        ("T-Shirt – Men's", "t-shirt men's"),
        ("M&M's Peanut 10.7oz", "m&m's peanut"),
        ("ÄPFEL  1,5 kg", "äpfel"),
        ("牛乳 1000ml", "牛乳"),
    ],
)
def test_sizes_counts_case_and_punctuation_go(title: str, kind: str) -> None:
    assert derived_kind(title) == kind


@pytest.mark.parametrize(
    "title", ["2% milk", "3 in 1 conditioner", "a4 paper", "lumber 2 x 4 pine", "omega-3", "90s toys"]
)
def test_numbers_that_are_part_of_the_name_stay(title: str) -> None:
    assert derived_kind(title) == title


def test_a_brand_goes_only_where_the_title_starts_with_it_as_a_word() -> None:
    assert derived_kind("Acme Soap", "ACME") == "soap"
    assert derived_kind("Acmeville Soap", "Acme") == "acmeville soap"
    assert derived_kind("Soap by Acme", "Acme") == "soap by acme"
    assert derived_kind("Acme", "Acme") == "acme"


@pytest.mark.parametrize("title", ["500 ml", "12", "% &", "6-pack"])
def test_a_title_without_a_name_is_its_own_kind(title: str) -> None:
    assert derived_kind(title) in {title, title.lower()}


@settings(max_examples=100, deadline=None)
@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80),
    st.none() | st.text("ab ", max_size=4),
)
def test_every_visible_title_has_a_short_kind_that_is_always_the_same(title: str, brand: str | None) -> None:
    kind = derived_kind(title, brand)
    assert kind == derived_kind(title, brand)
    assert len(kind) <= MAX_KIND_CHARS
    assert kind or not re.search(r"\w", title)


def test_products_of_one_derived_kind_share_its_key_within_their_category(tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "sku": ["1", "2", "3"],
            "title": ["Milk 1L", "MILK, 500ml", "Milk 1 gal"],
            "category": ["Dairy", "Dairy", "Baby"],
        }
    ).write_csv(tmp_path / "shop.csv")
    products = read_catalog(CatalogSettings.model_validate({"path": str(tmp_path / "shop.csv")})).products
    assert products["kind"].to_list() == ["milk"] * 3
    assert products["kind_id"].n_unique() == 2
