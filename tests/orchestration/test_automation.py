"""What runs without a hand on it: no update is lost, nothing is asked for twice, nobody is hammered."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa
from dagster._core.events import EngineEventData

from pkg_assets.accepted import accepted_as_judged
from pkg_assets.automation.asking import ATTEMPT_TAG, MAX_REQUESTS, is_final
from pkg_assets.budget import limits_of_daemon
from pkg_assets.definitions import build_defs
from pkg_assets.reporting import fingerprint
from pkg_assets.runs import PID_TAG
from pkg_assets.versions import versions_by_partition
from pkgraph.errors import GateRefused
from pkgraph.llm import AnswerKey, Lease, Limits, Wanted
from pkgraph.model import PURPOSES
from pkgraph.tables import ACCEPTED_RELATIONS, STALENESS_REPORT
from resources.answer_ledger import AnswerLedger
from resources.processes import this_process
from resources.shop import Shop
from resources.table_store import TableStore
from tests.orchestration.looking import DEFINITIONS, LIVE, Looking
from tests.shop import accepted

RICH = {"daily_budget_usd": 100.0, "accept_uncertified": "as agreed"}


@pytest.fixture
def looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Looking]:
    monkeypatch.setenv("PKGRAPH_HOME", str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Looking(tmp_path, instance)


def keys(requests: list[dg.RunRequest]) -> list[str | None]:
    return [request.partition_key for request in requests]


# The delivery.


def test_a_delivery_is_read_once_it_is_the_same_at_two_looks(looking: Looking) -> None:
    looking.catalog.write_text("half a fi")
    first = looking.look("delivery_sensor")
    looking.catalog.write_text("half a file, and the other half")
    second = looking.asked("delivery_sensor")
    third = looking.asked("delivery_sensor")

    assert (first.run_requests or [], first.skip_message) == ([], "the delivery is new; the next look counts")
    assert second == []
    assert [request.job_name for request in third] in ([None], ["read_catalog"])


def test_a_delivery_that_is_back_to_what_it_was_is_read_again_under_another_key(looking: Looking) -> None:
    run_keys = []
    for text in ("A", "B", "A"):
        looking.catalog.write_text(text)
        looking.look("delivery_sensor")
        (request,) = looking.asked("delivery_sensor")
        run_keys.append(request.run_key)
        digest = str(request.run_key).split(":")[1]
        looking.made("products", digest, delivery=digest)
        assert looking.asked("delivery_sensor") == []

    assert len(set(run_keys)) == 3


def test_without_a_catalog_the_sensor_says_so_and_asks_for_nothing(looking: Looking) -> None:
    found = looking.look("delivery_sensor")

    assert found.run_requests in (None, [])
    assert "There is no file" in str(found.skip_message)


def test_no_sensor_interferes_with_a_build_that_is_at_work(looking: Looking) -> None:
    """Its process lives, though no run of it is under way at this moment."""
    looking.catalog.write_text("A")
    job = DEFINITIONS.resolve_job_def("distil_category")
    looking.write_kinds({"pasta": ["penne"]})
    looking.settle_settings(freshness=RICH)
    looking.instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.SUCCESS, tags={PID_TAG: this_process()}
    )
    for name in ("delivery_sensor", "category_sensor", "publish_sensor"):
        looking.look(name)
        assert looking.asked(name) == [], name


# Categories.


def test_a_category_is_refreshed_when_its_kinds_change_and_only_then(looking: Looking) -> None:
    looking.settle_settings(freshness=RICH)
    looking.write_kinds({"pasta": ["penne"], "wine": ["red wine"]})
    for key in ("pasta", "wine", PURPOSES):
        looking.refreshed(key)
    assert looking.asked("category_sensor") == []
    looking.write_kinds({"pasta": ["penne"], "wine": ["red wine", "white wine"]}, popularity=0.9)

    assert keys(looking.asked("category_sensor")) == ["wine"]


def test_a_category_that_is_back_to_what_it_was_is_refreshed_each_time(looking: Looking) -> None:
    looking.settle_settings(freshness=RICH)
    looking.write_kinds({})
    looking.refreshed(PURPOSES)
    run_keys = []
    for kind in ("red", "white", "red"):
        looking.write_kinds({"wine": [kind]})
        (request,) = looking.asked("category_sensor")
        run_keys.append(request.run_key)
        looking.refreshed("wine")

    assert len(set(run_keys)) == 3
    assert looking.asked("category_sensor") == []


def test_a_run_that_died_between_catalog_and_acceptance_is_asked_for_again(looking: Looking) -> None:
    looking.settle_settings(freshness=RICH)
    looking.write_kinds({"pasta": ["penne"]})
    for key in ("pasta", PURPOSES):
        looking.refreshed(key)
    looking.made("catalog", "half a run", partition="pasta")
    (first,) = looking.asked("category_sensor")
    looking.ended(first, "publish")
    assert looking.asked("category_sensor") == []
    looking.later(seconds=61)
    (second,) = looking.asked("category_sensor")

    assert (first.tags[ATTEMPT_TAG], second.tags[ATTEMPT_TAG]) == ("1", "2")


def test_what_is_distilled_again_and_comes_to_the_same_is_not_refreshed_once_more(looking: Looking) -> None:
    looking.settle_settings(freshness=RICH)
    looking.write_kinds({"pasta": ["penne"]})
    for key in ("pasta", PURPOSES):
        looking.refreshed(key)
    kinds = versions_by_partition(looking.instance, "catalog")["pasta"]
    looking.distilled("pasta", kinds, "mapped")
    assert looking.asked("category_sensor") == []
    looking.distilled("pasta", kinds, "mapped in another way")

    assert keys(looking.asked("category_sensor")) == ["pasta"]


def test_a_run_that_died_between_catalog_and_mapping_is_asked_for_again(looking: Looking) -> None:
    looking.settle_settings(freshness=RICH)
    looking.write_kinds({"pasta": ["penne"]})
    for key in ("pasta", PURPOSES):
        looking.refreshed(key)
    looking.made("catalog", versions_by_partition(looking.instance, "catalog")["pasta"], partition="pasta")

    assert keys(looking.asked("category_sensor")) == ["pasta"]


def test_a_new_classifier_judges_every_category_again_and_each_once(looking: Looking) -> None:
    looking.settle_settings(freshness=RICH)
    looking.write_kinds({"pasta": ["penne"], "wine": ["red"]})
    for key in ("pasta", "wine", PURPOSES):
        looking.refreshed(key)
    looking.made("hallucination_classifier", "h1")
    assert looking.asked("judging_sensor") == []
    looking.made("hallucination_classifier", "h2")
    first = looking.asked("judging_sensor")
    for request in first:
        looking.judged(str(request.partition_key), "mapped", "h2")

    assert keys(first) == ["pasta", PURPOSES, "wine"]
    assert looking.asked("judging_sensor") == looking.asked("category_sensor") == []


def test_a_category_that_is_refreshed_anyway_is_not_judged_beside_that(looking: Looking) -> None:
    looking.settle_settings(freshness=RICH)
    looking.write_kinds({"pasta": ["penne"], "wine": ["red"]})
    for key in ("pasta", "wine", PURPOSES):
        looking.refreshed(key)
    looking.made("catalog", "half a run", partition="pasta")
    looking.made("hallucination_classifier", "h2")

    assert keys(looking.asked("judging_sensor")) == [PURPOSES, "wine"]
    assert keys(looking.asked("category_sensor")) == ["pasta"]


def test_while_a_classifier_is_trained_nothing_is_judged_by_the_former(looking: Looking) -> None:
    looking.write_kinds({"pasta": ["penne"]})
    looking.refreshed("pasta")
    looking.made("hallucination_classifier", "h2")
    looking.instance.create_run_for_job(
        DEFINITIONS.resolve_job_def("train_classifier"), status=dg.DagsterRunStatus.STARTED
    )

    assert looking.asked("judging_sensor") == []


def test_partitions_follow_the_catalog_whoever_changed_them(looking: Looking) -> None:
    looking.write_kinds({"pasta": ["penne"]})
    looking.instance.delete_dynamic_partition("category", "pasta")
    looking.instance.add_dynamic_partitions("category", ["ghost"])
    changes = looking.look("category_sensor").dynamic_partitions_requests or []

    assert {type(one).__name__: list(one.partition_keys) for one in changes} == {
        "AddDynamicPartitionsRequest": ["pasta"],
        "DeleteDynamicPartitionsRequest": ["ghost"],
    }


def test_without_a_budget_nothing_that_costs_is_asked_for(looking: Looking) -> None:
    looking.write_kinds({"pasta": ["penne"]})
    found = looking.look("category_sensor")

    assert not found.run_requests
    assert "what is left of today's budget is too little (2)" in str(found.skip_message)


def test_a_budget_lets_in_as_many_categories_as_it_pays_for(looking: Looking) -> None:
    prompt_usd = 0.0013  # some 400 tokens in, 450 out
    looking.settle_settings(
        freshness={"daily_budget_usd": 3.5 * prompt_usd}, prompts={"purposes": ["taco night"]}
    )
    looking.write_kinds({f"c{n}": [f"kind {n}"] for n in range(9)})

    assert len(looking.asked("category_sensor")) == 3


def test_a_category_that_no_whole_day_pays_for_is_asked_for_in_part(looking: Looking) -> None:
    looking.settle_settings(
        freshness={"daily_budget_usd": 3.5 * 0.0013}, prompts={"purposes": ["taco night"]}
    )
    looking.write_kinds({"cheap": ["kind"], "dear": [f"kind {n}" for n in range(9)]})
    looking.refreshed(PURPOSES)
    asked = {request.partition_key: request.run_config for request in looking.asked("category_sensor")}

    def config(**part: bool) -> dict[str, object]:
        alone = {"is_unattended": True}
        asking = {"llm_responses": {"config": {**alone, **part}}, "hearing_the_judge": {"config": alone}}
        return {"ops": asking}

    assert asked == {"cheap": config(), "dear": config(is_part=True)}


def test_the_daemon_counts_what_it_spent_today_and_not_what_people_spent(looking: Looking) -> None:
    looking.settle_settings(freshness={"daily_budget_usd": 1.0}, spending={"daily_cap_usd": 3.0})
    looking.write_kinds({"pasta": ["penne"]})
    settings = Shop(home=str(looking.home)).settings()

    def spend(limits: Limits, usd: float, prompt: str) -> None:
        wanted = Wanted(AnswerKey(prompt, "m", "{}"), 0, usd)
        with AnswerLedger(home=str(looking.home)).open() as ledger:
            (lease,) = ledger.lease([wanted], holder="test", limits=limits, now=looking.now)
            assert isinstance(lease, Lease)

    spend(Limits("a person"), 1.5, "1")
    assert len(looking.asked("category_sensor")) == 2
    looking.cursors.clear()
    spend(limits_of_daemon(settings, looking.now), 1.0, "2")
    today = looking.asked("category_sensor")
    looking.later(days=1)

    assert today == []
    assert len(looking.asked("category_sensor")) == 2


def test_a_model_of_unknown_price_is_asked_for_nothing(looking: Looking) -> None:
    nameless = {"name": "openai/nobody-lists-this", "api_base": LIVE["api_base"]}
    looking.settle_settings(models=[nameless], freshness=RICH)
    looking.write_kinds({"pasta": ["penne"]})

    assert "the price of its prompts is not known (2)" in str(looking.look("category_sensor").skip_message)


def test_a_shop_of_recorded_answers_leaves_alone_what_nobody_recorded(
    looking: Looking, tmp_path: Path
) -> None:
    (tmp_path / "answers.jsonl").write_text("")
    looking.settle_settings(models=[{"name": "recorded", "answers": str(tmp_path / "answers.jsonl")}])
    looking.write_kinds({"pasta": ["penne"]})

    assert "nobody recorded answers for it (2)" in str(looking.look("category_sensor").skip_message)


def test_what_the_night_chose_is_asked_about_once_with_the_moment_it_was_chosen(looking: Looking) -> None:
    night = datetime(2026, 11, 2, 2, tzinfo=UTC)
    looking.settle_settings(freshness=RICH)
    looking.write_kinds({"pasta": ["penne"], "wine": ["red"]})
    for key in ("pasta", "wine", PURPOSES):
        looking.refreshed(key)
    write_report(looking, {"wine": night, "pasta": None})
    (request,) = looking.asked("category_sensor")
    looking.refreshed("wine")

    assert request.partition_key == "wine"
    assert request.run_config == {
        "ops": {
            "llm_responses": {"config": {"is_unattended": True, "due_at": night.isoformat()}},
            "hearing_the_judge": {"config": {"is_unattended": True}},
        }
    }
    assert looking.asked("category_sensor") == []


def write_report(looking: Looking, planned: dict[str, datetime | None]) -> None:
    rows = [{"category_key": key, "planned_at": moment, "benefit": 1.0} for key, moment in planned.items()]
    frame = pl.DataFrame(rows, schema_overrides={"planned_at": pl.Datetime("us", "UTC")})
    empty = {name: None for name in STALENESS_REPORT.columns if name not in frame.columns}
    TableStore(home=str(looking.home)).write(
        STALENESS_REPORT.name,
        STALENESS_REPORT.conform(frame.with_columns(**{n: pl.lit(None) for n in empty})),
    )
    looking.made(STALENESS_REPORT.name, "report")


def statements(looking: Looking, name: str) -> Counter[str]:
    """SQL statements of one look, by their first word."""
    seen: Counter[str] = Counter()

    def count(_: object, __: object, statement: str, *___: object) -> None:
        seen[statement.split(maxsplit=1)[0]] += 1

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        looking.look(name)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)
    return seen


@pytest.mark.parametrize("name", ["category_sensor", "publish_sensor"])
def test_a_look_at_many_categories_takes_no_more_queries_than_at_few(looking: Looking, name: str) -> None:
    looking.settle_settings(freshness=RICH)
    counted = []
    for n_categories in (3, 60):
        looking.write_kinds({f"c{n}": ["kind"] for n in range(n_categories)})
        for key in [*(f"c{n}" for n in range(n_categories)), PURPOSES]:
            looking.refreshed(key)
        looking.look(name)
        counted.append(statements(looking, name))

    assert counted[0] == counted[1]
    assert 0 < counted[0]["SELECT"] < 20


def test_one_look_asks_for_a_bounded_number_of_runs_and_prices_a_bounded_number(looking: Looking) -> None:
    looking.settle_settings(freshness=RICH)
    looking.write_kinds({f"c{n:03}": ["kind"] for n in range(150)})
    first = looking.look("category_sensor")
    second = looking.look("category_sensor")

    assert len(first.run_requests or ()) == MAX_REQUESTS
    assert len(second.run_requests or ()) == MAX_REQUESTS  # the first ones are waited for
    assert not {r.partition_key for r in first.run_requests or ()} & {
        r.partition_key for r in second.run_requests or ()
    }


# Publishing.


def ready_to_publish(looking: Looking) -> dict[str, str]:
    looking.settle_settings(freshness={**RICH, "publish_every_minutes": 10})
    looking.write_kinds({"pasta": ["penne"]})
    looking.made("products", "p1")
    looking.made("hallucination_classifier", "h1")
    looking.accepted("pasta", "a1")
    return {"products": "p1", "hallucination_classifier": "h1", "accepted_relations/pasta": "a1"}


@pytest.mark.parametrize("asset", ["products", "hallucination_classifier", "accepted_relations"])
def test_whatever_went_into_the_graph_and_changed_is_published(looking: Looking, asset: str) -> None:
    looking.published(**ready_to_publish(looking))
    looking.later(days=1)
    assert looking.asked("publish_sensor") == []
    looking.made(asset, "other", partition="pasta" if asset == "accepted_relations" else None)
    (request,) = looking.asked("publish_sensor")

    assert request.run_config == {"ops": {"published_graph": {"config": {"accept_uncertified": "as agreed"}}}}


def test_a_category_that_vanished_is_published_without(looking: Looking) -> None:
    merged = ready_to_publish(looking)
    looking.write_kinds({"pasta": ["penne"], "wine": ["red"]})
    looking.accepted("wine", "a1")
    looking.published(**merged, **{"accepted_relations/wine": "a1"})
    looking.later(days=1)
    assert looking.asked("publish_sensor") == []
    looking.instance.delete_dynamic_partition("category", "wine")

    assert len(looking.asked("publish_sensor")) == 1


def test_what_is_accepted_while_a_graph_is_published_is_published_next(looking: Looking) -> None:
    """The wake-up that conditions on events lose: the change falls between two looks."""
    merged = ready_to_publish(looking)
    looking.accepted("pasta", "a2")
    looking.published(**merged)  # it had read a1
    looking.later(days=1)

    assert len(looking.asked("publish_sensor")) == 1


def test_a_canary_that_a_person_published_does_not_count_as_served(looking: Looking) -> None:
    merged = ready_to_publish(looking)
    looking.published(**merged)
    looking.accepted("pasta", "a2")
    merged["accepted_relations/pasta"] = "a2"
    looking.published(channel="canary", **merged)
    looking.later(days=1)
    (request,) = looking.asked("publish_sensor")
    looking.published(**merged)
    looking.later(days=1)

    assert request.run_config["ops"]["published_graph"]["config"].get("channel") is None
    assert looking.asked("publish_sensor") == []


def test_a_daemon_that_publishes_canaries_compares_with_the_last_canary(looking: Looking) -> None:
    merged = ready_to_publish(looking)
    looking.settle_settings(freshness={**RICH, "publish_channel": "canary"})
    looking.published(**merged)
    looking.later(days=1)
    (request,) = looking.asked("publish_sensor")
    looking.published(channel="canary", **merged)
    looking.later(days=1)

    assert request.run_config["ops"]["published_graph"]["config"]["channel"] == "canary"
    assert looking.asked("publish_sensor") == []


def test_publishing_waits_for_its_minutes_and_then_takes_all_that_is_new(looking: Looking) -> None:
    looking.published(**ready_to_publish(looking))
    looking.accepted("pasta", "a2")
    looking.later(minutes=9)
    early = looking.look("publish_sensor")
    looking.accepted("pasta", "a3")
    looking.later(minutes=2)

    assert not early.run_requests
    assert "what is new" in str(early.skip_message)
    assert len(looking.asked("publish_sensor")) == 1


def test_a_publishing_that_failed_is_asked_for_again_and_one_that_was_refused_is_not(
    looking: Looking,
) -> None:
    ready_to_publish(looking)
    (first,) = looking.asked("publish_sensor")
    looking.ended(first, "publish")
    looking.later(minutes=11)
    (second,) = looking.asked("publish_sensor")
    looking.ended(second, "publish", dg.DagsterRunStatus.CANCELED)  # a person said no
    looking.later(days=1)
    assert looking.asked("publish_sensor") == []
    looking.accepted("pasta", "a2")

    assert second.tags[ATTEMPT_TAG] == "2"
    assert [one.tags[ATTEMPT_TAG] for one in looking.asked("publish_sensor")] == ["1"]


def test_a_refused_graph_is_asked_for_again_once_a_person_changed_what_may_go_out(looking: Looking) -> None:
    ready_to_publish(looking)
    (first,) = looking.asked("publish_sensor")
    looking.ended(first, "publish", dg.DagsterRunStatus.CANCELED)
    looking.later(days=1)
    assert looking.asked("publish_sensor") == []
    looking.settle_settings(freshness={**RICH, "accept_uncertified": "the reviewers are on holiday"})

    assert len(looking.asked("publish_sensor")) == 1


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (("DagsterExecutionStepExecutionError", "GateRefused"), True),
        (("DagsterExecutionStepExecutionError", "CatalogError"), True),
        (("DagsterExecutionStepExecutionError", "PublishConflict"), False),
        (("DagsterExecutionStepExecutionError", "ProviderGone"), False),
        (("DagsterExecutionStepExecutionError", "BudgetExceeded"), False),
        ((), False),
    ],
)
def test_only_what_no_further_attempt_heals_is_final(error: tuple[str, ...], final: bool) -> None:
    assert is_final(error) is final


# The night, the measuring, the dead.


def test_the_schedule_asks_for_one_plan_a_night_and_tells_it_when(looking: Looking) -> None:
    schedule = DEFINITIONS.get_repository_def().get_schedule_def("nightly_plan")
    night = datetime(2026, 11, 2, 2, tzinfo=UTC)
    context = dg.build_schedule_context(instance=looking.instance, scheduled_execution_time=night)
    (request,) = schedule.evaluate_tick(context).run_requests or ()

    assert (schedule.job_name, schedule.cron_schedule) == ("report_staleness", "0 2 * * *")
    assert request.run_config["ops"]["staleness_report"]["config"] == {"planned_at": night.isoformat()}


def test_a_published_graph_is_measured_and_nothing_else_is(looking: Looking) -> None:
    def requested(cursor: object) -> tuple[int, object]:
        found = dg.evaluate_automation_conditions(
            build_defs(), looking.instance, asset_selection=dg.AssetSelection.assets("offline_metrics"),
            cursor=cursor,  # type: ignore[arg-type]
        )  # fmt: skip
        return found.total_requested, found.cursor

    n, cursor = requested(None)
    looking.made("products", "p1")
    n_products, cursor = requested(cursor)
    looking.published(products="p1")
    n_published, cursor = requested(cursor)
    n_after, _ = requested(cursor)

    assert (n, n_products, n_published, n_after) == (0, 0, 1, 0)


def test_the_run_of_a_dead_process_is_marked_failed_and_a_living_one_is_left_alone(looking: Looking) -> None:
    job = DEFINITIONS.resolve_job_def("publish")
    address = {".dagster/grpc_info": '{"host": "localhost", "socket": "/s"}'}
    pids = {"dead": 2**22 + 1, "alive": os.getpid()}
    runs = {}
    for name, pid in pids.items():
        run = looking.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=address)
        looking.instance.report_engine_event(
            f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid)
        )
        runs[name] = run.run_id
    elsewhere = looking.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    number, started, machine = this_process().split("@")
    builds = {
        "built": this_process(),
        "built before": f"{number}@{int(started) - 1}@{machine}",
        "built elsewhere": f"{2**22 + 1}@1@another-machine",
    }
    for name, process in builds.items():
        tags = {PID_TAG: process}
        run = looking.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
        runs[name] = run.run_id
    found = looking.look("dead_run_sensor")

    def status(run_id: str) -> dg.DagsterRunStatus:
        run = looking.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    dead = {name for name, run_id in runs.items() if status(run_id) == dg.DagsterRunStatus.FAILURE}
    assert found.skip_message == f"{len(dead)} dead runs marked as failed"
    assert dead == {"dead", "built before"}
    assert status(elsewhere.run_id) == dg.DagsterRunStatus.STARTED


def test_rows_whose_event_comes_a_moment_later_are_published_and_rows_without_one_never(
    looking: Looking,
) -> None:
    tables, rows = TableStore(home=str(looking.home)), accepted()
    tables.write(ACCEPTED_RELATIONS.name, rows, "pasta")

    def event_after_a_second(seconds: float) -> None:
        if seconds:
            looking.accepted("pasta", fingerprint(rows))

    found = accepted_as_judged(looking.instance, tables, ["pasta"], sleep=event_after_a_second)
    tables.write(ACCEPTED_RELATIONS.name, rows.head(1), "pasta")

    assert found.equals(rows)
    with pytest.raises(GateRefused, match="not those that passed the gate"):
        accepted_as_judged(looking.instance, tables, ["pasta"], sleep=lambda _: None)
