"""Every dollar is told once, whatever it is told by."""

from __future__ import annotations

import polars as pl
import pytest

from pkgraph.measurement.costs import By, costs
from pkgraph.tables import ACCEPTED_RELATIONS, LLM_RESPONSES, RELATIONS


def table(schema: pl.Schema, rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema)


def answer(number: int, category: str | None, usd: float | None, model: str = "m") -> dict[str, object]:
    template = "companions.v1" if category else "occasions.v1"
    return {
        "response_id": f"r{number}",
        "prompt_id": f"p{number}",
        "template": template,
        "source_category": category,
        "model": model,
        "input_tokens": 100,
        "output_tokens": 10,
        "cost_usd": usd,
    }


def statement(relation: int, response: int) -> dict[str, object]:
    return {"relation_id": f"s{relation}", "response_id": f"r{response}"}


RESPONSES = table(
    LLM_RESPONSES.schema,
    [answer(1, "PASTA", 0.25), answer(2, "PASTA", 0.25), answer(3, "WINE", None), answer(4, None, 2.0, "n")],
)
STATED = table(RELATIONS.schema, [statement(1, 1), statement(2, 1), statement(3, 4)])
# One statement means two kinds.
ACCEPTED = table(ACCEPTED_RELATIONS.schema, [statement(1, 1), statement(1, 1)])


def test_a_category_s_cost_is_that_of_its_answers_a_relation_and_an_accepted_one() -> None:
    rows = costs(RESPONSES, STATED, ACCEPTED, "category").rows_by_key("category", named=True, unique=True)

    assert list(rows) == ["(purposes)", "PASTA", "WINE"]
    pasta = rows["PASTA"]
    assert (pasta["n_prompts"], pasta["usd"], pasta["n_relations"], pasta["n_accepted"]) == (2, 0.5, 2, 1)
    assert (pasta["usd_per_relation"], pasta["usd_per_accepted_relation"]) == (0.25, 0.5)
    assert rows["(purposes)"]["usd_per_accepted_relation"] is None
    assert rows["WINE"]["usd"] == 0


@pytest.mark.parametrize(
    ("by", "names"), [("template", ["occasions.v1", "companions.v1"]), ("model", ["n", "m"])]
)
def test_the_sum_is_the_same_whatever_it_is_told_by(by: By, names: list[str]) -> None:
    rows = costs(RESPONSES, STATED, ACCEPTED, by)

    assert rows[by].to_list() == names
    assert (rows["usd"].sum(), rows["n_relations"].sum(), rows["n_accepted"].sum()) == (2.5, 3, 1)
    assert rows["input_tokens"].sum() == 400
