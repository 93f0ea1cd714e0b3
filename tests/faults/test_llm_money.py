"""A budget holds to the cent, whatever the provider and the other processes do."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from pkgraph.errors import BudgetExceeded, InputError
from pkgraph.llm import Ledger, Limits
from resources.litellm_model import load_litellm
from tests.asking import FREE, ask, last_progress, live_model, now
from tests.llm_server import Asked, FakeProvider, Reply
from tests.orchestration.children import ended, start

# A million USD a million tokens: a USD a token.
DEAR = {"input_usd_per_million": 1e6, "output_usd_per_million": 1e6, "max_tokens": 50}


def run_under_a_cap(url: str, ledger: Path, me: str) -> bool:
    """Whether the cap stopped it."""
    model = live_model(url, max_concurrency=8, **DEAR)
    try:
        ask(model, ledger, 60, limits=Limits(me, daily_cap_usd=2000.0))
    except BudgetExceeded:
        return True
    return False


def spent(ledger: Path, run: str = "run") -> float:
    with Ledger.open(ledger) as opened:
        return opened.spent(Limits(run), now()).run_usd


@pytest.mark.parametrize(
    "usage", [(30, 20), None, (-5, -1), (0, 0)], ids=["told", "none", "negative", "zero"]
)
def test_sixty_four_at_once_never_cost_more_than_the_budget(usage: tuple[int, int], tmp_path: Path) -> None:
    with FakeProvider(lambda _: Reply("word " * 19 + "end", usage=usage, delay_s=0.02)) as provider:
        model = live_model(provider.url, max_concurrency=64, **DEAR)
        with pytest.raises(BudgetExceeded, match=r"The budget of 3000\.00 USD has .* left"):
            ask(model, tmp_path / "ledger", 200, limits=Limits("run", budget_usd=3000.0))
        n_sent = len(provider.asked)

    if usage == (30, 20):  # otherwise fewer tokens were counted than that
        assert n_sent * 50 <= 3000
    assert spent(tmp_path / "ledger") <= 3000.0
    # The worst case of a request is 50 tokens of answer and 100 to 150 of prompt; less than that is left.
    assert spent(tmp_path / "ledger") > 3000.0 - 200


def test_failures_that_may_be_billed_count_at_their_worst(tmp_path: Path) -> None:
    with FakeProvider(Reply(n_missing=100)) as provider:
        model = live_model(provider.url, max_concurrency=4, attempts=2, **DEAR)
        with pytest.raises(BudgetExceeded):
            ask(model, tmp_path / "ledger", 100, limits=Limits("run", budget_usd=1000.0))
        n_sent = len(provider.asked)

    assert spent(tmp_path / "ledger") <= 1000.0
    assert spent(tmp_path / "ledger") >= n_sent * 100


def test_two_processes_share_the_cap_of_the_day_and_no_prompt_is_asked_twice(tmp_path: Path) -> None:
    """Each would need 60 requests of 50 USD; the cap allows for fewer than all."""
    with FakeProvider(lambda _: Reply("x", usage=(30, 20), delay_s=0.05)) as provider:
        runs = [start(run_under_a_cap, provider.url, tmp_path / "ledger", str(me)) for me in range(2)]
        were_stopped = [ended(*run).value for run in runs]
        questions = [asked.user_message for asked in provider.asked]

    assert were_stopped == [True, True]
    assert len(questions) == len(set(questions))
    assert len(questions) * 50 <= 2000
    with Ledger.open(tmp_path / "ledger") as opened:
        assert opened.spent(Limits("-"), now()).day_usd == pytest.approx(len(questions) * 50)


def test_two_processes_on_one_ledger_ask_each_prompt_once(tmp_path: Path) -> None:
    """Threads stand for the processes: each has a ledger, an event loop and a holder's name of its own."""
    with FakeProvider(lambda asked: Reply(asked.user_message, delay_s=0.05)) as provider:
        rows: list[object] = []

        def run() -> None:
            model = live_model(provider.url, max_concurrency=4)
            rows.append(ask(model, tmp_path / "ledger", 24)["text"].to_list())

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(provider.asked) == 24
    assert rows[0] == rows[1]


def test_a_price_that_nobody_knows_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    unknown: dict[str, Any] = {"input_usd_per_million": None, "output_usd_per_million": None}
    with (
        FakeProvider() as provider,
        pytest.raises(InputError, match="price of openai/mine is not known") as no,
    ):
        ask(live_model(provider.url, **unknown), tmp_path / "ledger")

    assert provider.asked == []
    assert "--usd-per-million" in no.value.remedy


def test_a_price_that_litellm_lists_is_taken_and_cached_tokens_cost_less(tmp_path: Path) -> None:
    """gpt-4o-mini: 0.15 USD a million tokens in, 0.075 cached, 0.60 out."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
    usage["prompt_tokens_details"] = {"cached_tokens": 400}  # type: ignore[assignment]

    def script(asked: Asked) -> Reply:
        body = json.loads(Reply("x").encoded("m"))
        return Reply(raw=json.dumps({**body, "usage": usage}).encode())

    with FakeProvider(script) as provider:
        listed: dict[str, Any] = {"input_usd_per_million": None, "output_usd_per_million": None}
        model = live_model(provider.url, name="openai/gpt-4o-mini", **listed)
        seen = last_progress(model, tmp_path / "ledger")

    assert seen.cost_usd == pytest.approx(600 * 0.15e-6 + 400 * 0.075e-6 + 10 * 0.6e-6)


def test_a_missing_usage_is_counted_within_a_hundredth_of_the_server_s_own_count(tmp_path: Path) -> None:
    count = load_litellm().token_counter
    text = "Carnations for Mother's Day are usually given with a card. " * 40
    with FakeProvider(Reply(text, usage=None)) as provider:
        seen = last_progress(live_model(provider.url, name="openai/gpt-4o-mini"), tmp_path / "ledger")
        messages = provider.asked[0].body["messages"]

    assert seen.input_tokens == pytest.approx(count("gpt-4o", messages=messages), rel=0.01)
    assert seen.output_tokens == pytest.approx(count("gpt-4o", text=text), rel=0.01)


def test_what_is_free_is_asked_under_any_budget(tmp_path: Path) -> None:
    with FakeProvider() as provider:
        rows = ask(
            live_model(provider.url, **FREE), tmp_path / "ledger", 3, limits=Limits("run", budget_usd=0.0)
        )

    assert rows["status"].to_list() == ["answered"] * 3


def test_the_progress_says_what_is_spent_and_what_is_left(tmp_path: Path) -> None:
    with FakeProvider(Reply("x", usage=(30, 20))) as provider:
        limits = Limits("run", budget_usd=5000.0, daily_cap_usd=4000.0)
        seen = last_progress(live_model(provider.url, **DEAR), tmp_path / "ledger", 4, limits=limits)

    assert (seen.n_answered, seen.n_failed, seen.n_total) == (4, 0, 4)
    assert (seen.input_tokens, seen.output_tokens) == (120, 80)
    assert (seen.cost_usd, seen.left_usd) == (200.0, 3800.0)
