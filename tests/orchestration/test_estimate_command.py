"""`pkgraph estimate`: figures before anything is sent, without a key, a home or a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.llm_server import FakeProvider
from tests.orchestration.own_shop import write_shop
from tests.orchestration.test_own_shop import N_PROMPTS, pkgraph


def test_it_says_calls_tokens_and_dollars_and_sends_and_writes_nothing(tmp_path: Path) -> None:
    with FakeProvider() as provider:
        settings = write_shop(tmp_path / "shop", provider.url)
        settings.write_text(settings.read_text().replace("KITCHEN_KEY", "NOBODY_SET_THIS"))
        said = pkgraph(tmp_path / "home", "estimate", "--settings", str(settings))

    assert said.code == 0
    assert "8 SKUs are 8 kinds" in said.out
    assert f"calls {N_PROMPTS}" in said.out
    assert "Nothing was sent." in said.out
    assert provider.asked == []
    assert not (tmp_path / "home").exists()


def test_a_machine_reads_a_line_a_model_and_category(tmp_path: Path) -> None:
    settings = write_shop(tmp_path / "shop", "http://127.0.0.1:9/v1")
    arguments = ("--settings", str(settings), "--category", "Pasta", "--json")
    said = pkgraph(tmp_path / "home", "estimate", *arguments)

    row = json.loads(said.out)
    assert (row["model"], row["category"], row["n_calls"]) == ("openai/kitchen-model", "Pasta", 3)
    # One dollar a million tokens in, two a million out.
    tokens = (row["input_tokens"] + 2 * row["output_tokens_likely"]) / 1e6
    assert row["usd_likely"] == pytest.approx(tokens)
    assert row["usd_min"] < row["usd_likely"] < row["usd_max"]
    assert row["usd_batch"] is None
