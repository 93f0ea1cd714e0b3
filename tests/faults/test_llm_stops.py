"""Ctrl-C and SIGTERM: nothing new is sent, what is in flight comes in, everything acknowledged is kept."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pkgraph.cli.terminal import Terminated, ending_well
from pkgraph.llm import Ledger, Limits, ask_all
from resources.litellm_model import LiteLLMModel
from tests.asking import live_model, some_prompts
from tests.llm_server import FakeProvider, PlainHttpModel, Reply
from tests.orchestration.children import ended, start


def run(ledger: Path, url: str, is_plain: bool = True) -> str:
    """How a run of 200 prompts ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    model = PlainHttpModel(url, at_once=4) if is_plain else litellm_model(url)
    try:
        with ending_well(), Ledger.open(ledger) as opened:
            ask_all(some_prompts(200), [model], opened, now=lambda: datetime.now(UTC))
    except KeyboardInterrupt:
        return "interrupted"
    except Terminated as stop:
        return f"terminated {stop.code}"
    return "done"


def litellm_model(url: str) -> LiteLLMModel:
    """Four at once; an answer costs a dollar, and at most more."""
    return live_model(url, max_concurrency=4, max_tokens=20, input_usd_per_million=1e4)


@pytest.mark.parametrize(
    ("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated 143")]
)
def test_a_stop_keeps_every_answer_that_was_asked_for(
    number: signal.Signals, word: str, tmp_path: Path
) -> None:
    with FakeProvider(lambda _: Reply("x", delay_s=0.2)) as provider:
        child, receiver = start(run, tmp_path / "ledger", provider.url)
        while len(provider.asked) < 10:
            time.sleep(0.01)
        os.kill(child.pid, number)
        stopped = ended(child, receiver)
        n_asked = len(provider.asked)

    assert stopped.value == word
    assert 10 <= n_asked < 200
    with Ledger.open(tmp_path / "ledger") as ledger:
        totals, spent = ledger.totals(), ledger.spent(Limits("-"), datetime.now(UTC))
    assert (totals.n_answers, totals.n_unused_calls) == (n_asked, 0)
    assert spent.day_usd == pytest.approx(n_asked * 0.01)  # nothing is set aside any more


def test_what_was_made_ahead_and_not_sent_when_a_stop_came_costs_nothing(tmp_path: Path) -> None:
    with FakeProvider(lambda _: Reply("x", delay_s=0.2, usage=(100, 0))) as provider:
        child, receiver = start(run, tmp_path / "ledger", provider.url, False)
        while len(provider.asked) < 10:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGINT)
        stopped = ended(child, receiver)
        n_asked = len(provider.asked)

    assert stopped.value == "interrupted"
    with Ledger.open(tmp_path / "ledger") as ledger:
        totals, spent = ledger.totals(), ledger.spent(Limits("-"), datetime.now(UTC))
    assert (totals.n_answers, totals.n_unused_calls) == (n_asked, 0)
    assert spent.day_usd == pytest.approx(n_asked)


def test_a_second_stop_does_not_wait_and_what_was_cut_off_counts_as_spent(tmp_path: Path) -> None:
    with FakeProvider(lambda _: Reply("x", delay_s=60)) as provider:
        child, receiver = start(run, tmp_path / "ledger", provider.url)
        while len(provider.asked) < 4:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGINT)
        time.sleep(0.3)
        os.kill(child.pid, signal.SIGINT)
        while not is_settled(tmp_path / "ledger", 4):
            time.sleep(0.05)
        provider.closing.set()  # threads of the plain client cannot be cancelled
        stopped = ended(child, receiver)

    assert stopped.value == "interrupted"
    with Ledger.open(tmp_path / "ledger") as ledger:
        assert ledger.totals().cost_usd == pytest.approx(4 * 0.01)


def is_settled(ledger: Path, n: int) -> bool:
    with Ledger.open(ledger) as opened:
        return opened.totals().n_unused_calls == n
