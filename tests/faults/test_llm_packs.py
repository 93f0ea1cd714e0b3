"""Several kinds a request, from the setting down to what goes over the wire."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from pkgraph.llm import Ledger, ask_all
from pkgraph.prompts.rendering import render_companions
from pkgraph.prompts.template import load_template
from pkgraph.relations import parse_status
from pkgraph.settings import ModelSettings
from resources.language_models import open_model
from tests.asking import FREE, KEY, now
from tests.llm_server import Asked, FakeProvider, Reply


def answer_each(asked: Asked) -> Reply:
    items = [json.loads(line) for line in asked.user_message.splitlines() if line.startswith('{"id"')]
    return Reply(json.dumps({"answers": [{"id": item["id"], "relations": []} for item in items]}))


def test_eight_kinds_are_two_requests_of_a_form_of_their_own(tmp_path: Path) -> None:
    kinds = pl.DataFrame(
        {
            "kind_id": [f"k{n}" for n in range(8)],
            "kind": [f"KIND {n}" for n in range(8)],
            "category": ["C"] * 8,
            "department": ["D"] * 8,
        }
    )
    with FakeProvider(answer_each) as provider:
        settings = ModelSettings.model_validate(
            {
                "name": "openai/mine",
                "api_base": provider.url,
                "kinds_per_prompt": 4,
                "structured_output": True,
                **FREE,
            }
        )
        with Ledger.open(tmp_path / "ledger") as ledger:
            model = open_model(settings, api_key=KEY)
            rows = ask_all(
                render_companions(kinds, load_template("companions.v1")), [model], ledger, now=now,
                parse_status=parse_status,
            )  # fmt: skip
        bodies = [asked.body for asked in provider.asked]

    assert rows["status"].to_list() == ["answered"] * 8
    assert {parse_status(text) for text in rows["text"]} == {"read"}
    assert len(bodies) == 2
    assert {body["max_tokens"] for body in bodies} == {8_000}
    assert all('"answers"' in json.dumps(body["response_format"]) for body in bodies)
