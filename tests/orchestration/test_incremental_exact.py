"""A step is made again only where something it depends on changed, and what comes of it is as if all were."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg_assets.incremental import DISTIL, JUDGE, MAP, READ, TRAIN
from pkgraph.home import Home
from pkgraph.labels import statement_key
from pkgraph.labels.store import Label, LabelStore, Pair
from pkgraph.llm import Ledger
from tests.orchestration.library_shop import MADE_BY, OF_A_CATEGORY, LibraryShop, World, built_anew

PRODUCTS = {
    "00017": ("Spaghetti No. 5 500 g", "spaghetti", "Pasta", 1.29),
    "00018": ("Penne Rigate 500 g", "penne", "Pasta", 1.39),
    "00021": ("Tomato Sauce Basil 400 g", "tomato sauce", "Sauces", 2.49),
    "00031": ("Parmesan Cheese 150 g", "parmesan cheese", "Cheese", 4.99),
    "00032": ("Mozzarella 125 g", "mozzarella", "Cheese", 1.19),
    "00041": ("Red Wine 0.75 l", "red wine", "Wine", 6.99),
}
TOLD = {
    "spaghetti": ("tomato sauce", "parmesan cheese"),
    "penne": ("tomato sauce", "unicorn dust"),
    "tomato sauce": ("spaghetti", "mozzarella"),
    "parmesan cheese": ("spaghetti", "red wine"),
    "mozzarella": ("tomato sauce", "red wine"),
    "red wine": ("parmesan cheese",),
    "italian dinner": ("spaghetti", "red wine"),
}
KINDS = (*[product[1] for product in PRODUCTS.values()], "gnocchi", "grated parmesan", "white wine")
CATEGORIES = ("Pasta", "Sauces", "Cheese", "Wine", "Pâtes / été")
WORDS = ("relation_type", "rationale", "product", "explanation")
Change = Callable[[World], None]


@pytest.fixture
def world() -> World:
    return World(dict(PRODUCTS), dict(TOLD))


@pytest.fixture
def shop(world: World, tmp_path: Path) -> LibraryShop:
    return opened(world, tmp_path)


def opened(world: World, folder: Path) -> LibraryShop:
    shop = LibraryShop(Home(folder / "home"), world.write(folder / "shop"))
    shop.build()
    return shop


def build_again(shop: LibraryShop, world: World, folder: Path) -> list[tuple[str, str]]:
    """What was run: jobs with the title's slug of their category."""
    shop.settings = world.write(folder / "shop")
    shop.build()
    return [(job, (key or "").rpartition("-")[0] or (key or "")) for job, key in shop.ran]


def check_against_anew(shop: LibraryShop, folder: Path) -> None:
    """The graph and every table behind it are those of a home that was built whole."""
    anew = built_anew(shop, folder)
    assert anew.keys == shop.keys
    for name in OF_A_CATEGORY:
        for key in shop.keys if name != "catalog" else ():
            assert shop.frame(name, key).equals(anew.frame(name, key)), (name, key)
    assert shop.graph() == anew.graph()
    assert shop.accepted.items() >= anew.accepted.items()


def test_when_nothing_changed_nothing_is_run(shop: LibraryShop, world: World, tmp_path: Path) -> None:
    assert len(shop.ran) == 2 + 2 * len(shop.keys)
    assert build_again(shop, world, tmp_path) == []


def test_another_price_is_another_catalog_and_nothing_is_distilled_or_judged(
    shop: LibraryShop, world: World, tmp_path: Path
) -> None:
    world.products["00017"] = (*PRODUCTS["00017"][:3], 0.99)
    before = shop.graph()

    assert build_again(shop, world, tmp_path) == [(READ, "")]
    assert [name for name, array in shop.graph().items() if array != before[name]] == [
        "sku_price",
        "sku_cards",
    ]
    check_against_anew(shop, tmp_path)


def test_a_new_answer_distils_its_category_alone_and_judges_what_it_bears_on(
    shop: LibraryShop, world: World, tmp_path: Path
) -> None:
    world.told["penne"] = ("mozzarella",)
    ran = build_again(shop, world, tmp_path)

    assert [one for one in ran if one[0] != JUDGE] == [(DISTIL, "pasta"), (TRAIN, "")]
    assert (JUDGE, "pasta") in ran
    check_against_anew(shop, tmp_path)


def test_a_new_kind_costs_one_prompt_and_one_category(
    shop: LibraryShop, world: World, tmp_path: Path
) -> None:
    with Ledger.open(shop.home.ledger) as ledger:
        before = ledger.totals().n_answers
    world.products["00051"] = ("Basmati Rice 1 kg", "basmati rice", "Pasta", 2.99)
    world.told["basmati rice"] = ("red wine",)
    ran = build_again(shop, world, tmp_path)

    assert [one for one in ran if one[0] == DISTIL] == [(DISTIL, "pasta")]
    assert (MAP, "pasta") not in ran  # the others may be mapped anew: a word is rarer among more kinds
    with Ledger.open(shop.home.ledger) as ledger:
        assert ledger.totals().n_answers == before + 1
    check_against_anew(shop, tmp_path)


def test_a_new_label_distils_nothing(shop: LibraryShop, world: World, tmp_path: Path) -> None:
    world.labels["spaghetti", 0] = False
    ran = build_again(shop, world, tmp_path)

    assert {job for job, _ in ran} == {TRAIN, JUDGE}
    refused = shop.frame("scored_relations", next(key for key in shop.keys if key.startswith("pasta")))
    assert not refused.filter(pl.col("source_kind") == "spaghetti")["is_accepted"].all()
    check_against_anew(shop, tmp_path)


def test_what_a_reviewer_says_in_the_label_store_counts_at_the_next_build(
    shop: LibraryShop, world: World, tmp_path: Path
) -> None:
    pasta = next(key for key in shop.keys if key.startswith("pasta"))
    said = shop.frame("relations", pasta).sort("relation_id").row(0, named=True)
    names = ("relation_id", "prompt_id", "model", "position")
    pair = Pair(
        **{name: said[name] for name in names}, statement=statement_key(*(said[name] for name in WORDS))
    )
    with LabelStore.open(shop.home.labels) as store:
        store.add([Label(pair, holds=False, annotator="ann", created_at="2026-11-25T10:00:00+00:00")])
    ran = build_again(shop, world, tmp_path)

    assert {job for job, _ in ran} == {TRAIN, JUDGE}
    assert said["relation_id"] not in shop.frame("accepted_relations", pasta)["relation_id"]


def test_a_kind_that_left_leaves_no_ghost(shop: LibraryShop, world: World, tmp_path: Path) -> None:
    assert "red wine" in targets(shop)
    del world.products["00041"]
    build_again(shop, world, tmp_path)

    assert not [key for key in shop.keys if key.startswith("wine")]
    assert "red wine" not in targets(shop)
    assert b"red wine" not in shop.graph()["kind_titles"] + shop.graph()["edge_explanations"]
    check_against_anew(shop, tmp_path)


def targets(shop: LibraryShop) -> set[str]:
    accepted = pl.concat([shop.frame("accepted_relations", key) for key in shop.keys])
    return {*accepted["target_kind"], *accepted["source_kind"].drop_nulls()}


def test_a_category_that_comes_back_is_as_it_was(shop: LibraryShop, world: World, tmp_path: Path) -> None:
    before = shop.graph()
    wine = world.products.pop("00041")
    build_again(shop, world, tmp_path)
    world.products["00041"] = wine
    ran = build_again(shop, world, tmp_path)

    assert (DISTIL, "wine") not in ran
    assert shop.graph() == before


@pytest.mark.parametrize(
    ("name", "harm"),
    [*((name, "edited") for name in OF_A_CATEGORY), ("prompts", "lost"), ("accepted_relations", "lost")],
)
def test_a_table_that_is_not_what_was_made_is_made_again(
    shop: LibraryShop, world: World, tmp_path: Path, name: str, harm: str
) -> None:
    before, key = shop.graph(), shop.keys[0]
    path = shop.steps.tables.path(name, key)
    if harm == "lost":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b"\0")
    ran = build_again(shop, world, tmp_path)

    assert (DISTIL if name in MADE_BY[DISTIL] else JUDGE) in {job for job, _ in ran}
    assert shop.graph() == before


@pytest.mark.parametrize("trace", ["", "{", "[]", '{"format": 2, "inputs": {}, "outputs": {}}'])
def test_a_trace_that_cannot_be_read_makes_the_step_again(
    shop: LibraryShop, world: World, tmp_path: Path, trace: str
) -> None:
    (shop.home.traces / f"{READ}.json").write_text(trace)
    assert build_again(shop, world, tmp_path) == [(READ, "")]


def test_other_code_makes_everything_again(shop: LibraryShop, world: World, tmp_path: Path) -> None:
    shop.code = "another"
    assert len(build_again(shop, world, tmp_path)) == 2 + 2 * len(shop.keys)


def test_accepted_relations_that_the_event_log_does_not_know_are_judged_again(
    shop: LibraryShop, world: World, tmp_path: Path
) -> None:
    shop.accepted.clear()
    assert {job for job, _ in build_again(shop, world, tmp_path)} == {JUDGE}


skus = st.sampled_from([*PRODUCTS, "00051", "00052", "00053"])
prices = st.sampled_from([0.99, 1.29, 4.99])
products = st.tuples(
    st.sampled_from(["Fine {} 500 g", "{} 1 kg"]), st.sampled_from(KINDS), st.sampled_from(CATEGORIES)
)


def _put(world: World, sku: str, product: tuple[str, str, str], price: float) -> None:
    title, kind, category = product
    world.products[sku] = (title.format(kind), kind, category, price)


def _reprice(world: World, sku: str, price: float) -> None:
    if sku in world.products:
        world.products[sku] = (*world.products[sku][:3], price)


def _drop(world: World, sku: str) -> None:
    if len(world.products) > 1:
        world.products.pop(sku, None)


changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(lambda *a: lambda world: _put(world, *a), skus, products, prices),
    st.builds(lambda *a: lambda world: _reprice(world, *a), skus, prices),
    st.builds(lambda sku: lambda world: _drop(world, sku), skus),
    st.builds(
        lambda source, told: lambda world: world.told.update({source: tuple(told)}),
        st.sampled_from([*KINDS, "italian dinner"]),
        st.lists(st.sampled_from([*KINDS, "unicorn dust"]), max_size=3, unique=True),
    ),
    st.builds(
        lambda source, position, holds: lambda world: world.labels.update({(source, position): holds}),
        st.sampled_from(KINDS),
        st.integers(0, 1),
        st.booleans(),
    ),
)


def _check_any_sequence(rounds: list[list[Change]]) -> None:
    world = World(dict(PRODUCTS), dict(TOLD))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shop = opened(world, folder)
        for one_round in rounds:
            for change in one_round:
                change(world)
            build_again(shop, world, folder)
        check_against_anew(shop, folder)
        assert build_again(shop, world, folder) == []


rounds_of_changes = st.lists(st.lists(changes, min_size=1, max_size=3), min_size=1, max_size=4)


@settings(max_examples=5, deadline=None)
@given(rounds_of_changes)
def test_after_any_changes_the_graph_is_that_of_a_full_build(rounds: list[list[Change]]) -> None:
    _check_any_sequence(rounds)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(max_examples=60, deadline=None)
@given(rounds_of_changes)
def test_after_many_changes_the_graph_is_that_of_a_full_build(rounds: list[list[Change]]) -> None:
    _check_any_sequence(rounds)
