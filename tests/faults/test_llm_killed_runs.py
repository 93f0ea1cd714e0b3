"""kill -9 at any moment: what was acknowledged is kept and never asked again, and no cost is forgotten."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from pkgraph.llm import Ledger, Limits, ask_all
from pkgraph.tables import LLM_RESPONSES
from tests.asking import some_prompts
from tests.llm_server import Asked, FakeProvider, PlainHttpModel, Reply
from tests.orchestration.children import ended, start

COST_USD = 0.01  # of every request to the plain model


def run(place: str, url: str, at_once: int, n_prompts: int) -> list[str]:
    with Ledger.open(place) as ledger:
        model = PlainHttpModel(url, at_once=at_once)
        rows = ask_all(some_prompts(n_prompts), [model], ledger, now=lambda: datetime.now(UTC))
    assert rows["attempt"].to_list() == [0] * n_prompts
    assert rows.schema == LLM_RESPONSES.schema
    return list(rows["text"])


def acknowledged(place: str) -> dict[str, str | None]:
    """The question of every prompt that has an answer, and the answer."""
    with Ledger.open(place) as ledger, ledger._reads() as connection:
        rows = connection.exec_driver_sql("SELECT prompt_id, text FROM responses").all()
        texts = {prompt_id: ledger.messages(prompt_id) for prompt_id, _ in rows}
    return {texts[prompt_id] or "": text for prompt_id, text in rows}


def check_kills(place: str, *, n_kills: int, at_once: int, n_prompts: int) -> None:
    """Runs killed one after another at random moments, then one that lives."""
    moments = random.Random(at_once)  # noqa: S311
    with FakeProvider(lambda asked: Reply(f"re {asked.user_message}", delay_s=0.005)) as provider:
        kept: dict[str, str | None] = {}
        for _ in range(n_kills):
            n_before = len(provider.asked)
            child, receiver = start(run, place, provider.url, at_once, n_prompts)
            n_at_the_kill = n_before + moments.randint(1, 16)
            while len(provider.asked) < n_at_the_kill and child.is_alive():
                time.sleep(0.002)
            time.sleep(moments.uniform(0, 0.02))
            child.kill()
            assert ended(child, receiver).exit_code == -signal.SIGKILL
            asked_now = [asked.user_message for asked in provider.asked[n_before:]]
            assert not [question for question in kept if any(f'"{asked}"' in question for asked in asked_now)]
            assert kept.items() <= (kept := acknowledged(place)).items()
        assert 0 < len(kept) < n_prompts
        lived = ended(*start(run, place, provider.url, at_once, n_prompts))
        asked = Counter(request.user_message for request in provider.asked)

    assert sorted(lived.value) == sorted(f"re question {number}" for number in range(n_prompts))
    with Ledger.open(place) as ledger:
        totals, spent = ledger.totals(), ledger.spent(Limits("-"), datetime.now(UTC))
    assert totals.n_answers == len(asked) == n_prompts
    # A request that is not answered in the ledger is one that a kill caught: it is there as a lost one.
    n_caught = asked.total() - n_prompts
    assert n_caught <= totals.n_unused_calls <= n_kills * 2 * at_once
    assert totals.cost_usd >= asked.total() * COST_USD - 1e-9
    assert spent.day_usd == pytest.approx(totals.cost_usd)


def test_killed_runs_lose_nothing_and_pay_nothing_twice(ledger_place: str) -> None:
    check_kills(ledger_place, n_kills=6, at_once=3, n_prompts=120)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("at_once", [1, 8])
def test_sixty_killed_runs_lose_nothing_and_pay_nothing_twice(ledger_place: str, at_once: int) -> None:
    check_kills(ledger_place, n_kills=60, at_once=at_once, n_prompts=1200)


def test_the_answers_after_kills_are_those_of_a_run_that_nobody_disturbed(tmp_path: Path) -> None:
    """The kill comes from inside the server, before it answers the tenth question."""
    children: list[object] = []

    def script(asked: Asked) -> Reply:
        if len(provider.asked) == 10:
            children[0].kill()  # type: ignore[attr-defined]
        return Reply(f"re {asked.user_message}", delay_s=0.02)

    with FakeProvider(script) as provider:
        child, receiver = start(run, str(tmp_path / "killed"), provider.url, 1, 30)
        children.append(child)
        assert ended(child, receiver).exit_code == -signal.SIGKILL
        n_acknowledged = len(acknowledged(str(tmp_path / "killed")))
        resumed = ended(*start(run, str(tmp_path / "killed"), provider.url, 1, 30)).value
        undisturbed = ended(*start(run, str(tmp_path / "other"), provider.url, 1, 30)).value

    # The ninth answer may still have been on its way to the disk.
    assert n_acknowledged in {8, 9}
    assert resumed == undisturbed
    assert pl.Series(resumed).n_unique() == 30
