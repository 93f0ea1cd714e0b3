"""What is in stock, held as a byte a SKU, is what a set of SKUs says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.errors import InputError
from pkgraph.kernel import SWITCH
from pkgraph.recommend import Graph
from pkgraph.serving.stock import read_stock
from tests.published import publish_shop
from tests.shop import SHOP

SKUS = [sku for _, skus in SHOP.values() for sku, _, _ in skus]


@pytest.fixture(scope="module", params=["kernel", "numpy"])
def graph(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Graph:
    path = publish_shop(tmp_path_factory.mktemp("graph")).path
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setenv(SWITCH, "1")
        return Graph.open(path)


@settings(deadline=None)
@given(listed=st.lists(st.one_of(st.sampled_from(SKUS), st.text(max_size=3))))
def test_a_byte_a_sku_answers_as_the_set_does(graph: Graph, listed: list[str]) -> None:
    in_stock = graph.in_stock(listed)
    assert {sku for sku in [*SKUS, *listed, ""] if in_stock.holds(sku)} == set(listed) & set(SKUS)
    assert in_stock.n_skus == len(set(listed) & set(SKUS))
    asked = graph.recommend_json(["f1", "c1"], available=in_stock.holds, max_per_kind=2)
    assert asked == graph.recommend_json(["f1", "c1"], available=frozenset(listed), max_per_kind=2)


LINES = st.text(st.characters(exclude_characters="\n\ufeff", codec="utf-8")).filter(str.strip)


@settings(deadline=None)
@given(listed=st.lists(LINES, min_size=1))
def test_a_list_is_read_line_by_line(tmp_path_factory: pytest.TempPathFactory, listed: list[str]) -> None:
    file = tmp_path_factory.getbasetemp() / "stock.txt"
    file.write_text("\n".join(listed), encoding="utf-8", newline="\n")
    assert list(read_stock(file).skus()) == [sku.strip() for sku in listed]


def test_a_sku_on_two_lines_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "stock.jsonl"
    file.write_text('{"sku": "a"}\n{"sku": "a\\nb"}\n')
    with pytest.raises(InputError, match="line 2"):
        read_stock(file)
