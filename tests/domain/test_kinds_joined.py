"""Names that mean one thing become one kind, and keep its name whatever comes after."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from benchmarks.kinds import products_of, quality
from benchmarks.titles import SHELVES, Titled, catalog_of
from pkgraph.catalog import read_catalog
from pkgraph.catalog.grouping import with_grouped_kinds
from pkgraph.settings import CatalogSettings

N_TRUE = sum(map(len, SHELVES.values()))


def shelf(*titles: str, category: str = "Dairy") -> pl.DataFrame:
    return products_of(Titled(f"{category}-{n}", title, category, None, "") for n, title in enumerate(titles))


def kinds(products: pl.DataFrame) -> dict[str, str]:
    return dict(products.select("title", "kind").iter_rows())


@pytest.fixture(scope="module")
def titles() -> list[Titled]:
    return catalog_of(2_500, seed=7)


@pytest.mark.parametrize(
    ("budget", "skus_a_kind", "purity", "f1"), [(None, 5, 0.98, 0.35), (2 * N_TRUE, 11, 0.96, 0.7)]
)
def test_a_kind_covers_many_titles_of_one_true_kind(
    titles: list[Titled], budget: int | None, skus_a_kind: float, purity: float, f1: float
) -> None:
    truth = {t.sku: (t.category, t.true_kind) for t in titles}
    names = products_of(titles)
    joined = with_grouped_kinds(names, max_kinds=budget)
    true = [truth[sku] for sku in joined["sku"]]

    before, after = (quality(true, frame["kind_id"].to_list()) for frame in (names, joined))
    assert before["skus_a_kind"] < 1.5
    assert after["skus_a_kind"] > skus_a_kind
    assert after["purity"] > purity
    assert after["f1"] > f1 > before["f1"]


@pytest.mark.parametrize("budget", [500, 222, 40, len(SHELVES)])
def test_the_budget_is_kept_and_used(titles: list[Titled], budget: int) -> None:
    n_kinds = with_grouped_kinds(products_of(titles), max_kinds=budget)["kind_id"].n_unique()
    assert 0.97 * budget <= n_kinds <= budget or budget == 500 >= n_kinds


def test_a_category_keeps_one_kind_whatever_the_budget() -> None:
    products = pl.concat([shelf("Milk 1L", "Butter"), shelf("Milk 1L", "Cheese", category="Baby")])
    joined = with_grouped_kinds(products, max_kinds=1)
    assert joined["kind_id"].n_unique() == 2


def test_words_in_another_order_plurals_and_slips_are_one_kind() -> None:
    said = kinds(
        with_grouped_kinds(
            shelf(
                *(f"Wood Screws Brass {n} ct" for n in range(10, 30)),
                "Brass Wood Screw, 12 ct", "Wood Srcews Brass", "Wood Glue", "Hex Bolts Zinc",
            )
        )
    )  # fmt: skip
    assert said["Brass Wood Screw, 12 ct"] == said["Wood Srcews Brass"] == "wood screws brass"
    assert said["Wood Glue"] == "wood glue"
    assert said["Hex Bolts Zinc"] == "hex bolts zinc"


def test_a_joined_kind_is_called_by_the_words_that_most_of_its_products_have() -> None:
    flavours = ("Strawberry", "Vanilla", "Peach", "Mango", "Cherry")
    products = shelf(*(f"{flavour} Drinking Yogurt" for flavour in flavours))
    assert set(with_grouped_kinds(products, max_kinds=1)["kind"]) == {"drinking yogurt"}


def test_few_titles_without_near_ones_stay_as_they_are() -> None:
    products = shelf("Spaghetti No. 5 500 g", "Spaghetti Wholegrain 500g", "Penne Rigate 500 g")
    assert with_grouped_kinds(products).equals(products)


def test_the_order_of_the_rows_changes_nothing(titles: list[Titled]) -> None:
    shuffled = titles[:]
    random.Random(5).shuffle(shuffled)  # noqa: S311
    one, other = (with_grouped_kinds(products_of(rows), max_kinds=150) for rows in (titles, shuffled))
    assert one.equals(other)


@pytest.mark.parametrize("budget", [None, 260])
def test_new_titles_rename_no_kind_and_mostly_join_one(titles: list[Titled], budget: int | None) -> None:
    old, new = titles[:1_500], titles[1_500:]
    before = with_grouped_kinds(products_of(old), max_kinds=budget)
    after = with_grouped_kinds(products_of([*old, *new]), max_kinds=budget, former=before)

    kept = before.join(after, on="sku", suffix="_after")
    assert kept["kind_id"].equals(kept["kind_id_after"])
    assert after["kind_id"].n_unique() - before["kind_id"].n_unique() < len(new) / 3
    assert budget is None or after["kind_id"].n_unique() <= budget


def test_the_same_catalog_again_changes_nothing(titles: list[Titled]) -> None:
    products = products_of(titles)
    once = with_grouped_kinds(products, max_kinds=200)
    assert with_grouped_kinds(products, max_kinds=200, former=once).equals(once)


def test_a_lower_budget_joins_kinds_under_names_that_were_there_and_a_higher_one_parts_none(
    titles: list[Titled],
) -> None:
    products = products_of(titles)
    once = with_grouped_kinds(products, max_kinds=200)
    lower = with_grouped_kinds(products, max_kinds=120, former=once)
    higher = with_grouped_kinds(products, max_kinds=300, former=lower)

    assert lower["kind_id"].n_unique() == 120
    assert set(lower["kind_id"]) <= set(once["kind_id"])
    assert once.join(lower, on="sku").group_by("kind_id").agg(pl.col("kind_id_right").n_unique())[
        "kind_id_right"
    ].max() == 1  # fmt: skip
    assert higher.equals(lower)


def test_kinds_of_one_category_have_different_names(titles: list[Titled]) -> None:
    joined = with_grouped_kinds(products_of(titles), max_kinds=90)
    pairs = joined.select("category", "kind", "kind_id").unique()
    assert pairs.select("category", "kind").is_unique().all()
    assert all(name.strip() == name and name for name in pairs["kind"])


def test_a_shelf_of_more_titles_than_are_compared_at_once_is_joined_too() -> None:
    rng = random.Random(3)  # noqa: S311
    words = ["".join(rng.choices("bcdfgklmnprst", k=6)) for _ in range(120)]
    heads = [" ".join(words[at : at + 3]) for at in range(0, len(words), 3)]
    products = shelf(*(f"{head} {brand}k" for head in heads for brand in range(81)))

    assert products["kind"].n_unique() == 40 * 81 > 3_000
    assert with_grouped_kinds(products)["kind"].unique().sort().to_list() == sorted(heads)
    assert with_grouped_kinds(products, max_kinds=10)["kind_id"].n_unique() == 10


def test_a_delivery_without_kinds_is_joined_and_one_with_kinds_is_not(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    rows = ["sku,title,category,type", "1,Milk Whole 1L,Dairy,a", "2,Whole Milk 2L,Dairy,b"]
    path.write_text("\n".join(rows), encoding="utf-8")
    derived = CatalogSettings.model_validate({"path": str(path), "max_kinds": 5})
    given = CatalogSettings.model_validate({"path": str(path), "columns": {"kind": "type"}})

    first = read_catalog(derived).products
    assert set(first["kind"]) == {"milk whole"} or set(first["kind"]) == {"whole milk"}
    assert read_catalog(given).products["kind"].to_list() == ["a", "b"]
    path.write_text("\n".join([*rows, "3,MILK WHOLE,Dairy,c", "4,Soap,Dairy,d"]), encoding="utf-8")
    second = read_catalog(derived, former=first).products
    assert second["kind"].to_list() == [*first["kind"], first["kind"][0], "soap"]
