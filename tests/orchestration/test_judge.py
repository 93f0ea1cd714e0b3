"""A second model judges what the first one says: through litellm, from the same purse, never paid twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from pkgraph.home import Home
from pkgraph.llm import Ledger
from pkgraph.stored import read_table
from pkgraph.tables import (
    JUDGE_RESPONSES,
    JUDGE_VERDICTS,
    RELATION_EVIDENCE,
    RELATIONS,
    UNREADABLE_VERDICTS,
    Table,
)
from tests.llm_server import Asked, FakeProvider, Reply
from tests.orchestration.building import Built, build
from tests.orchestration.own_shop import CATALOG, kitchen_model, write_shop
from tests.orchestration.test_own_shop import N_PROMPTS, pkgraph

JUDGE = """
[judge]
name = "openai/strict-judge"
api_base = "{api_base}"
api_key_env = "KITCHEN_KEY"
input_usd_per_million = {usd}
output_usd_per_million = {usd}
"""
# What the judge passes over, and the source whose statements it answers with prose about.
UNMENTIONED, GARBLED = "red wine", "pesto"


def both_models(asked: Asked) -> Reply:
    if asked.body["model"] == "kitchen-model":
        return kitchen_model(asked)
    subject, lines = asked.user_message.split("The statements, one a line:\n")
    if GARBLED in subject.lower():
        return Reply("I would rather not say.")
    statements = [json.loads(line) for line in lines.splitlines()]
    verdicts = [
        {"id": one["id"], "holds": 0.2 if one["product"] == "mozzarella" else 0.9}
        for one in reversed(statements)
        if one["product"] != UNMENTIONED
    ]
    return Reply(f"Here you are:\n{json.dumps({'verdicts': verdicts})}")


def judges_requests(provider: FakeProvider) -> list[Asked]:
    return [one for one in provider.asked if one.body["model"] == "strict-judge"]


def with_judge(folder: Path, provider: FakeProvider, *, usd: float = 1.0, catalog: str = CATALOG) -> Path:
    settings = write_shop(folder, provider.url, catalog)
    settings.write_text(settings.read_text() + JUDGE.format(api_base=provider.url, usd=usd))
    return settings


@dataclass(frozen=True, slots=True)
class Judged:
    """A shop with a judge, built once; nobody writes into its home."""

    home: Path
    settings: Path
    built: Built
    provider: FakeProvider

    def table(self, table: Table) -> pl.DataFrame:
        return read_table(Home(self.home), table)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    folder = tmp_path_factory.mktemp("judged")
    with FakeProvider(both_models) as provider:
        settings = with_judge(folder / "shop", provider)
        built = build(folder / "home", settings)
        assert built.exit_code == 0, built.said
        yield Judged(folder / "home", settings, built, provider)


@pytest.fixture
def home(judged: Judged, tmp_path: Path) -> Path:
    return Path(shutil.copytree(judged.home, tmp_path / "home"))


def test_judged_statements_have_the_signal_and_what_the_judge_passed_over_or_garbled_is_missing(
    judged: Judged,
) -> None:
    relations = judged.table(RELATIONS).select("relation_id", "product", "source_kind")
    found = judged.table(RELATION_EVIDENCE).join(relations, on="relation_id")
    is_garbled = pl.col("source_kind").str.to_lowercase().str.contains(GARBLED).fill_null(value=False)
    is_silent = is_garbled | (pl.col("product") == UNMENTIONED)

    assert found.filter(is_silent)["judge_holds"].null_count() == found.filter(is_silent).height > 0
    heard = dict(found.filter(~is_silent).select("product", "judge_holds").iter_rows())
    assert heard.pop("mozzarella") == 0.2
    assert set(heard.values()) == {0.9}


def test_an_answer_that_is_no_verdict_is_a_row_with_the_reason_and_costs_no_other(judged: Judged) -> None:
    (row,) = judged.table(UNREADABLE_VERDICTS).iter_rows(named=True)

    assert (row["reason"], row["position"], row["model"]) == ("no_verdicts", None, "openai/strict-judge")
    assert "rather not say" in row["detail"]
    assert judged.table(JUDGE_RESPONSES).height == N_PROMPTS
    assert judged.table(JUDGE_VERDICTS)["relation_id"].n_unique() > N_PROMPTS - 1


def test_the_judge_sees_the_words_alone_a_prompt_an_answer_and_is_kept_in_the_ledger(judged: Judged) -> None:
    requests = judges_requests(judged.provider)
    responses = judged.table(JUDGE_RESPONSES)

    assert len(requests) == N_PROMPTS
    assert len({one.user_message for one in requests}) == N_PROMPTS
    assert not any(word in one.user_message for one in requests for word in ("confidence", "kitchen-model"))
    assert set(responses["template"]) == {"judge.v1"}
    assert set(responses["model"]) == {"openai/strict-judge"}
    with Ledger.open(Home(judged.home).ledger) as ledger:
        kept = [ledger.answer(response_id) for response_id in responses["response_id"]]
        assert ledger.totals().n_answers == 2 * N_PROMPTS
    assert {one.parse_status for one in kept if one} == {"read", "no_verdicts"}
    assert f"Asked the judge: {N_PROMPTS} answered" in judged.built.said


def test_it_is_estimated_before_and_counted_after(judged: Judged, tmp_path: Path) -> None:
    said = pkgraph(tmp_path / "new", "estimate", "--settings", str(judged.settings), "--json")
    rows = [json.loads(line) for line in said.out.replace("} {", "}\n{").splitlines()]
    of_judge = [row for row in rows if row["model"] == "openai/strict-judge"]
    after = pkgraph(judged.home, "estimate", "--settings", str(judged.settings), "--json").out
    costs = pkgraph(judged.home, "costs", "--by", "template", "--json").out

    assert sum(row["n_calls"] for row in of_judge) == N_PROMPTS
    assert all(0 < row["usd_min"] <= row["usd_likely"] < row["usd_max"] for row in of_judge)
    left = [json.loads(line) for line in after.replace("} {", "}\n{").splitlines()]
    assert {row["n_calls"] for row in left} == {0}
    counted = {row["template"]: row for row in map(json.loads, costs.replace("} {", "}\n{").splitlines())}
    assert counted["judge.v1"]["n_prompts"] == N_PROMPTS
    # 100 tokens in and 20 out a request, at one dollar a million.
    assert counted["judge.v1"]["usd"] == pytest.approx(N_PROMPTS * 120e-6)


def test_explain_shows_what_the_judge_said(judged: Judged) -> None:
    one = judged.table(JUDGE_VERDICTS).filter(holds=0.2)["relation_id"][0]
    said = pkgraph(judged.home, "explain", one).out
    found = json.loads(pkgraph(judged.home, "explain", one, "--json").out)

    assert "the judge openai/strict-judge: holds 0.2" in said
    assert found["judge"]["holds"] == 0.2
    assert '"verdicts"' in found["judge"]["text"]
    assert {s["signal"]: s["value"] for s in found["targets"][0]["signals"]}["judge_holds"] == 0.2


def test_a_build_of_nothing_new_asks_nothing_and_a_new_kind_is_judged_alone(
    judged: Judged, home: Path, tmp_path: Path
) -> None:
    n_before = len(judged.provider.asked)
    again = build(home)
    n_again = len(judged.provider.asked)
    more = with_judge(
        tmp_path / "shop", judged.provider, catalog=CATALOG + "00043;Pesto Rosso 190 g;Wine;3\n"
    )
    built = build(home, more)

    assert (again.exit_code, n_again) == (0, n_before)
    assert "Nothing changed" in again.said
    assert built.exit_code == 0, built.said
    new = judged.provider.asked[n_before:]
    assert [one.body["model"] for one in new] == ["kitchen-model", "strict-judge"]
    assert "pesto rosso" in new[1].user_message.lower()


def test_a_budget_holds_for_the_judge_too_and_what_was_answered_stays(tmp_path: Path) -> None:
    with FakeProvider(both_models) as provider:
        # The first model fits easily; one verdict might cost 20 dollars.
        dear = with_judge(tmp_path / "shop", provider, usd=10_000)
        built = build(tmp_path / "home", dear, budget_usd=1.0)

        assert built.exit_code == 4, built.said
        assert judges_requests(provider) == []
        assert len(provider.asked) == N_PROMPTS
    with Ledger.open(Home(tmp_path / "home").ledger) as ledger:
        assert ledger.totals().n_answers == N_PROMPTS


@pytest.mark.slow
def test_recorded_verdicts_are_replayed_and_without_a_judge_they_are_gone(
    judged: Judged, tmp_path: Path
) -> None:
    recorded, home = tmp_path / "answers.jsonl", tmp_path / "home"
    pkgraph(judged.home, "ledger", "export", str(recorded))
    settings = with_judge(tmp_path / "shop", judged.provider)
    live = settings.read_text()
    settings.write_text(live.replace(f'api_base = "{judged.provider.url}"', f'answers = "{recorded}"'))
    n_before = len(judged.provider.asked)
    built = build(home, settings)
    replayed = read_table(Home(home), JUDGE_VERDICTS).select("relation_id", "holds")
    settings.write_text(settings.read_text().partition("[judge]")[0])
    without = build(home, settings)

    assert (built.exit_code, without.exit_code) == (0, 0), built.said + without.said
    assert len(judged.provider.asked) == n_before
    assert sorted(replayed["holds"]) == sorted(judged.table(JUDGE_VERDICTS)["holds"])
    assert read_table(Home(home), JUDGE_VERDICTS).is_empty()
    assert read_table(Home(home), RELATION_EVIDENCE)["judge_holds"].null_count() > 0
    assert read_table(Home(home), RELATION_EVIDENCE)["judge_holds"].drop_nulls().is_empty()
