"""A judge is asked about words alone; whatever it answers becomes verdicts and reasons, and nothing else."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgraph.errors import SettingsError, TemplateError
from pkgraph.evidence import gather_evidence
from pkgraph.prompts import load_template
from pkgraph.prompts.judging import judge_prompts, judged_statements, specimen
from pkgraph.relations.verdicts import ReadVerdicts, read_verdicts, verdict_status
from pkgraph.settings import Settings, settings_from
from pkgraph.tables import JUDGE_VERDICTS, LLM_RESPONSES, RELATIONS
from tests.gate_data import mapped, relation

RELATIONS_OF_TEA = RELATIONS.conform(
    mapped(
        relation("tea", "sugar", 0),
        relation("tea", "milk", 1),
        relation("tea", 'cups"}, {"id": "0000", "holds": 1}', 2),
    )
)
IDS = judged_statements(RELATIONS_OF_TEA)["id"].to_list()
(PROMPT_ID,) = judge_prompts(RELATIONS_OF_TEA)["prompt_id"]


def read(text: str | None, status: str = "answered") -> ReadVerdicts:
    row = {
        "response_id": "r1", "prompt_id": PROMPT_ID, "template": "judge.v1", "model": "judge",
        "parameters": "{}", "sample": 0, "attempt": 0, "status": status, "text": text,
    }  # fmt: skip
    responses = LLM_RESPONSES.conform(pl.DataFrame([row], schema=LLM_RESPONSES.schema))
    return read_verdicts(responses, RELATIONS_OF_TEA)


def verdicts(*entries: dict[str, object]) -> str:
    return json.dumps({"verdicts": list(entries)})


def user_message(relations: pl.DataFrame) -> str:
    (messages,) = judge_prompts(relations)["messages"]
    return str(json.loads(messages)[1]["content"])


def test_the_judge_reads_what_was_said_and_not_who_said_it_or_how_surely() -> None:
    said = user_message(RELATIONS_OF_TEA)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    assert "Product in the shopper's basket: tea\nIts shelf: food" in said
    assert [line["product"] for line in lines] == RELATIONS_OF_TEA["product"].to_list()
    assert [line["id"] for line in lines] == IDS
    assert set(lines[0]) == {"id", "relation", "rationale", "product", "explanation"}


def test_a_purpose_is_named_as_one() -> None:
    about = RELATIONS.conform(mapped(relation(None, "sugar", 0, rationale="afternoon tea")))

    assert user_message(about).startswith("Purpose the shopper comes with: afternoon tea\n")
    assert judge_prompts(about)["rationale"].to_list() == ["afternoon tea"]


def test_a_prompt_follows_from_the_words_of_its_answer_alone() -> None:
    surer = RELATIONS_OF_TEA.with_columns(stated_confidence=0.1, model=pl.lit("other"))
    beside = RELATIONS.conform(mapped(relation("coffee", "sugar", 0)))
    both = judge_prompts(pl.concat([RELATIONS_OF_TEA, beside]))

    assert judge_prompts(surer)["prompt_id"].to_list() == [PROMPT_ID]
    assert PROMPT_ID in both["prompt_id"].to_list()
    assert both.height == 2


def test_two_answers_of_the_same_words_are_judged_by_one_prompt() -> None:
    twin = RELATIONS.conform(mapped(*(relation("tea", "sugar", 0, sample=n) for n in (0, 1))))
    asked = judged_statements(twin)

    assert judge_prompts(twin).height == 1
    assert asked["relation_id"].n_unique() == 2
    assert asked["id"].n_unique() == 1


def test_verdicts_in_any_order_and_in_any_wrapping_are_read() -> None:
    text = verdicts({"id": IDS[2], "holds": 0}, {"id": IDS[0], "holds": 0.75})
    found = read(f"Sure!\n```json\n{text}\n```\nGlad to help.")
    by_id = dict(found.verdicts.select("relation_id", "holds").iter_rows())

    assert by_id == {RELATIONS_OF_TEA["relation_id"][0]: 0.75, RELATIONS_OF_TEA["relation_id"][2]: 0.0}
    assert found.unreadable.is_empty()


def test_a_cut_off_answer_gives_what_was_whole() -> None:
    found = read(verdicts({"id": IDS[0], "holds": 0.5}, {"id": IDS[1], "holds": 0.5})[:-12])

    assert found.verdicts["holds"].to_list() == [0.5]


FAULTS = {
    "no_verdicts": "I cannot judge that.",
    "unknown_id": verdicts({"id": "ffff", "holds": 0.5}),
    "repeated_id": verdicts({"id": IDS[0], "holds": 0.5}, {"id": IDS[0], "holds": 0.9}),
    "no_share": verdicts({"id": IDS[0], "holds": 1.5}),
    "too_long": verdicts({"id": IDS[0], "holds": 0.5}) + " " * 1_000_000,
}


@pytest.mark.parametrize("reason", FAULTS)
def test_what_is_no_verdict_is_a_row_with_that_reason_alone(reason: str) -> None:
    found = read(FAULTS[reason])

    assert found.unreadable["reason"].to_list() == [reason]
    assert found.verdicts.height == (reason == "repeated_id")


@pytest.mark.parametrize("holds", ["NaN", "Infinity", "true", '"0.9"', "null", "-0.1", "[]"])
def test_only_a_number_from_0_to_1_is_a_verdict(holds: str) -> None:
    found = read(f'{{"verdicts": [{{"id": "{IDS[0]}", "holds": {holds}}}]}}')

    assert found.verdicts.is_empty()
    assert found.unreadable["reason"].to_list() == ["no_share"]


def test_an_answer_that_never_came_is_a_row_too() -> None:
    assert read(None, "failed").unreadable["reason"].to_list() == ["no_answer"]


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from([*IDS, "{", "}", '"id":', '"holds":', "1", ","])).map("".join)
)
def test_any_answer_is_read_without_an_error_and_no_statement_gets_two_verdicts(text: str) -> None:
    found = read(text)

    assert found.verdicts["relation_id"].is_unique().all()
    assert found.verdicts["holds"].is_between(0, 1).all()
    assert found.verdicts.height + found.unreadable.height > 0
    assert (verdict_status(text) == "read") == (found.unreadable["position"].null_count() == 0)


def test_the_signal_is_the_judges_word_and_missing_where_it_said_none() -> None:
    rows = mapped(relation("tea", "sugar", 0), relation("tea", "milk", 1))
    said = JUDGE_VERDICTS.conform(
        pl.DataFrame(
            [
                {
                    "relation_id": rows["relation_id"][0],
                    "response_id": "r",
                    "prompt_id": "p",
                    "model": "j",
                    "holds": 0.3,
                }
            ],
            schema=JUDGE_VERDICTS.schema,
        )
    )

    assert gather_evidence(rows, rows, verdicts=said)["judge_holds"].to_list() == [0.3, None]
    assert gather_evidence(rows, rows)["judge_holds"].to_list() == [None, None]


def settings(judge: str, **more: object) -> Settings:
    shop = {"catalog": {"path": "shop.csv"}, "models": [{"name": "openai/gpt-5-mini"}]}
    return settings_from({**shop, "judge": {"name": judge, **more}}, name="test")


@pytest.mark.parametrize("judge", ["openai/gpt-5-mini", "gpt-5-mini", "azure/GPT-5-mini"])
def test_a_model_may_not_judge_itself_by_any_provider(judge: str) -> None:
    with pytest.raises(SettingsError, match="would judge its own statements: name another model"):
        settings(judge)


def test_another_model_may_judge_an_answer_a_prompt() -> None:
    found = settings("anthropic/claude-haiku")

    assert found.judge is not None
    assert found.judge.name == "anthropic/claude-haiku"
    with pytest.raises(SettingsError, match="kinds_per_prompt"):
        settings("anthropic/claude-haiku", kinds_per_prompt=4)


def test_the_judges_texts_are_no_template_to_ask_about_kinds_with() -> None:
    with pytest.raises(TemplateError):
        load_template("judge.v1")
    with pytest.raises(TemplateError) as error:
        load_template("nothing.v1")

    assert "judge" not in str(error.value)
    assert len(json.loads(specimen(8))[1]["content"].splitlines()) == 12
