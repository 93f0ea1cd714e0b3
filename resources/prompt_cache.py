"""Marks of what a provider is to keep of a prompt: the stable part in front, where it is long enough to pay.

OpenAI, Gemini, DeepSeek and local servers keep beginnings by themselves; Anthropic's models want a mark, and
take 1.25 times the price of what they keep, so what is too short to be kept is not marked.
"""

from __future__ import annotations

from typing import Any

from pkgraph.model import Prompt

# Where litellm does not list it: what Anthropic's larger models keep at least.
_MIN_TOKENS = 1_024
_WANT_MARKS = ("anthropic", "bedrock", "vertex_ai")
# Below a token for three characters no tokenizer packs English.
_CHARS_PER_TOKEN = 3


def messages_with_marks(litellm: Any, model: str, prompt: Prompt) -> list[dict[str, object]]:
    """The messages as providers want them, the system message marked where that pays."""
    messages: list[dict[str, object]] = [{"role": m.role, "content": m.content} for m in prompt.messages]
    first = prompt.messages[0]
    if first.role == "system" and _pays(litellm, model, first.content):
        part = {"type": "text", "text": first.content, "cache_control": {"type": "ephemeral"}}
        messages[0] = {"role": "system", "content": [part]}
    return messages


def _pays(litellm: Any, model: str, text: str) -> bool:
    if len(text) < _MIN_TOKENS * _CHARS_PER_TOKEN:
        return False
    try:
        provider = litellm.get_llm_provider(model=model)[1]
        listed = litellm.get_model_info(model)
    except Exception:  # noqa: BLE001 - an unmapped model raises half a dozen kinds of error
        return False
    if provider not in _WANT_MARKS or not listed.get("supports_prompt_caching"):
        return False
    least = listed.get("prompt_cache_min_tokens") or _MIN_TOKENS
    return bool(litellm.token_counter(model=model, text=text) >= least)
