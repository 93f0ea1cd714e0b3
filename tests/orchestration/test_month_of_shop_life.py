"""A month of shop life without a hand on it: what is served, what ran and what was paid for."""

from __future__ import annotations

import pytest

from tests.llm_server import FakeProvider
from tests.orchestration.building import build
from tests.orchestration.children import in_child
from tests.orchestration.month import Played, first_catalog, write_month_shop
from tests.orchestration.month_story import REASON, play_month
from tests.orchestration.own_shop import kitchen_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * 800)]

PATIENCE_S = 800
N_FIRST = 8  # seven kinds and one purpose
CHANGED_KINDS = {
    "a category arrives": 1,
    "a run is killed when a category arrives": 1,
    "a kind is renamed": 1,
    "a season begins": 1,
    "the provider is back": 1,
    "a shelf arrives that no day pays for": 5,
    "the night after that": 3,
    "red wine becomes white": 1,
    "what arrives is published beside what is served": 1,
}
RENEWED = {
    "a night on which the season is due": 1,
    # Five of the first seven kinds and the purpose, and two that came on the first and the second day.
    "a night on which what was learned first is due": 6,
}


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("month")
    with FakeProvider(kitchen_model) as provider:
        built = build(folder / "home", write_month_shop(folder, provider.url), patience_s=PATIENCE_S)
        assert built.exit_code == 0, built.said
        assert len(provider.asked) == N_FIRST
    played = in_child(play_month, folder, patience_s=PATIENCE_S)
    assert isinstance(played.value, Played)
    return played.value


def test_as_many_answers_were_paid_for_as_kinds_changed_or_grew_old(month: Played) -> None:
    gained = {name: one.n_answers for name, one in month.seen.items() if one.n_answers}

    assert gained == {**CHANGED_KINDS, **RENEWED}
    assert month.n_answers == N_FIRST + sum(gained.values())
    assert month.n_answered == sum(gained.values())


def test_what_arrives_is_served_and_costs_one_run_and_one_publishing(month: Played) -> None:
    arrived = month.seen["a category arrives"]

    assert arrived.runs == {"read_catalog": 1, "refresh_category": 1, "publish": 1}
    assert "900" in arrived.served


def test_on_a_quiet_day_nothing_runs(month: Played) -> None:
    assert month.seen["a quiet day"].runs == {}


def test_other_prices_are_published_without_asking_anything_or_refreshing_a_category(month: Played) -> None:
    assert month.seen["prices change"].runs == {"read_catalog": 1, "publish": 1}


def test_what_left_the_catalog_is_not_served_from_the_next_snapshot_on(month: Played) -> None:
    gone = month.seen["two products are gone"]

    assert gone.runs == {"read_catalog": 1, "publish": 1}
    assert gone.served == frozenset(first_catalog()) - {"003", "013"} | {"900", "930"}
    assert gone.change.skus_out == ("003", "013")
    assert (gone.change.relations_in, gone.change.relations_out) == ((), ())


def test_a_kind_that_left_takes_every_relation_it_supported_with_it(month: Played) -> None:
    change = month.seen["a kind is renamed"].change
    pesto = [one for one in change.relations_out if "pesto genovese" in f"{one.source} {one.target}".lower()]

    assert [kind.lower() for kind in change.kinds_out] == ["pesto genovese"]
    assert pesto
    assert {one.reason for one in pesto} <= {"no_source", "no_target"}


def test_prices_change_no_relation(month: Played) -> None:
    change = month.seen["prices change"].change

    assert (change.relations_in, change.relations_out, change.relations_changed) == ((), (), ())
    assert (change.skus_in, change.skus_out) == ((), ())


def test_while_the_provider_is_down_the_new_category_waits_and_the_served_graph_stays(month: Played) -> None:
    down, back = (
        month.seen["the provider is down when a category arrives"],
        month.seen["the provider is back"],
    )

    assert down.runs["refresh_category"] == down.runs["failed"]
    assert 2 <= down.runs["failed"] <= 5  # an hour of looks every half minute would be 120
    assert back.runs == {"refresh_category": 1, "publish": 1}
    assert "920" in back.served


def test_a_shelf_that_no_day_pays_for_is_refreshed_in_part_and_the_rest_by_the_next_night(
    month: Played,
) -> None:
    part, rest = month.seen["a shelf arrives that no day pays for"], month.seen["the night after that"]

    assert part.runs == {"read_catalog": 1, "refresh_category": 1, "publish": 1}
    assert {f"95{n}" for n in range(8)} <= part.served
    assert rest.runs == {"report_staleness": 1, "refresh_category": 1, "publish": 1}


def test_a_delivery_that_is_no_catalog_is_read_once_and_harms_nothing(month: Played) -> None:
    broken, before = month.seen["a delivery is no catalog"], month.seen["the night after that"]

    assert broken.runs == {"read_catalog": 1, "failed": 1}
    assert broken.served == before.served
    assert "refused" in broken.said["delivery_sensor"]


def test_half_a_catalog_is_refused_once_and_the_whole_one_costs_nothing(month: Played) -> None:
    half, whole = month.seen["a delivery is half of the catalog"], month.seen["the delivery is whole again"]
    before = month.seen["a delivery is no catalog"]

    assert half.runs["publish"] == half.runs["failed"] == 1
    assert "lost" in half.said["publish failed"]
    assert (half.served, half.commit) == (before.served, before.commit)
    assert whole.served == before.served
    assert whole.n_answers == 0


def test_rubbish_labels_change_no_graph(month: Played) -> None:
    rubbish, before = month.seen["a batch of labels is rubbish"], month.seen["the delivery is whole again"]

    assert rubbish.served == before.served
    assert rubbish.commit == before.commit


def test_there_and_back_is_refreshed_each_time_and_the_way_back_is_free(month: Played) -> None:
    for name in ("red wine becomes white", "and red again"):
        assert month.seen[name].runs == {"read_catalog": 1, "refresh_category": 1, "publish": 1}, name


def test_a_night_renews_what_reached_its_limit_and_nothing_else(month: Played) -> None:
    none, due = (
        month.seen["a night on which nothing is due"],
        month.seen["a night on which the season is due"],
    )

    assert none.runs == {"report_staleness": 1}
    assert (due.runs["report_staleness"], due.runs["refresh_category"]) == (1, 1)


def test_the_run_that_was_killed_is_swept_and_its_category_served_without_paying_twice(month: Played) -> None:
    killed = month.seen["a run is killed when a category arrives"]

    # The new product is published before anything is known of it.
    assert killed.runs == {"read_catalog": 1, "refresh_category": 2, "failed": 1, "publish": 2}
    assert "930" in killed.served
    assert killed.n_answers == 1


def test_diff_tells_kinds_relations_and_cost_of_what_arrived(month: Played) -> None:
    diff = month.notes["diff"]
    said = {one["target"].lower() for one in diff["relations_in"] if one["source"] in diff["kinds_in"]}

    assert [kind.lower() for kind in diff["kinds_in"]] == ["spaghetti squash"]
    assert (diff["skus_in"], diff["skus_out"]) == (["900"], [])
    assert "parmesan cheese" in said
    assert {one["reason"] for one in diff["relations_in"]} <= {"no_source", "no_target"}
    assert diff["bought"]["n_answers"] == 1
    assert diff["bought"]["cost_usd"] > 0


def test_what_is_sold_out_is_not_recommended_at_once_and_nothing_is_built_for_it(month: Played) -> None:
    sku, recommended = month.notes["sold out"]

    assert month.seen["a product is sold out"].runs == {}
    assert recommended
    assert sku not in {item["sku"] for item in recommended}


def test_a_person_is_told_once_of_each_failure_that_needs_one(month: Played) -> None:
    told = {name: one.alerts for name, one in month.seen.items() if one.alerts}

    assert {name: len(alerts) for name, alerts in told.items()} == {
        "a delivery is no catalog": 1,
        "a delivery is half of the catalog": 1,
        "a fifth of the products goes for good": 1,
    }
    assert "read_catalog failed" in told["a delivery is no catalog"][0]
    assert "publish failed" in told["a delivery is half of the catalog"][0]


def test_a_canary_is_published_beside_what_is_served_compared_and_promoted(month: Played) -> None:
    beside = month.seen["what arrives is published beside what is served"]
    promoted, diff = month.seen["the canary is promoted"], month.notes["canary diff"]

    # The channel is new: first what there is, then what arrived.
    assert beside.runs == {"read_catalog": 1, "refresh_category": 1, "publish": 2}
    assert "940" not in beside.served
    assert (diff["skus_in"], diff["skus_out"]) == (["940"], [])
    assert "940" in promoted.served
    assert promoted.n_answers == 0


def test_a_rollback_stays_until_something_new_is_published(month: Played) -> None:
    back = month.seen["a person rolls back"]

    assert back.runs == {}
    assert "940" not in back.served
    assert month.notes["after the rollback"] == month.notes["before the canary"]
    assert "940" in month.seen["a person accepts the loss by name"].served


def test_a_catalog_that_lost_much_for_good_is_published_once_a_person_said_why(month: Played) -> None:
    lost, accepted = (
        month.seen["a fifth of the products goes for good"],
        month.seen["a person accepts the loss by name"],
    )
    cheese = {sku for sku, (_, shelf, _) in first_catalog().items() if shelf == "Cheese"}

    assert lost.runs == {"read_catalog": 1, "publish": 1, "failed": 1}
    assert cheese - {"003", "013"} <= lost.served
    assert accepted.runs == {"publish": 1}
    assert not cheese & accepted.served
    assert month.notes["accepted loss"] == REASON


def test_the_three_newest_snapshots_the_pinned_one_and_every_commit_are_kept(month: Played) -> None:
    notes = month.notes

    assert notes["commits"] == list(range(len(notes["commits"]), 0, -1))
    assert notes["folders"] == 3 + 1
    assert (notes["present"][0], notes["present"][-1]) == (notes["commits"][0], 1)
    assert notes["skipped"] == ()


def test_a_pinned_reader_answers_from_its_snapshot_a_month_of_publishing_later(month: Played) -> None:
    assert month.notes["pinned"] == month.notes["first"]
    assert month.notes["recommended by the pinned"]
