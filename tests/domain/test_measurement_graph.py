"""The graph as one of the measured recommenders: kinds in, kinds out."""

from __future__ import annotations

import pytest

from pkgraph.measurement.graph import GraphRecommender
from pkgraph.recommend import Graph
from tests.published import publish_shop
from tests.shop import SHOP, key_of, products


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> GraphRecommender:
    root = tmp_path_factory.mktemp("graph")
    return GraphRecommender(Graph.open(publish_shop(root).path), products())


def test_kinds_lead_to_kinds_best_first(recommender: GraphRecommender) -> None:
    found = recommender.recommend([key_of("carnations")], 10)

    assert list(found) == [key_of(kind) for kind in ("greeting cards", "vases", "tulips", "chocolates")]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_never_more_than_k(recommender: GraphRecommender, k: int) -> None:
    assert len(recommender.recommend([key_of("carnations")], k)) == k


def test_unknown_kinds_are_ignored(recommender: GraphRecommender) -> None:
    known = recommender.recommend([key_of("carnations")], 5)

    assert recommender.recommend([key_of("unicorns"), key_of("carnations")], 5) == known
    assert list(recommender.recommend([key_of("unicorns")], 5)) == []
    assert list(recommender.recommend([], 5)) == []


def test_a_kind_without_relations_leads_nowhere(recommender: GraphRecommender) -> None:
    assert list(recommender.recommend([key_of("batteries")], 5)) == []


def test_what_is_in_the_basket_is_not_recommended(recommender: GraphRecommender) -> None:
    basket = [key_of("carnations"), key_of("vases")]

    assert not set(recommender.recommend(basket, len(SHOP))) & set(basket)
