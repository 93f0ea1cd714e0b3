"""A month of shop life without a hand on it: what is served, what ran and what was paid for."""

from __future__ import annotations

import pytest

from tests.llm_server import FakeProvider
from tests.orchestration.building import build
from tests.orchestration.children import in_child
from tests.orchestration.month import Seen, first_catalog, play_month, write_month_shop
from tests.orchestration.own_shop import kitchen_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * 800)]

PATIENCE_S = 800
N_FIRST = 8  # seven kinds and one purpose
CHANGED_KINDS = {
    "a category arrives": 1,
    "a kind is renamed": 1,
    "a season begins": 1,
    "the provider is back": 1,
    "red wine becomes white": 1,
}
RENEWED = {"a night on which the season is due": 1}
Played = tuple[dict[str, Seen], int, int]


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("month")
    with FakeProvider(kitchen_model) as provider:
        built = build(folder / "home", write_month_shop(folder, provider.url), patience_s=PATIENCE_S)
        assert built.exit_code == 0, built.said
        assert len(provider.asked) == N_FIRST
    played = in_child(play_month, folder, patience_s=PATIENCE_S)
    assert isinstance(played.value, tuple)
    return played.value


def test_as_many_answers_were_paid_for_as_kinds_changed_or_grew_old(month: Played) -> None:
    seen, n_answers, n_answered = month
    gained = {name: one.n_answers for name, one in seen.items() if one.n_answers}

    assert gained == {**CHANGED_KINDS, **RENEWED}
    assert n_answers == N_FIRST + sum(gained.values())
    assert n_answered == sum(gained.values())


def test_what_arrives_is_served_and_costs_one_run_and_one_publishing(month: Played) -> None:
    arrived = month[0]["a category arrives"]

    assert arrived.runs == {"read_catalog": 1, "refresh_category": 1, "publish": 1}
    assert "900" in arrived.served


def test_on_a_quiet_day_nothing_runs(month: Played) -> None:
    assert month[0]["a quiet day"].runs == {}


def test_other_prices_are_published_without_asking_anything_or_refreshing_a_category(month: Played) -> None:
    assert month[0]["prices change"].runs == {"read_catalog": 1, "publish": 1}


def test_what_left_the_catalog_is_not_served_from_the_next_snapshot_on(month: Played) -> None:
    gone = month[0]["two products are gone"]

    assert gone.runs == {"read_catalog": 1, "publish": 1}
    assert gone.served == frozenset(first_catalog()) - {"003", "013"} | {"900"}
    assert gone.change.skus_out == ("003", "013")
    assert (gone.change.relations_in, gone.change.relations_out) == ((), ())


def test_a_kind_that_left_takes_every_relation_it_supported_with_it(month: Played) -> None:
    change = month[0]["a kind is renamed"].change
    pesto = [one for one in change.relations_out if "pesto genovese" in f"{one.source} {one.target}".lower()]

    assert [kind.lower() for kind in change.kinds_out] == ["pesto genovese"]
    assert pesto
    assert {one.reason for one in pesto} <= {"no_source", "no_target"}


def test_prices_change_no_relation(month: Played) -> None:
    change = month[0]["prices change"].change

    assert (change.relations_in, change.relations_out, change.relations_changed) == ((), (), ())
    assert (change.skus_in, change.skus_out) == ((), ())


def test_while_the_provider_is_down_the_new_category_waits_and_the_served_graph_stays(month: Played) -> None:
    down, back = month[0]["the provider is down when a category arrives"], month[0]["the provider is back"]

    assert down.runs["refresh_category"] == down.runs["failed"]
    assert 2 <= down.runs["failed"] <= 5  # an hour of looks every half minute would be 120
    assert back.runs == {"refresh_category": 1, "publish": 1}
    assert "920" in back.served


def test_a_delivery_that_is_no_catalog_is_read_once_and_harms_nothing(month: Played) -> None:
    broken, before = month[0]["a delivery is no catalog"], month[0]["the provider is back"]

    assert broken.runs == {"read_catalog": 1, "failed": 1}
    assert broken.served == before.served
    assert "refused" in broken.said["delivery_sensor"]


def test_half_a_catalog_is_refused_once_and_the_whole_one_costs_nothing(month: Played) -> None:
    half, whole = month[0]["a delivery is half of the catalog"], month[0]["the delivery is whole again"]
    before = month[0]["a delivery is no catalog"]

    assert half.runs["publish"] == half.runs["failed"] == 1
    assert "lost" in half.said["publish failed"]
    assert (half.served, half.commit) == (before.served, before.commit)
    assert whole.served == before.served
    assert whole.n_answers == 0


def test_rubbish_labels_change_no_graph(month: Played) -> None:
    rubbish, before = month[0]["a batch of labels is rubbish"], month[0]["the delivery is whole again"]

    assert rubbish.served == before.served
    assert rubbish.commit == before.commit


def test_there_and_back_is_refreshed_each_time_and_the_way_back_is_free(month: Played) -> None:
    for name in ("red wine becomes white", "and red again"):
        assert month[0][name].runs == {"read_catalog": 1, "refresh_category": 1, "publish": 1}, name


def test_a_night_renews_what_reached_its_limit_and_nothing_else(month: Played) -> None:
    none, due = month[0]["a night on which nothing is due"], month[0]["a night on which the season is due"]

    assert none.runs == {"report_staleness": 1}
    assert (due.runs["report_staleness"], due.runs["refresh_category"]) == (1, 1)
