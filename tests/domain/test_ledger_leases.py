"""No question is in flight twice, and what a request may cost is set aside before it is sent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkgraph.errors import LedgerError
from pkgraph.llm import AnswerKey, Lease, Ledger, Limits, Refusal, StoredAnswer, Wanted
from pkgraph.model import Response

NOW = datetime(2026, 11, 25, 23, 0, tzinfo=UTC)
FREE = Limits("run")
MESSAGES = {f"p{n}": "[]" for n in range(2000)}

RACER = """
import sys
from datetime import UTC, datetime
from pkgraph.llm import AnswerKey, Lease, Ledger, Limits, Wanted
place, me = sys.argv[1:]
n_leases = 0
with Ledger.open(place) as ledger:
    for start in range(0, 60, 4):
        wanted = [Wanted(AnswerKey(f"p{n}", "m", "{}"), 0, 0.25) for n in range(start, start + 4)]
        limits = Limits(me, daily_cap_usd=10.0)
        outcomes = ledger.lease(wanted, holder=me, limits=limits, now=datetime(2026, 11, 25, tzinfo=UTC))
        n_leases += sum(isinstance(outcome, Lease) for outcome in outcomes)
print(n_leases)
"""


@pytest.fixture
def ledger(ledger_place: str) -> Iterator[Ledger]:
    with Ledger.open(ledger_place) as opened:
        yield opened


def want(prompt: int = 0, usd: float = 0.0) -> Wanted:
    return Wanted(AnswerKey(f"p{prompt}", "m", "{}"), 0, usd)


def lease(
    ledger: Ledger, *wanted: Wanted, by: str = "a", limits: Limits = FREE, after_s: float = 0
) -> list[object]:
    now = NOW + timedelta(seconds=after_s)
    return list(ledger.lease(wanted, holder=by, limits=limits, now=now, seconds=30))


def leased(ledger: Ledger, wanted: Wanted, **terms: object) -> Lease:
    (outcome,) = lease(ledger, wanted, **terms)  # type: ignore[arg-type]
    assert isinstance(outcome, Lease)
    return outcome


def answer(to: Lease, *, usd: float | None = 0.0, status: str = "answered") -> tuple[Lease, StoredAnswer]:
    said = Response("m", "said", status, cost_usd=usd)
    return to, StoredAnswer(to.wanted.key, to.wanted.attempt, said, "t")


def test_a_question_in_flight_is_refused_to_everybody_else(ledger: Ledger) -> None:
    leased(ledger, want(1))

    assert lease(ledger, want(1), by="b") == [Refusal("held", held_until=NOW.timestamp() + 30)]
    assert [type(outcome) for outcome in lease(ledger, want(2), want(2))] == [Lease, Refusal]


def test_an_answer_ends_the_lease_and_there_is_no_other(ledger: Ledger) -> None:
    first = leased(ledger, want(1))
    (kept,) = ledger.settle([answer(first)], MESSAGES)

    assert ledger.latest([first.wanted.key]) == {first.wanted.key: kept}
    assert lease(ledger, want(1), by="b") == [Refusal("answered")]
    assert isinstance(leased(ledger, replace(want(1), attempt=1)), Lease)


def test_a_failed_call_frees_the_question_and_its_cost_stays(ledger: Ledger) -> None:
    first = leased(ledger, want(1, usd=2.0))
    ledger.settle([answer(first, usd=0.5, status="failed")], MESSAGES)
    leased(ledger, want(1, usd=2.0), by="b", limits=Limits("other"))

    assert ledger.spent(FREE, NOW).run_usd == 0.5
    assert ledger.spent(FREE, NOW).day_usd == 2.5
    assert (ledger.totals().n_answers, ledger.totals().n_unused_calls) == (0, 1)


def test_a_lease_given_back_leaves_no_trace(ledger: Ledger) -> None:
    ledger.release([leased(ledger, want(1, usd=2.0))])

    assert ledger.spent(FREE, NOW).day_usd == 0
    leased(ledger, want(1), by="b")


def test_a_lease_that_its_holder_renews_does_not_run_out(ledger: Ledger) -> None:
    leased(ledger, want(1))
    ledger.renew("a", now=NOW + timedelta(seconds=20), seconds=30)

    assert isinstance(lease(ledger, want(1), by="b", after_s=40)[0], Refusal)
    leased(ledger, want(1), by="b", after_s=51)


def test_a_dead_lease_is_taken_over_and_what_was_set_aside_counts_as_spent(ledger: Ledger) -> None:
    leased(ledger, want(1, usd=2.0))
    taken = leased(ledger, want(1, usd=2.0), by="b", after_s=31)
    ledger.settle([answer(taken, usd=0.5)], MESSAGES)

    totals = ledger.totals()
    assert (totals.n_answers, totals.n_unused_calls, totals.cost_usd) == (1, 1, 2.5)
    assert ledger.spent(FREE, NOW).run_usd == 2.5


def test_who_was_thought_dead_is_heard_and_the_second_answer_stands_aside(ledger: Ledger) -> None:
    slow = leased(ledger, want(1))
    quick = leased(ledger, want(1), by="b", after_s=31)
    (first,) = ledger.settle([answer(slow)], MESSAGES)
    late = answer(quick)
    (second,) = ledger.settle([(quick, replace(late[1], asked_at="later"))], MESSAGES)

    assert first == second
    assert ledger.totals().n_answers == 1


def test_a_holder_s_own_leases_never_die_under_it(ledger: Ledger) -> None:
    leased(ledger, want(1))

    assert isinstance(lease(ledger, want(1), after_s=1000)[0], Refusal)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits("run", budget_usd=1.0), "budget"), (Limits("run", daily_cap_usd=1.0), "daily_cap")],
)
def test_what_does_not_fit_is_refused_with_what_is_left(ledger: Ledger, limits: Limits, reason: str) -> None:
    outcomes = lease(ledger, want(1, 0.75), want(2, 0.5), want(3, 0.25), want(4, 0.0), limits=limits)

    assert [type(outcome) for outcome in outcomes] == [Lease, Refusal, Lease, Lease]
    assert outcomes[1] == Refusal(reason, left_usd=0.25)  # type: ignore[arg-type]


def test_what_an_answer_did_not_cost_can_be_spent_again(ledger: Ledger) -> None:
    limits = Limits("run", budget_usd=1.0)
    first = leased(ledger, want(1, 1.0), limits=limits)
    ledger.settle([answer(first, usd=0.25)], MESSAGES)
    second = leased(ledger, want(2, 0.75), limits=limits)
    ledger.settle([answer(second, usd=None)], MESSAGES)  # a cost nobody knows is the worst one

    assert ledger.spent(limits, NOW).run_usd == 1.0


def test_a_budget_is_of_one_run_and_the_cap_of_one_day(ledger: Ledger) -> None:
    both = {"budget_usd": 1.0, "daily_cap_usd": 1.5}
    leased(ledger, want(1, 1.0), limits=Limits("monday", **both))

    assert isinstance(lease(ledger, want(2, 1.0), limits=Limits("tuesday", **both))[0], Refusal)
    leased(ledger, want(3, 0.5), limits=Limits("tuesday", **both))
    leased(ledger, want(4, 0.5), limits=Limits("tuesday", **both), after_s=3600)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.7), st.floats(0, 1), st.booleans()), max_size=12))
def test_no_order_of_requests_costs_more_than_the_budget(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[float, float, bool]]
) -> None:
    limits, paid = Limits("run", budget_usd=1.0), 0.0
    with Ledger.open(tmp_path_factory.mktemp("budget") / "ledger.sqlite") as ledger:
        for number, (worst, share, settles) in enumerate(calls):
            (outcome,) = lease(ledger, want(number, worst), limits=limits)
            if isinstance(outcome, Lease) and settles:
                ledger.settle([answer(outcome, usd=worst * share)], MESSAGES)
                paid += worst * share
            elif isinstance(outcome, Lease):
                paid += worst
        assert paid <= 1.0
        assert ledger.spent(limits, NOW).run_usd == pytest.approx(paid)


def test_more_requests_than_one_statement_takes_are_leased(ledger: Ledger) -> None:
    outcomes = lease(ledger, *[want(n, usd=1.0) for n in range(1201)], limits=Limits("r", budget_usd=1100))

    assert sum(isinstance(outcome, Lease) for outcome in outcomes) == 1100
    ledger.release([outcome for outcome in outcomes if isinstance(outcome, Lease)])
    assert ledger.spent(Limits("r"), NOW).run_usd == 0


def test_processes_that_race_lease_each_question_once_and_stay_under_the_cap(ledger_place: str) -> None:
    Ledger.open(ledger_place).close()
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, ledger_place, str(me)], stdout=subprocess.PIPE)
        for me in range(2)
    ]
    n_leases = [int(racer.communicate(timeout=60)[0]) for racer in racers]

    assert sum(n_leases) == 40  # 60 questions of 0.25 under a cap of 10
    with Ledger.open(ledger_place) as ledger:
        assert ledger.spent(FREE, datetime(2026, 11, 25, tzinfo=UTC)).day_usd == 10.0


def test_a_ledger_of_the_first_release_opens_and_keeps_its_answers(tmp_path: Path) -> None:
    path, first = tmp_path / "ledger.sqlite", want(1)
    with Ledger.open(path) as ledger:
        ledger.settle([answer(leased(ledger, first))], MESSAGES)
        with ledger._writes() as connection:
            connection.exec_driver_sql("ALTER TABLE responses DROP COLUMN provider_model")
            connection.exec_driver_sql("DROP TABLE leases")
    with Ledger.open(path) as ledger:
        assert ledger.latest([first.key])[first.key].response.provider_model is None
        leased(ledger, want(2))


@pytest.mark.parametrize("url", ["mysql://h/d", "oracle://h/d"])
def test_another_database_is_refused_by_name(url: str) -> None:
    with pytest.raises(LedgerError, match=r"(mysql|oracle) is not supported"):
        Ledger.open(url)
