"""kill -9 at any moment: what was acknowledged is there, and nothing of it is asked again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from pkgraph.llm import Ledger, ask_all
from pkgraph.model import Message, prompt_id
from pkgraph.prompts.rendering import messages_json
from pkgraph.tables import LLM_RESPONSES, PROMPTS
from tests.llm_server import Asked, FakeProvider, PlainHttpModel, Reply

ROOT = Path(__file__).parents[2]
N_PROMPTS = 60
RUN = """
import sys
from datetime import UTC, datetime
from tests.faults.test_llm_killed_runs import some_prompts
from tests.llm_server import PlainHttpModel
from pkgraph.llm import Ledger, ask_all
path, url, workers = sys.argv[1:]
clock = lambda: datetime(2026, 11, 23, tzinfo=UTC)
with Ledger.open(path) as ledger:
    print("ready", flush=True)
    responses = ask_all(some_prompts(), [PlainHttpModel(url)], ledger, now=clock, max_workers=int(workers))
    responses.write_parquet(path + ".parquet")
"""


def some_prompts() -> pl.DataFrame:
    rows = []
    for number in range(N_PROMPTS):
        messages = (Message("user", f"question {number}"),)
        row = {"prompt_id": prompt_id(messages), "template": "t", "messages": messages_json(messages)}
        rows.append({**row, "input_tokens": 1})
    return PROMPTS.conform(pl.DataFrame(rows, schema=PROMPTS.schema))


def start(path: Path, url: str, workers: int) -> subprocess.Popen[bytes]:
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(path), url, str(workers)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == b"ready\n"
    return run


def answered(path: Path) -> int:
    with Ledger.open(path) as ledger:
        return ledger.totals().n_answers


@pytest.mark.parametrize("workers", [1, 4])
def test_a_killed_run_resumes_and_only_calls_in_flight_are_repeated(tmp_path: Path, workers: int) -> None:
    path, moments, kills = tmp_path / "ledger.sqlite", random.Random(7), (8, 24, 40)  # noqa: S311
    with FakeProvider(lambda asked: Reply(f"re {asked.user_message}", delay_s=0.02)) as provider:
        acknowledged = 0
        for n_asked in kills:
            with start(path, provider.url, workers) as run:
                while len(provider.asked) < n_asked:
                    time.sleep(0.002)
                time.sleep(moments.uniform(0, 0.03))
                run.send_signal(signal.SIGKILL)
            assert answered(path) >= acknowledged
            acknowledged = answered(path)
        with start(path, provider.url, workers) as run:
            pass
        asked = Counter(request.user_message for request in provider.asked)

    assert run.returncode == 0
    assert 0 < acknowledged < N_PROMPTS
    assert len(asked) == N_PROMPTS
    assert asked.total() <= N_PROMPTS + len(kills) * workers
    responses = pl.read_parquet(f"{path}.parquet")
    assert responses["text"].to_list() == undisturbed(tmp_path / "other.sqlite")["text"].to_list()
    assert responses["attempt"].to_list() == [0] * N_PROMPTS


def undisturbed(path: Path) -> pl.DataFrame:
    with (
        FakeProvider(lambda asked: Reply(f"re {asked.user_message}")) as provider,
        Ledger.open(path) as ledger,
    ):
        models = [PlainHttpModel(provider.url)]
        return ask_all(some_prompts(), models, ledger, now=lambda: datetime(2026, 11, 23, tzinfo=UTC))


def test_an_acknowledged_answer_is_never_asked_for_again(tmp_path: Path) -> None:
    """The kill comes from inside the server, before it answers the tenth question."""
    path = tmp_path / "ledger.sqlite"
    runs: list[subprocess.Popen[bytes]] = []

    def script(asked: Asked) -> Reply:
        if len(provider.asked) == 10:
            runs[0].kill()
        return Reply("x", delay_s=0.02)

    with FakeProvider(script) as provider:
        runs.append(start(path, provider.url, 1))
        with runs[0]:
            pass
        n_acknowledged = answered(path)
        with start(path, provider.url, 1):
            pass
        asked = Counter(request.user_message for request in provider.asked)

    assert n_acknowledged == 9
    assert sorted(asked.values()) == [1] * (N_PROMPTS - 1) + [2]
    assert pl.read_parquet(f"{path}.parquet").schema == LLM_RESPONSES.schema
