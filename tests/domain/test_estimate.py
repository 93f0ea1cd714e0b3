"""What a build would cost, by hand-made prices; nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from pkgraph.catalog import kinds_of
from pkgraph.freshness.estimate import RECORDED, SCHEMA, estimate, prompts_to_price, totals
from pkgraph.llm import AnswerKey, Ledger, StoredAnswer, parameters_json
from pkgraph.llm.prices import Prices
from pkgraph.model import PURPOSES, Response
from pkgraph.prompts.shop import prompts_of_kinds, prompts_of_purposes
from pkgraph.settings import ModelSettings, PromptSettings
from resources.prices import count_tokens, prices_of
from tests.shop import products

SETTINGS = PromptSettings(purposes=("taco night",))
CHEAP = Prices(1e-6, 2e-6, batch_input_usd=0.5e-6, batch_output_usd=1e-6)


@dataclass(frozen=True)
class Model:
    """Every prompt has 100 tokens."""

    name: str = "m"
    parameters: Mapping[str, object] = field(default_factory=lambda: {"temperature": 0.2})
    max_tokens: int = 1_000
    attempts: int = 3
    prices: Prices | None = CHEAP
    recorded: frozenset[str] | None = None

    def count_tokens(self, messages: Sequence[Mapping[str, str]]) -> int:
        assert messages[0]["role"] == "system"
        return 100


@pytest.fixture
def prompts() -> pl.DataFrame:
    kinds = kinds_of(products())
    return prompts_to_price(kinds, prompts_of_kinds(kinds, SETTINGS), prompts_of_purposes(SETTINGS))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


def answer(ledger: Ledger, prompt_id: str, tokens: int | None, model: Model) -> None:
    key = AnswerKey(prompt_id, model.name, parameters_json(model.parameters))
    response = Response(model.name, "{}", output_tokens=tokens)
    ledger.record([StoredAnswer(key, 0, response, "2026-11-25T00:00:00+00:00")], {prompt_id: "[]"})


def test_every_prompt_is_priced_once_in_its_category(prompts: pl.DataFrame) -> None:
    found = estimate(prompts, [Model()], None)

    assert found.schema == SCHEMA
    assert found["n_prompts"].sum() == found["n_calls"].sum() == prompts.height == 8
    assert found.filter(category_key=PURPOSES)["n_calls"].to_list() == [1]
    flowers = found.row(by_predicate=pl.col("category") == "flowers", named=True)
    n, out = 3, RECORDED["companions.v1"]
    assert flowers["input_tokens"] == n * 100
    assert flowers["output_tokens_likely"] == n * out.likely
    assert flowers["usd_min"] == pytest.approx(n * (100 * 1e-6 + out.low * 2e-6))
    assert flowers["usd_likely"] == pytest.approx(n * (100 * 1e-6 + out.likely * 2e-6))
    assert flowers["usd_max"] == pytest.approx(n * 3 * (100 * 1e-6 + 1_000 * 2e-6))
    assert flowers["usd_batch"] == pytest.approx(flowers["usd_likely"] / 2)


def test_what_the_ledger_answers_costs_nothing_and_another_temperature_is_another_question(
    prompts: pl.DataFrame, ledger: Ledger
) -> None:
    for prompt_id in prompts["prompt_id"]:
        answer(ledger, prompt_id, 50, Model())

    assert totals(estimate(prompts, [Model()], ledger))["usd_max"].to_list() == [0.0]
    assert totals(estimate(prompts, [Model(parameters={"temperature": 1.0})], ledger))[
        "n_calls"
    ].to_list() == [8]


def test_twenty_answers_of_its_own_say_how_long_the_others_will_be(ledger: Ledger) -> None:
    shop = {f"kind {n}": ("shelf", [(f"s{n}", f"kind {n}", 0.1)]) for n in range(30)}
    kinds = kinds_of(products(shop))
    prompts = prompts_to_price(kinds, prompts_of_kinds(kinds, SETTINGS), prompts_of_purposes(SETTINGS))
    of_kinds = prompts.filter(pl.col("category_key") != PURPOSES)["prompt_id"]
    for prompt_id in of_kinds[:19]:
        answer(ledger, prompt_id, 100, Model())
    before = estimate(prompts, [Model()], ledger).filter(category="shelf")
    answer(ledger, of_kinds[19], 100, Model())
    after = estimate(prompts, [Model()], ledger).filter(category="shelf")

    assert before["output_tokens_likely"].to_list() == [11 * RECORDED["companions.v1"].likely]
    assert after["output_tokens_likely"].to_list() == [10 * 100]
    assert after["output_tokens_max"].to_list() == [10 * 1_000]


def test_no_answer_is_estimated_longer_than_it_may_be(prompts: pl.DataFrame) -> None:
    found = estimate(prompts, [Model(max_tokens=50)], None)
    assert found["output_tokens_likely"].sum() == found["output_tokens_max"].sum() == 8 * 50


def test_an_unknown_price_is_unknown_and_never_nothing(prompts: pl.DataFrame) -> None:
    (total,) = totals(estimate(prompts, [Model(prices=None)], None)).rows(named=True)
    assert total["n_calls"] == 8
    assert {total[name] for name in ("usd_min", "usd_likely", "usd_max", "usd_batch")} == {None}


def test_a_recorded_model_is_asked_nothing_and_says_how_much_it_knows(prompts: pl.DataFrame) -> None:
    known = frozenset(prompts["prompt_id"][:3])
    (total,) = totals(estimate(prompts, [Model(recorded=known, prices=None)], None)).rows(named=True)
    assert (total["n_prompts"], total["n_answered"], total["n_calls"], total["usd_max"]) == (8, 3, 0, 0.0)


def test_cached_tokens_cost_their_own_price_and_never_more_than_the_prompt_has() -> None:
    prices = Prices(1e-6, 2e-6, cached_input_usd=1e-7)
    assert prices.usd(1_000, 10, cached_tokens=900) == pytest.approx(100e-6 + 90e-6 + 20e-6)
    assert prices.usd(1_000, 0, cached_tokens=5_000) == pytest.approx(1_000 * 1e-7)
    assert Prices(1e-6, 2e-6).usd(1_000, 0, cached_tokens=900) == pytest.approx(1_000e-6)
    assert prices.batch_usd(1, 1) is None


def test_configured_prices_stand_above_the_list_and_the_list_knows_the_batch_price() -> None:
    configured = ModelSettings(
        name="gpt-5-mini",
        input_usd_per_million=3,
        output_usd_per_million=5,
        cached_input_usd_per_million=1,
        batch_price_share=0.5,
    )
    listed = prices_of(ModelSettings(name="gpt-5-mini"))

    assert prices_of(configured) == Prices(3e-6, 5e-6, 1e-6, 1.5e-6, 2.5e-6)
    assert listed is not None
    assert listed.batch_usd(10, 10) == pytest.approx(listed.usd(10, 10) / 2)
    assert (listed.cached_input_usd or 1) < listed.input_usd
    assert prices_of(ModelSettings(name="openai/kitchen-model")) is None


def test_tokens_are_counted_without_a_network() -> None:
    message = {"role": "user", "content": "one two three four five"}
    assert 5 < count_tokens("gpt-5-mini", [message]) < 20
    assert 5 < count_tokens("openai/kitchen-model", [message]) < 20


def test_the_recorded_means_are_those_of_the_demo() -> None:
    lines = (Path(__file__).parents[2] / "demo/answers.jsonl").read_text(encoding="utf-8").splitlines()
    n: dict[str, list[int]] = {}
    for row in map(json.loads, lines):
        # A message adds a fixed frame of some tokens around its text.
        tokens = count_tokens("gpt-4o", [{"role": "assistant", "content": row["text"]}])
        n.setdefault(row["template"], []).append(tokens)
    for template, counted in n.items():
        assert sum(counted) / len(counted) == pytest.approx(RECORDED[template].likely, rel=0.03)
        assert sorted(counted)[len(counted) // 20] == pytest.approx(RECORDED[template].low, rel=0.03)


def test_what_is_begun_to_be_cached_has_a_price_of_its_own_and_the_worst_case_knows_it() -> None:
    prices = Prices(1e-6, 2e-6, cached_input_usd=1e-7, cache_write_usd=1.25e-6)
    assert prices.usd(1_000, 0, cached_tokens=700, written_tokens=200) == pytest.approx(
        100e-6 + 70e-6 + 250e-6
    )
    assert prices.usd(1_000, 0, cached_tokens=700, written_tokens=900) <= prices.worst_usd(1_000, 0)
    assert prices.worst_usd(1_000, 10) == pytest.approx(1_250e-6 + 20e-6)
    assert Prices(1e-6, 2e-6).worst_usd(1_000, 10) == Prices(1e-6, 2e-6).usd(1_000, 10)
