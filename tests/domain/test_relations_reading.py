"""Answers become relations; what cannot be read is a row with a reason; nothing is lost in between."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.model import rationale_id
from pkgraph.relations import RULES, STATEMENT_RULES, balance, broken_rules, read_relations
from pkgraph.tables import LLM_RESPONSES, RELATIONS, UNREADABLE_RESPONSES

DEMO = Path(__file__).parents[2] / "demo"
GOOD = {
    "relation": "complement",
    "rationale": "taco night",
    "product": "salsa",
    "explanation": "Tacos need salsa.",
    "confidence": 0.9,
}


def responses(*texts: str | None, purpose: str | None = None) -> pl.DataFrame:
    rows = [
        {
            "response_id": f"r{number:02}",
            "prompt_id": f"p{number}",
            "template": "t.v1",
            "source_kind": "TACO SHELLS",
            "rationale": purpose,
            "model": "m",
            "parameters": "{}",
            "sample": 0,
            "attempt": 0,
            "status": "unanswered" if text is None else "answered",
            "text": text,
            "detail": "no recorded answer" if text is None else None,
        }
        for number, text in enumerate(texts)
    ]
    return LLM_RESPONSES.conform(pl.DataFrame(rows, schema=LLM_RESPONSES.schema))


def saying(*statements: object) -> str:
    return json.dumps({"relations": statements})


def reasons(*statements: object) -> list[str]:
    return read_relations(responses(saying(*statements))).unreadable["reason"].to_list()


def test_a_statement_becomes_a_relation() -> None:
    relation = read_relations(responses(saying(GOOD))).relations.row(0, named=True)

    assert relation == {
        "relation_id": "r00-0",
        "response_id": "r00",
        "prompt_id": "p0",
        "model": "m",
        "sample": 0,
        "position": 0,
        "source_kind_id": None,
        "source_kind": "TACO SHELLS",
        "source_category": None,
        "relation_type": "complement",
        "rationale": "taco night",
        "rationale_id": rationale_id("taco night"),
        "product": "salsa",
        "explanation": "Tacos need salsa.",
        "stated_confidence": 0.9,
        "is_repaired": False,
    }


BREAKING: dict[str, list[object]] = {
    "wrong_type": ["salsa", None, 3, ["salsa"], {**GOOD, "product": 7}, {**GOOD, "explanation": ["x"]}],
    "unknown_relation_type": [{**GOOD, "relation": "sequel"}, {**GOOD, "relation": None}],
    "empty_product": [{**GOOD, "product": p} for p in ("", " \u200b\n", "...", "123", None)],
    "empty_rationale": [{**GOOD, "rationale": r} for r in ("", "!", None)],
    "empty_explanation": [{**GOOD, "explanation": ""}],
    "too_long": [
        {**GOOD, "product": "x" * 81},
        {**GOOD, "rationale": "x" * 61},
        {**GOOD, "explanation": "x" * 301},
    ],
    "confidence_out_of_range": [
        {**GOOD, "confidence": c}
        for c in (-0.01, 1.01, 95, math.nan, math.inf, "0.9", None, True, [0.9], 10**400)
    ],
}


@pytest.mark.parametrize(
    ("reason", "statement"),
    [(reason, statement) for reason, statements in BREAKING.items() for statement in statements],
)
def test_a_statement_breaking_a_rule_is_refused_by_name_alone(reason: str, statement: object) -> None:
    read = read_relations(responses(saying({**GOOD, "product": "cheese"}, statement)))

    assert read.relations["position"].to_list() == [0]
    assert read.unreadable.select("position", "reason").rows() == [(1, reason)]
    if isinstance(statement, dict):
        assert "(also" not in read.unreadable["detail"].item()


def test_every_rule_has_a_counterexample() -> None:
    assert BREAKING.keys() | {"cut_off", "duplicate_key", "repeated_statement"} == STATEMENT_RULES.keys()


def test_a_repeated_statement_is_refused() -> None:
    assert reasons(GOOD, {**GOOD, "product": "SALSA", "confidence": 0.1}) == ["repeated_statement"]
    assert reasons(GOOD, {**GOOD, "rationale": "movie night"}) == []


def test_a_statement_that_names_a_field_twice_is_refused() -> None:
    text = saying(GOOD, {**GOOD, "product": "cheese"}).replace(
        '"product": "cheese"', '"product": "a", "product": "b"'
    )

    assert read_relations(responses(text)).unreadable["reason"].to_list() == ["duplicate_key"]


def test_a_statement_that_was_cut_off_is_refused_and_the_others_stay() -> None:
    read = read_relations(responses(saying(GOOD, {**GOOD, "product": "cheese"})[:-30]))

    assert read.relations.select("product", "is_repaired").rows() == [("salsa", True)]
    assert read.unreadable["reason"].to_list() == ["cut_off"]


def test_every_broken_rule_is_told() -> None:
    refused = read_relations(responses(saying({**GOOD, "product": "", "confidence": 2}))).unreadable

    assert refused["reason"].item() == "empty_product"
    assert "(also confidence_out_of_range)" in refused["detail"].item()


def test_statements_beyond_twenty_are_one_refusal() -> None:
    many = [{**GOOD, "product": f"salsa {n}"} for n in range(25)]
    read = read_relations(responses(saying(*many)))

    assert read.relations.height == 20
    assert read.unreadable.select("position", "reason", "detail").rows() == [
        (20, "too_many_statements", "5 statements beyond the first 20")
    ]


def test_the_limits_themselves_are_allowed() -> None:
    widest = {**GOOD, "product": "x" * 80, "rationale": "y" * 60, "explanation": "z" * 300}

    assert reasons({**widest, "confidence": 1}, {**GOOD, "confidence": 0}) == []


def test_text_is_composed_and_rid_of_what_nobody_sees() -> None:
    odd = {**GOOD, "product": "cafe\u0301\u200b  \u202ebeans\x07", "rationale": "Mother\u2019s  Day Gift."}
    relation = read_relations(responses(saying({**odd, "relation": " Complement "}))).relations

    assert relation.select("product", "rationale", "relation_type").rows() == [
        ("café beans", "mother's day gift", "complement")
    ]


def test_the_rationale_of_a_purpose_is_the_one_asked_about() -> None:
    statement = {name: value for name, value in GOOD.items() if name != "rationale"}
    read = read_relations(responses(saying(statement), saying(GOOD), purpose="Movie Night"))

    assert read.relations["rationale"].to_list() == ["movie night"] * 2


def test_every_answer_leaves_a_row() -> None:
    table = responses(saying(GOOD), saying(), None, "sorry", saying(GOOD, 1))
    read = read_relations(table)

    assert read.unreadable.select("response_id", "position", "reason").rows() == [
        ("r01", None, "empty_list"),
        ("r02", None, "no_answer"),
        ("r03", None, "not_json"),
        ("r04", 1, "wrong_type"),
    ]
    counts = balance(table, read.relations, read.unreadable)
    assert (counts.n_answers, counts.n_read, counts.n_empty, counts.n_unreadable) == (5, 3, 1, 2)
    assert (counts.n_relations, counts.n_refused) == (2, 1)
    assert broken_rules(table, read.relations, read.unreadable) == {}


TABLE = responses(saying(GOOD, {**GOOD, "product": "cheese"}), "sorry")
READ = read_relations(TABLE)
UNBALANCED = {
    "every_answer_is_read_or_refused": (TABLE, READ.relations, READ.unreadable.clear()),
    "nothing_is_read_that_was_not_answered": (
        TABLE.filter(text="sorry"),
        READ.relations[:1],
        READ.unreadable,
    ),
    "no_answer_is_both_read_and_refused": (
        TABLE,
        READ.relations,
        pl.concat([READ.unreadable, READ.unreadable.with_columns(response_id=pl.lit("r00"))]),
    ),
    "every_statement_is_a_relation_or_refused": (TABLE, READ.relations[1:], READ.unreadable),
    "no_statement_is_counted_twice": (
        TABLE,
        pl.concat([READ.relations, READ.relations[1:]]),
        READ.unreadable,
    ),
}


def test_every_conservation_rule_has_a_counterexample() -> None:
    assert UNBALANCED.keys() == RULES.keys()


@pytest.mark.parametrize("rule", sorted(RULES))
def test_tables_that_break_a_conservation_rule_break_that_rule_alone(rule: str) -> None:
    assert broken_rules(*UNBALANCED[rule]) == {rule: 1}


def test_the_recorded_answers_can_all_be_read() -> None:
    files = ("answers.jsonl", "answers_small.jsonl")
    rows = [
        json.loads(line) for file in files for line in (DEMO / file).read_text(encoding="utf-8").splitlines()
    ]
    read = read_relations(table := responses(*(row["text"] for row in rows), purpose="x y"))

    assert balance(table, read.relations, read.unreadable).n_read == 348 + 61
    assert read.relations["is_repaired"].sum() == 0


def test_no_answers_are_empty_tables() -> None:
    read = read_relations(LLM_RESPONSES.empty())

    assert read.relations.equals(RELATIONS.empty())
    assert read.unreadable.equals(UNREADABLE_RESPONSES.empty())


def test_a_failed_call_is_refused_with_its_detail() -> None:
    failed = responses(None).with_columns(status=pl.lit("failed"), detail=pl.lit("no answer within 60 s"))

    assert read_relations(failed).unreadable["detail"].item() == "no answer within 60 s"


_value: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=90) | st.just([])
)
_statement = st.fixed_dictionaries({name: st.just(value) | _value for name, value in GOOD.items()}) | _value


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(_statement, max_size=25).map(lambda s: saying(*s)) | st.text(), max_size=4))
def test_nothing_is_ever_lost(texts: list[str]) -> None:
    table = responses(*(text.encode(errors="replace").decode() for text in texts))
    read = read_relations(table)

    assert broken_rules(table, read.relations, read.unreadable) == {}
    assert read.relations["stated_confidence"].is_between(0, 1).all()
    assert read.relations["product"].str.len_chars().is_between(1, 80).all()
