"""Every relation is mapped or refused, never both, and never to its own source."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.mapping import KindIndex, Mapping, map_relations, match_phrases
from pkgraph.model import kind_id
from pkgraph.tables import RELATIONS

SHOP = [
    ("DAIRY", "SOUR CREAMS", 95),
    ("DAIRY", "FLUID MILK WHITE ONLY", 194),
    ("DAIRY", "CHOCOLATE MILK", 52),
    ("DELI", "SOUR CREAM", 40),
    ("SHAVING", "RAZORS AND BLADES", 214),
    ("COSMETICS", "BURT TURNER", 12),
    ("PAPER", "BASIC PAPER PLATES", 16),
    ("DINNERWARE", "CERAMIC PLATES", 9),
    ("SNACKS", "TORTILLA/NACHO CHIPS", 230),
    ("BREAD", "MEXICAN SOFT TORTILLAS AND WRA", 40),
    ("CAT LITTER", "SCOOP LITTER", 52),
    ("CAT FOOD", "DRY CAT FOOD (CAT CHOW/FRISKIE", 95),
    ("BABY", "BABY WIPES", 114),
    ("CLEANING", "CLEANING WIPES", 45),
    ("CANDLES", "CANDLES", 289),
    ("CANDY", "CANDY BAGS-NON CHOCOLATE", 294),
    ("SODA", "SFT DRNK 2 LITER BTL CARB INCL", 342),
    ("PAPER", "PLSTC CTLRYTBLCLTHSTTHPKSST", 60),
]


def shop_index(own_synonyms: tuple[str, ...] = ()) -> KindIndex:
    kinds = pl.DataFrame(
        [
            {
                "kind_id": kind_id(c, k),
                "kind": k,
                "category": c,
                "department": None,
                "n_skus": n,
                "popularity": 0.0,
            }
            for c, k, n in SHOP
        ],
        schema_overrides={"department": pl.String},
    )
    return KindIndex.fit(kinds, own_synonyms=own_synonyms)


INDEX = shop_index()


def stated(*products: str, source: str | None = None) -> pl.DataFrame:
    n = len(products)
    return RELATIONS.conform(
        pl.DataFrame(
            {
                "relation_id": [f"r{i:03}" for i in range(n)],
                "position": list(range(n)),
                "product": list(products),
                "source_kind_id": pl.Series([source] * n, dtype=pl.String),
                "source_kind": pl.Series([None] * n, dtype=pl.String),
                "source_category": pl.Series([None] * n, dtype=pl.String),
            },
            schema_overrides={"product": pl.String, "relation_id": pl.String},
        ).with_columns(
            response_id=pl.lit("x"),
            prompt_id=pl.lit("p"),
            model=pl.lit("m"),
            sample=0,
            relation_type=pl.lit("complement"),
            rationale=pl.lit("tea time"),
            rationale_id=pl.lit("t"),
            explanation=pl.lit("They go together."),
            stated_confidence=0.5,
            is_repaired=False,
        )
    )


def targets(phrase: str, index: KindIndex = INDEX, source: str | None = None) -> set[str]:
    return set(map_relations(stated(phrase, source=source), index).mapped["target_kind"])


def ids(mapping: Mapping) -> tuple[set[str], set[str]]:
    return set(mapping.mapped["relation_id"]), set(mapping.unmapped["relation_id"])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(max_size=40) | st.sampled_from(["milk", "sour cream", "\u200b", "CAFE\u0301", "和牛"]),
        max_size=6,
    )
)
def test_every_relation_is_mapped_or_refused_and_never_both(products: list[str]) -> None:
    relations = stated(*products)
    mapped, refused = ids(map_relations(relations, INDEX))

    assert mapped | refused == set(relations["relation_id"])
    assert not mapped & refused


def test_the_same_relations_map_the_same_way_in_any_order() -> None:
    relations = stated("sour cream", "soda", "razors", "nonsense", "wipes")
    one, other = map_relations(relations, INDEX), map_relations(relations.reverse(), INDEX)

    assert one.mapped.equals(other.mapped)
    assert one.unmapped.equals(other.unmapped)


def test_a_phrase_maps_alike_alone_and_in_company() -> None:
    alone = match_phrases(["sour cream"], INDEX)
    company = match_phrases(["sour cream", "candles", "chips and dip"], INDEX)

    assert company.filter(pl.col("phrase") == "sour cream").equals(alone)


def test_sour_cream_maps_to_every_sour_cream_of_the_shop() -> None:
    assert targets("sour cream") == {"SOUR CREAMS", "SOUR CREAM"}


@pytest.mark.parametrize("nonsense", ["xqzzy", "car tires", "grand piano", "!!!", "", "   ", "☃", "insulin"])
def test_what_the_shop_does_not_sell_is_refused(nonsense: str) -> None:
    assert targets(nonsense) == set()


def test_a_phrase_without_a_word_has_no_candidate() -> None:
    refused = map_relations(stated("!!!"), INDEX).unmapped

    assert refused["reason"].to_list() == ["no_candidate"]
    assert refused["best_kind_id"].to_list() == [None]


def test_a_near_miss_is_refused_and_says_what_it_nearly_was() -> None:
    refused = map_relations(stated("shaving mirror with razor holder"), INDEX).unmapped

    assert refused["reason"].to_list() == ["below_threshold"]
    assert refused["best_kind"].to_list() == ["RAZORS AND BLADES"]


def test_the_source_itself_is_never_a_target() -> None:
    source = kind_id("SHAVING", "RAZORS AND BLADES")
    mapping = map_relations(stated("razors", source=source), INDEX)

    assert mapping.mapped.is_empty()
    assert mapping.unmapped["reason"].to_list() == ["names_its_source"]
    assert source not in mapping.unmapped["best_kind_id"].to_list()


def test_a_namesake_of_the_source_in_another_category_stays_a_target() -> None:
    assert targets("sour cream", source=kind_id("DAIRY", "SOUR CREAMS")) == {"SOUR CREAM"}


def test_no_phrase_gets_more_targets_than_asked_for() -> None:
    mapping = map_relations(stated("sour cream"), INDEX, max_targets=1)

    assert mapping.mapped["n_targets"].to_list() == [1]
    assert 0 <= mapping.mapped["match_margin"][0] <= 1


@pytest.mark.parametrize(
    ("phrase", "right", "wrong"),
    [
        ("milk", "FLUID MILK WHITE ONLY", "CHOCOLATE MILK"),
        ("plastic forks", "PLSTC CTLRYTBLCLTHSTTHPKSST", "RAZORS AND BLADES"),
        ("paper plates", "BASIC PAPER PLATES", "CERAMIC PLATES"),
        ("tortilla chips", "TORTILLA/NACHO CHIPS", "MEXICAN SOFT TORTILLAS AND WRA"),
        ("flour tortillas", "MEXICAN SOFT TORTILLAS AND WRA", "TORTILLA/NACHO CHIPS"),
        ("cat litter", "SCOOP LITTER", "DRY CAT FOOD (CAT CHOW/FRISKIE"),
        ("baby wipes", "BABY WIPES", "CLEANING WIPES"),
        ("candles", "CANDLES", "CANDY BAGS-NON CHOCOLATE"),
        ("soda", "SFT DRNK 2 LITER BTL CARB INCL", "FLUID MILK WHITE ONLY"),
    ],
)
def test_typical_confusions_are_told_apart(phrase: str, right: str, wrong: str) -> None:
    found = targets(phrase)

    assert right in found
    assert wrong not in found


def test_a_turnip_is_not_a_cosmetics_brand() -> None:
    assert targets("turnip") == set()


def test_a_shop_adds_synonyms_of_its_own() -> None:
    assert targets("fizzy pop juice") == set()
    index = shop_index(("fizzy pop juice\tsoft drink carbonated",))

    assert targets("fizzy pop juice", index) == {"SFT DRNK 2 LITER BTL CARB INCL"}
    assert index.fingerprint != INDEX.fingerprint


def test_a_phrase_of_ten_thousand_characters_is_cut_and_answered() -> None:
    mapping = map_relations(stated("sour cream " * 1000, "x" * 10_000), INDEX)

    assert set(mapping.mapped["target_kind"]) == {"SOUR CREAMS", "SOUR CREAM"}
    assert mapping.unmapped["relation_id"].to_list() == ["r001"]


def test_no_relations_make_empty_tables() -> None:
    mapping = map_relations(RELATIONS.empty(), INDEX)

    assert mapping.mapped.is_empty()
    assert mapping.unmapped.is_empty()
