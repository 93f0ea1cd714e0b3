"""What a provider keeps of a prompt: marked where marks are wanted, and paid for at its own price."""

from __future__ import annotations

import json

import pytest

from pkgraph.model import Message, Prompt
from pkgraph.prompts.template import load_template
from pkgraph.settings import ModelSettings
from resources.litellm_model import LiteLLMModel
from tests.asking import KEY, live_model, one_answer
from tests.llm_server import FakeProvider, Reply

LONG = Prompt("p", (Message("system", "You know how people shop. " * 400), Message("user", "product: milk")))
SHORT = Prompt("p", (Message("system", "You know how people shop."), Message("user", "product: milk")))


def anthropic_reply() -> Reply:
    """20 tokens as always, 2 000 that were cached, 300 that are from now on, 7 out."""
    usage = {
        "input_tokens": 20,
        "cache_read_input_tokens": 2_000,
        "cache_creation_input_tokens": 300,
        "output_tokens": 7,
    }
    body = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": '{"relations": []}'}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    return Reply(raw=json.dumps(body).encode())


def claude(provider: FakeProvider) -> LiteLLMModel:
    base = provider.url.removesuffix("/v1")
    return LiteLLMModel(ModelSettings(name="anthropic/claude-sonnet-4-5", api_base=base), api_key=KEY)


def test_a_long_stable_beginning_is_marked_and_cached_tokens_have_their_own_price() -> None:
    with FakeProvider(anthropic_reply()) as provider:
        response = one_answer(claude(provider), LONG)
        (asked,) = provider.asked

    assert asked.path == "/v1/messages"
    system = asked.body["system"]
    assert isinstance(system, list)
    assert system[0]["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in str(asked.body["messages"])
    assert response.input_tokens == 2_320
    # US dollars a million: 3 fresh, 0.30 cached, 3.75 to be cached, 15 out.
    assert response.cost_usd == pytest.approx((20 * 3 + 2_000 * 0.3 + 300 * 3.75 + 7 * 15) / 1e6)


def test_what_is_too_short_to_be_kept_is_not_marked() -> None:
    with FakeProvider(anthropic_reply()) as provider:
        one_answer(claude(provider), SHORT)
    assert "cache_control" not in str(provider.asked[0].body)


def test_a_provider_that_caches_by_itself_gets_no_marks_and_its_discount_counts() -> None:
    details = {"cached_tokens": 90}
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "total_tokens": 110,
        "prompt_tokens_details": details,
    }
    body = json.loads(Reply().encoded("mine"))
    reply = Reply(raw=json.dumps({**body, "usage": usage}).encode())
    prices = {
        "input_usd_per_million": 10,
        "output_usd_per_million": 20,
        "cached_input_usd_per_million": 1,
    }
    with FakeProvider(reply) as provider:
        response = one_answer(live_model(provider.url, **prices), LONG)

    assert "cache_control" not in str(provider.asked[0].body)
    assert response.cost_usd == pytest.approx((10 * 10 + 90 * 1 + 10 * 20) / 1e6)


def test_the_second_template_says_the_same_with_the_kind_last() -> None:
    first, second = load_template("companions.v1"), load_template("companions.v2")
    assert second.user.startswith("product: {kind}")
    assert len(second.user) < 60
    for sentence in first.user.format(kind="", category="", department="").splitlines()[8:]:
        if sentence.startswith(("- ", "{", "Return", "If you do not", "For each")):
            assert sentence in second.system
