"""Several kinds share a prompt, and each gets its own answer and nobody else's."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgraph.errors import CallFailed
from pkgraph.llm import Ledger, Limits, ask_all
from pkgraph.llm.packing import PackingModel
from pkgraph.model import CallPolicy, Prompt, Response, WorstCase
from pkgraph.prompts.packing import pack, split, values_of
from pkgraph.prompts.rendering import prompt_from, render_companions, render_occasions
from pkgraph.prompts.template import load_template
from pkgraph.relations import parse_status
from tests.asking import now

KINDS = ("TACO SHELLS", 'BREAD "WHITE"', "{kind}", "SALSA, id: 0000", "MILK", "ÄPFEL", "EGGS")


def frame(*kinds: str) -> pl.DataFrame:
    rows = [{"kind_id": f"k{n}", "kind": k, "category": "C", "department": None} for n, k in enumerate(kinds)]
    schema = dict.fromkeys(("kind_id", "kind", "category", "department"), pl.String)
    return render_companions(pl.DataFrame(rows, schema=schema), load_template("companions.v1"))


def prompts(*kinds: str) -> list[Prompt]:
    return [prompt_from(*row) for row in frame(*kinds).select("prompt_id", "messages").iter_rows()]


def answer_to(prompt: Prompt) -> str:
    """A model that names the product back."""
    items = [json.loads(line) for line in prompt.messages[1].content.splitlines() if line.startswith('{"id"')]
    entries = [{"id": item["id"], "relations": [{"product": item["product"]}]} for item in items]
    return json.dumps({"answers": entries}, ensure_ascii=False)


def test_every_kind_gets_its_own_part_verbatim() -> None:
    asked = prompts(*KINDS)
    found = split(answer_to(pack(asked).prompt), pack(asked))

    assert found.keys() == {prompt.prompt_id for prompt in asked}
    for prompt in asked:
        said = json.loads(found[prompt.prompt_id])
        assert said["relations"][0]["product"] == (values_of(prompt) or {})["kind"]
        assert parse_status(found[prompt.prompt_id]) == "read"


def test_a_prompt_of_another_template_is_not_packed() -> None:
    purposes = render_occasions(["taco night"], load_template("occasions.v1"))
    (row,) = purposes.select("prompt_id", "messages").rows()
    assert values_of(prompt_from(*row)) is None


def test_a_part_that_is_cut_off_costs_itself_and_one_under_a_strange_id_is_nobodys() -> None:
    asked = prompts("MILK", "EGGS", "SALSA")
    packed = pack(asked)
    whole = answer_to(packed.prompt)
    names = list(packed.prompt_ids)

    cut = split(whole[: whole.index(names[2]) + 12], packed)
    strange = split(whole.replace(names[0], "ffffffff"), packed)
    twice = split(whole + whole.replace("MILK", "BEER"), packed)
    assert cut.keys() == {packed.prompt_ids[name] for name in names[:2]}
    assert strange.keys() == {packed.prompt_ids[name] for name in names[1:]}
    assert "BEER" not in str(twice)


@given(st.text(alphabet='{}[]":,id0a1f relations', max_size=400))
def test_any_text_is_split_without_an_exception(text: str) -> None:
    packed = pack(prompts("MILK", "EGGS"))
    assert split(text, packed).keys() <= set(packed.prompt_ids.values())


def test_nesting_without_end_is_nobodys_answer() -> None:
    packed = pack(prompts("MILK"))
    (name,) = packed.prompt_ids
    assert split('{"id": "' + name + '", "relations": ' + "[" * 200_000, packed) == {}


@dataclass
class Counting:
    """Answers at once and counts; ten tokens in and seven out of every request."""

    name: str = "m"
    parameters: Mapping[str, object] = field(default_factory=dict)
    policy: CallPolicy = field(default_factory=lambda: CallPolicy("p", max_at_once=4))
    asked: list[Prompt] = field(default_factory=list)
    error: Exception | None = None

    def worst_case(self, prompt: Prompt) -> WorstCase:
        return WorstCase(10, 1.0)

    async def answer(self, prompt: Prompt, *, sample: int = 0) -> Response:
        self.asked.append(prompt)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        text = answer_to(prompt) if "answers" in prompt.messages[1].content else '{"relations": []}'
        return Response("m", text, "answered", "stop", 10, 7, 0.5)

    async def close(self) -> None:
        """Nothing is open."""


def test_questions_are_packed_and_kept_one_by_one_with_their_share_of_the_cost(tmp_path: Path) -> None:
    asked = pl.concat([frame(*KINDS), render_occasions(["taco night"], load_template("occasions.v1"))])
    plain, packed = Counting(), Counting()
    with Ledger.open(tmp_path / "ledger") as ledger:
        model = PackingModel(plain, packed, 4)
        rows = ask_all(asked, [model], ledger, now=now)
        again = ask_all(asked, [model], ledger, now=now)
        later = ask_all(frame(*KINDS, "NEW"), [model], ledger, now=now)
        totals = ledger.totals()

    assert again.equals(rows)
    assert (len(plain.asked), len(packed.asked)) == (1, 3)
    assert rows["status"].to_list() == ["answered"] * 8
    for kind, text in rows.filter(pl.col("source_kind").is_not_null()).select("source_kind", "text").rows():
        assert json.dumps(kind, ensure_ascii=False)[1:-1] in text
    assert rows["input_tokens"].sum() == 30
    assert rows["output_tokens"].sum() == 21
    assert rows["cost_usd"].sum() == pytest.approx(1.5)
    # The pack of the new kind asks about it alone.
    assert len(re.findall('"id": "', packed.asked[-1].messages[1].content)) == 2
    assert later.height == 8
    assert totals.n_answers == 9


def test_an_answer_without_a_kinds_part_is_paid_for_and_says_so(tmp_path: Path) -> None:
    class Forgetful(Counting):
        async def answer(self, prompt: Prompt, *, sample: int = 0) -> Response:
            response = await super().answer(prompt)
            return Response("m", (response.text or "")[:80], "answered", "length", 10, 7, 0.5)

    with Ledger.open(tmp_path / "ledger") as ledger:
        model = PackingModel(Counting(), Forgetful(), 2)
        rows = ask_all(frame("MILK", "EGGS"), [model], ledger, now=now)
        spent = ledger.spent(Limits("-"), now()).day_usd

    assert sorted(rows["status"]) == ["answered", "unanswered"]
    assert "no part for this kind" in rows.filter(status="unanswered")["detail"][0]
    assert spent == pytest.approx(0.5)


def test_a_pack_that_fails_fails_each_of_its_questions(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger") as ledger:
        model = PackingModel(Counting(), Counting(error=CallFailed("the provider is away")), 3)
        rows = ask_all(frame("MILK", "EGGS"), [model], ledger, now=now)
    assert rows["detail"].to_list() == ["the provider is away"] * 2
