"""Every option of the recommender does the same in the library, over HTTP and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pkgraph.recommend import Graph
from pkgraph.recommend.graph import DEFAULTS, Options
from pkgraph.serving.questions import BASKET_FIELDS
from pkgraph.snapshot.compile import compile_graph
from tests.command import Command
from tests.published import publish_shop
from tests.serving.server import Server, running
from tests.shop import STATEMENTS, accepted, products

OPTIONS: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    # name in the library: value, query, arguments
    "k": (2, "limit=2", ("-k", "2")),
    "exclude": (["v1"], "exclude=v1", ("--exclude", "v1")),
    "relation_types": (["accessory"], "relation=accessory", ("--relation", "accessory")),
    "categories": (["flowers"], "category=flowers", ("--category", "flowers")),
    "min_price": (1.5, "min_price=1.5", ("--min-price", "1.5")),
    "max_price": (1.5, "max_price=1.5", ("--max-price", "1.5")),
    "min_probability": (0.85, "min_probability=0.85", ("--min-probability", "0.85")),
    "max_per_kind": (2, "max_per_kind=2", ("--max-per-kind", "2")),
    "max_per_phrase": (2, "max_per_phrase=2", ("--max-per-phrase", "2")),
    "diversity": (1.0, "diversity=1", ("--diversity", "1")),
}
IN_A_BODY = {"k": "limit", "relation_types": "relations"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop with one phrase, "a present", that was resolved to both cards and chocolates."""
    more = [
        ("carnations", "complement", "a gift", "chocolates", 0.8, "A present."),
        ("carnations", "complement", "a set table", "candles", 0.6, "Candles stand beside flowers."),
    ]
    told = accepted([*STATEMENTS, *more])
    is_gift = (
        pl.col("target_kind").is_in(["greeting cards", "chocolates"]) & pl.col("source_kind").is_not_null()
    )
    told = told.with_columns(product=pl.when(is_gift).then(pl.lit("a present")).otherwise("product"))
    root = tmp_path_factory.mktemp("home") / "graph"
    publish_shop(root, compile_graph(products(), told))
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    with running(root) as server:
        yield server


@pytest.fixture
def command(root: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(root.parent, monkeypatch)


def as_list(answer: bytes | str) -> list[Any]:
    items: list[Any] = json.loads(answer)["items"]
    return items


def test_no_option_is_missing() -> None:
    of_baskets = {"skus", "weights", "include_seed_kinds", "purpose", "available"}
    assert DEFAULTS.keys() == Options.__annotations__.keys() == OPTIONS.keys() | of_baskets - {"skus"}
    assert of_baskets <= BASKET_FIELDS.keys()


def test_an_option_that_there_is_not_is_an_error(root: Path) -> None:
    graph = Graph.published(root)
    for ask in (graph.recommend, graph.recommend_json):
        with pytest.raises(TypeError, match=r"no option limit; the options are k, weights"):
            ask(["f1"], limit=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_does_the_same_wherever_it_is_given(
    name: str, root: Path, server: Server, command: Command
) -> None:
    value, query, arguments = OPTIONS[name]
    graph = Graph.published(root)
    expected = as_list(graph.recommend_json(["f1"], **{name: value}))
    assert expected != as_list(graph.recommend_json(["f1"])), "it changes nothing here: a poor test"
    body = {"skus": ["f1"], IN_A_BODY.get(name, name): value}
    assert as_list(server.get(f"/v1/items/f1/recommendations?{query}").content) == expected
    assert as_list(server.post("/v1/recommendations", json=body).content) == expected
    assert as_list(command("recommend", "f1", *arguments, "--json").out) == expected


def test_what_takes_two_seeds_does_too(root: Path, server: Server, command: Command) -> None:
    graph, seeds = Graph.published(root), ["f1", "k1"]
    own = as_list(graph.recommend_json(seeds, include_seed_kinds=True))
    weighed = as_list(graph.recommend_json(seeds, include_seed_kinds=True, weights=[1, 4]))
    assert as_list(graph.recommend_json(seeds)) != own != weighed
    body = {"skus": seeds, "include_seed_kinds": True}
    arguments = ("recommend", *seeds, "--include-seed-kinds", "--json")
    assert as_list(server.post("/v1/recommendations", json=body).content) == own
    assert as_list(command(*arguments).out) == own
    assert as_list(server.post("/v1/recommendations", json=body | {"weights": [1, 4]}).content) == weighed
    assert as_list(command(*arguments, "--weight", "1", "--weight", "4").out) == weighed


@pytest.mark.parametrize(
    "wrong", [("--weight", "17"), ("--weight", "1", "--weight", "1"), ("--diversity", "2")]
)
def test_an_option_outside_its_range_is_a_wrong_argument(wrong: tuple[str, ...], command: Command) -> None:
    said = command("recommend", "f1", *wrong)
    assert (said.code, said.out) == (2, "")
