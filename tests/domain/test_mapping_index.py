"""The index of kinds: what it reads on labels, what it keeps, what it refuses."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pkgraph.errors import CatalogError, SettingsError
from pkgraph.mapping import KindIndex, match_phrases
from pkgraph.mapping.calibration import calibration_text, parse_calibration
from pkgraph.mapping.curated import curated, read_synonyms
from pkgraph.mapping.labels import read_label
from pkgraph.mapping.learned import learn_expansions
from pkgraph.mapping.phrases import readings
from pkgraph.mapping.words import MAX_WORDS, words


def kinds(*labels: str, category: str = "GROCERY") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "kind_id": [f"{i:03}" for i in range(len(labels))],
            "kind": list(labels),
            "category": category,
            "department": pl.Series([None] * len(labels), dtype=pl.String),
            "n_skus": 10,
            "popularity": 0.1,
        }
    )


@pytest.mark.parametrize(
    ("label", "full"),
    [
        ("SFT DRNK 2 LITER BTL CARB INCL", ("softdrink", "2", "liter", "bottle", "carbonated", "incl")),
        ("FRZN WHIPPED TOPPING", ("frozen", "whipped", "topping")),
        ("SALD DRSNG/SNDWCH SPRD", ("saladdressing", "sandwich", "spread")),
        ("NON DAIRY CREAMER: DRY", ("nondairy", "creamer", "dry")),
        ("CHERRIES (EXCEPT MARASCHINO)", ("cherry",)),
    ],
)
def test_abbreviations_are_expanded_and_exclusions_dropped(label: str, full: tuple[str, ...]) -> None:
    assert read_label(label, curated()).all_words == full


def test_a_label_of_two_products_has_two_faces() -> None:
    faces = read_label("APPLE JUICE & CIDER", curated()).faces

    assert [face.tokens for face in faces] == [("apple", "juice"), ("apple", "cider")]


def test_a_cut_word_is_completed_from_its_category() -> None:
    labels = [("marinated", "chicken"), ("marin",), ("marin",), ("marin",), ("marin",), ("marin",)]
    originals = ["MARINATED CHICKEN", *["SEAFOOD-MISC-SAUCES/IN A MARIN"] * 5]

    learned = learn_expansions(labels, [("meat",)] * 6, originals)

    assert learned[1] == ("marinated",)
    assert learned[0] == ()


def test_the_noun_and_its_synonym_are_both_read() -> None:
    found = readings("diet soda", curated())

    assert found[0].tokens == ("diet", "soda")
    assert ("softdrink", "carbonated") in [reading.tokens for reading in found]


def test_two_products_joined_by_or_are_read_apart() -> None:
    heads = {reading.heads for reading in readings("matches or lighter", curated())}

    assert {("match",), ("lighter",)} <= heads


def test_what_stays_of_a_phrase_never_contradicts_its_synonym() -> None:
    assert all("adult" not in reading.tokens for reading in readings("kids' cereal", curated()))


def test_words_are_capped_plain_and_singular() -> None:
    assert words("Men's Body WASHES") == ("man", "body", "wash")
    assert words("Crème brûlées") == ("creme", "brulee")
    assert len(words("a b " * 1000)) == MAX_WORDS


def test_a_saved_index_answers_as_before(tmp_path: Path) -> None:
    index = KindIndex.fit(kinds("SOUR CREAMS", "CHOCOLATE MILK"), own_synonyms=("crema\tsour cream",))
    index.save(tmp_path / "kind_index")
    loaded = KindIndex.load(tmp_path / "kind_index")

    assert loaded.fingerprint == index.fingerprint
    assert match_phrases(["crema", "milk"], loaded).equals(match_phrases(["crema", "milk"], index))


@pytest.mark.parametrize(
    "content", ["", "{}", '{"kinds": {"kind_id": [1, 2]}, "own_synonyms": []}', "\x80abc"]
)
def test_a_file_that_is_no_index_is_one_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kind_index"
    path.write_bytes(content.encode("latin-1"))

    with pytest.raises(CatalogError, match="no index of kinds"):
        KindIndex.load(path)


def test_the_fingerprint_follows_the_kinds_not_their_order() -> None:
    frame = kinds("SOUR CREAMS", "CHOCOLATE MILK")

    assert KindIndex.fit(frame).fingerprint == KindIndex.fit(frame.reverse()).fingerprint
    assert KindIndex.fit(frame).fingerprint != KindIndex.fit(kinds("SOUR CREAMS", "MILK")).fingerprint


def test_missing_columns_are_named() -> None:
    with pytest.raises(CatalogError, match="lack the columns category, n_skus"):
        KindIndex.fit(kinds("MILK").drop("n_skus", "category"))


def test_a_shop_without_kinds_has_nothing_to_map_to() -> None:
    with pytest.raises(CatalogError, match="no kind to map to"):
        KindIndex.fit(kinds("MILK").clear())


@pytest.mark.parametrize("label", ["!!!", "☃", "和牛", "A"])
def test_labels_of_any_script_can_be_fitted(label: str) -> None:
    assert match_phrases(["milk"], KindIndex.fit(kinds(label))).height <= 1


def test_a_synonym_line_without_two_sides_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.tsv"
    path.write_text("soda\n", encoding="utf-8")

    with pytest.raises(SettingsError, match="without two sides: 'soda'"):
        read_synonyms(path)


def test_a_calibration_for_other_features_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"benchmarks\.mapping --write"):
        parse_calibration(calibration_text().replace("covered_by_label", "covered_by_magic"))


def test_the_shipped_calibration_says_what_it_was_trained_on() -> None:
    calibration = parse_calibration(calibration_text())

    assert "Complete Journey" in calibration.note
    assert "Not to be trusted" in calibration.note
    assert 0.5 <= calibration.threshold < 1
