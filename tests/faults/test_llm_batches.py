"""Asking by the batch: half the price, one answer a question whatever happens in between."""

from __future__ import annotations

import json
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pkg_assets.asking import spoken
from pkgraph.errors import BudgetExceeded, InputError, ProviderGone
from pkgraph.llm import Ledger, Limits, Progress, ask_all
from pkgraph.llm.batching import Waiting
from pkgraph.settings import ModelSettings
from resources.litellm_batch import LiteLLMBatchModel
from tests.asking import KEY, live_model, now, some_prompts
from tests.batch_server import BatchServer, Row, answered, refused
from tests.orchestration.children import ended, start

# 100 tokens in and 20 out of every answer: 0.0014 USD live, half of it by the batch.
PRICES = {"input_usd_per_million": 10, "output_usd_per_million": 20, "batch_price_share": 0.5}
EACH_USD = 0.0007


def batch_model(url: str, **settings: object) -> LiteLLMBatchModel:
    fields = {"name": "openai/mine", "api_base": url, "transport": "batch", "batch_poll_s": 0.02, **PRICES}
    return LiteLLMBatchModel(ModelSettings.model_validate({**fields, **settings}), api_key=KEY)


def ask(place: str | Path, model: Any, n_prompts: int = 3, **options: Any) -> pl.DataFrame:
    with Ledger.open(place) as ledger:
        return ask_all(some_prompts(n_prompts), [model], ledger, **{"now": now, **options})


def spent(place: str | Path) -> float:
    with Ledger.open(place) as ledger:
        return ledger.spent(Limits("-"), now()).day_usd


def test_a_batch_answers_all_prompts_at_half_the_price_and_nothing_is_asked_again(ledger_place: str) -> None:
    with BatchServer() as server:
        rows = ask(ledger_place, batch_model(server.url))
        n_asked = len(server.asked)
        again = ask(ledger_place, batch_model(server.url))
        live = ask(ledger_place, live_model(server.url, **PRICES, timeout_s=60))
        (batch,) = server.batches.values()
        sent = server.rows(batch)

    assert rows["status"].to_list() == ["answered"] * 3
    assert rows["cost_usd"].to_list() == pytest.approx([EACH_USD] * 3)
    assert spent(ledger_place) == pytest.approx(3 * EACH_USD)
    assert again.equals(rows)
    assert live.equals(rows)
    assert len(server.asked) == n_asked
    assert set(server.billed.values()) == {1}
    assert {row["url"] for row in sent} == {"/v1/chat/completions"}
    assert {row["body"]["messages"][0]["content"] for row in sent} == {f"question {n}" for n in range(3)}
    assert {(r["body"]["model"], r["body"]["max_tokens"], r["body"]["temperature"]) for r in sent} == {
        ("mine", 2000, 0.2)
    }


def test_while_a_batch_is_out_every_look_at_it_is_told(tmp_path: Path) -> None:
    seen: list[Progress] = []
    with BatchServer(n_looks=3) as server:
        ask(tmp_path / "ledger", batch_model(server.url), on_progress=seen.append)

    looks = [progress.waiting for progress in seen if progress.waiting is not None]
    # Just sent, then three looks that find one more done each.
    assert [(look.model, look.n_batches, look.n_done) for look in looks] == [
        ("openai/mine", 1, n) for n in (0, 1, 2, 3)
    ]
    assert [look.seconds for look in looks] == sorted(look.seconds for look in looks)
    assert (seen[-1].waiting, seen[-1].n_answered) == (None, 3)
    waiting = Waiting("m", 1, 40, 3_900.4)
    assert spoken(Progress(812, waiting=waiting)).endswith("0.00 USD, a batch is out for 1:05:00, 40 done")
    waiting = Waiting("m", 2, 1_240, 90_000)
    assert spoken(Progress(9, waiting=waiting)).endswith("2 batches are out for 1 day, 1:00:00, 1,240 done")


def test_what_fails_within_a_batch_is_sent_again_alone_and_costs_nothing(tmp_path: Path) -> None:
    seen = Counter[str]()

    def flaky(row: Row) -> Row:
        seen[row["custom_id"]] += 1
        is_bad = row["body"]["messages"][0]["content"] == "question 1" and seen[row["custom_id"]] < 3
        return refused(row) if is_bad else answered(row)

    with BatchServer(answer=flaky) as server:
        rows = ask(tmp_path / "ledger", batch_model(server.url, attempts=3))

    assert rows["status"].to_list() == ["answered"] * 3
    assert [len(server.rows(batch)) for batch in server.batches.values()] == [3, 1, 1]
    assert spent(tmp_path / "ledger") == pytest.approx(3 * EACH_USD)


def test_what_fails_for_good_is_a_row_with_the_reason_and_without_keys(tmp_path: Path) -> None:
    with BatchServer(answer=refused) as server:
        rows = ask(tmp_path / "ledger", batch_model(server.url, attempts=2))

    assert rows["status"].to_list() == ["failed"] * 3
    assert "broke" in rows["detail"][0]
    assert "sk-live" not in rows["detail"][0]
    assert len(server.batches) == 2
    assert spent(tmp_path / "ledger") == 0


def test_an_expired_batch_keeps_what_was_done_and_the_rest_is_asked_again(tmp_path: Path) -> None:
    n_done = 0

    def one_a_batch(row: Row) -> Row | None:
        nonlocal n_done
        n_done += 1
        return answered(row) if n_done in {1, 4, 5} else None

    with BatchServer(answer=one_a_batch, end="expired") as server:
        rows = ask(tmp_path / "ledger", batch_model(server.url))

    assert rows["status"].to_list() == ["answered"] * 3
    assert [len(server.rows(batch)) for batch in server.batches.values()] == [3, 2]
    assert set(server.billed.values()) == {1}
    assert spent(tmp_path / "ledger") == pytest.approx(3 * EACH_USD)


def test_a_batch_that_the_provider_rejects_says_why_and_costs_nothing(tmp_path: Path) -> None:
    with BatchServer(end="failed") as server:
        rows = ask(tmp_path / "ledger", batch_model(server.url, attempts=1))

    assert set(rows["detail"]) == {"the batch is failed: line 1 is no JSON"}
    assert spent(tmp_path / "ledger") == 0


def test_a_provider_that_is_away_for_a_while_ends_nothing(tmp_path: Path) -> None:
    with BatchServer(n_refused=3) as server:
        rows = ask(tmp_path / "ledger", batch_model(server.url))

    assert rows["status"].to_list() == ["answered"] * 3
    assert len(server.batches) == 1


def test_a_batch_that_the_provider_forgot_counts_at_its_worst_and_is_asked_again(tmp_path: Path) -> None:
    with BatchServer(n_looks=0) as server:
        forgotten: list[str] = []

        def forget(event: str) -> None:
            if event == "replied" and not forgotten:
                forgotten.extend(server.batches)
                server.batches.pop(forgotten[0])
                server.batches["batch_x"] = {"id": "batch_x", "created_at": 0}

        server.hook = forget
        rows = ask(tmp_path / "ledger", batch_model(server.url))

    assert rows["status"].to_list() == ["answered"] * 3
    assert spent(tmp_path / "ledger") > 3 * EACH_USD + 3 * 2000 * 20e-6 / 2


def run(place: str, url: str, later_s: float) -> list[str]:
    """A run whose clock is ahead: a quarter of an hour after a kill it is known what was never sent."""
    clock = lambda: datetime.now(UTC) + timedelta(seconds=later_s)  # noqa: E731
    return list(ask(place, batch_model(url), now=clock)["status"])


def check_kill(place: str, moment: str) -> None:
    with BatchServer() as server:
        child, receiver = start(run, place, server.url, 0.0)
        server.hook = lambda event: child.kill() if event == moment else None
        assert ended(child, receiver).exit_code == -signal.SIGKILL
        server.hook = lambda _: None
        n_batches = len(server.batches)
        statuses = run(place, server.url, 1_000.0)

    assert statuses == ["answered"] * 3
    assert set(server.billed.values()) == {1}
    assert len(server.billed) == 3
    assert len(server.batches) == 1
    assert n_batches == (0 if moment == "file" else 1)
    assert spent(place) == pytest.approx(3 * EACH_USD)


MOMENTS = ["file", "created", "replied", "looked", "downloaded"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_at_any_moment_is_resumed_and_pays_nothing_twice(tmp_path: Path, moment: str) -> None:
    check_kill(str(tmp_path / "ledger"), moment)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_same_holds_in_both_databases(ledger_place: str, moment: str) -> None:
    check_kill(ledger_place, moment)


def test_two_runs_at_once_share_one_batch(tmp_path: Path) -> None:
    with BatchServer(n_looks=5) as server:
        both = [start(run, str(tmp_path / "ledger"), server.url, 0.0) for _ in range(2)]
        statuses = [ended(*one).value for one in both]

    assert statuses == [["answered"] * 3] * 2
    assert len(server.billed) == 3
    assert set(server.billed.values()) == {1}


def test_a_budget_holds_at_the_batch_price_and_is_used_batch_by_batch(tmp_path: Path) -> None:
    (worst,) = {
        batch_model("http://127.0.0.1:9/v1").worst_case(prompt).usd for prompt in prompts_of(some_prompts(1))
    }
    with BatchServer() as server:
        with pytest.raises(BudgetExceeded):
            ask(tmp_path / "a", batch_model(server.url), limits=Limits("r", budget_usd=worst * 0.9))
        assert server.batches == {}
        rows = ask(tmp_path / "b", batch_model(server.url), limits=Limits("r", budget_usd=worst * 1.2))

    assert rows["status"].to_list() == ["answered"] * 3
    assert [len(server.rows(batch)) for batch in server.batches.values()] == [1, 1, 1]


def prompts_of(frame: pl.DataFrame) -> list[Any]:
    from pkgraph.prompts.rendering import prompt_from

    return [prompt_from(*row) for row in frame.select("prompt_id", "messages").iter_rows()]


def test_an_unknown_batch_price_refuses_before_anything_is_sent(tmp_path: Path) -> None:
    with BatchServer() as server, pytest.raises(InputError, match="batch price"):
        ask(tmp_path / "ledger", batch_model(server.url, batch_price_share=None))
    assert server.asked == []


def test_a_provider_that_cannot_list_its_batches_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with BatchServer() as server, pytest.raises(ProviderGone, match="list"):
        ask(tmp_path / "ledger", batch_model(server.url, name="mistral/mistral-small"))
    assert server.asked == []
    with Ledger.open(tmp_path / "ledger") as ledger:
        assert ledger.unfinished_batches(["mistral/mistral-small"]) == []


def test_many_prompts_are_cut_into_batches(tmp_path: Path) -> None:
    with BatchServer() as server:
        model = batch_model(server.url)
        model.max_requests = 4
        rows = ask(tmp_path / "ledger", model, 10)

    assert rows["status"].to_list() == ["answered"] * 10
    assert [len(server.rows(batch)) for batch in server.batches.values()] == [4, 4, 2]


def test_live_calls_do_not_wait_for_a_batch_that_nobody_fetches(tmp_path: Path) -> None:
    with BatchServer(n_looks=10**6) as server:
        child, receiver = start(run, str(tmp_path / "ledger"), server.url, 0.0)
        server.hook = lambda event: child.kill() if event == "looked" else None
        ended(child, receiver)
        with pytest.raises(InputError, match="not fetched"):
            ask(tmp_path / "ledger", live_model(server.url, **PRICES))


def test_the_key_is_in_no_ledger(tmp_path: Path) -> None:
    with BatchServer(answer=refused) as server:
        ask(tmp_path / "ledger", batch_model(server.url, attempts=1))
    assert KEY.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert json.dumps(KEY) not in str(server.batches)
