"""The real door against a server: the real litellm client behind the real ledger."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from pkgraph.llm import Ledger, Limits, Progress, ask_all
from pkgraph.model import Message, Prompt, Response, prompt_id
from pkgraph.prompts.rendering import messages_json
from pkgraph.settings import ModelSettings
from pkgraph.tables import PROMPTS
from resources.litellm_model import LiteLLMModel

KEY = "sk-canary-0123456789abcdef"
FREE = {"input_usd_per_million": 0, "output_usd_per_million": 0}
PROMPT = Prompt("p", (Message("system", "s"), Message("user", "u")))


def live_model(url: str, *, first_wait_s: float = 0.02, **settings: Any) -> LiteLLMModel:
    """A live model at a local server; free unless a price is given."""
    fields = {"name": "openai/mine", "api_base": url, "timeout_s": 60, **FREE, **settings}
    return LiteLLMModel(ModelSettings.model_validate(fields), api_key=KEY, first_wait_s=first_wait_s)


def one_answer(model: LiteLLMModel, prompt: Prompt = PROMPT) -> Response:
    """What comes of one request."""

    async def ask() -> Response:
        try:
            return await model.answer(prompt)
        finally:
            await model.close()

    return asyncio.run(ask())


def some_prompts(n: int) -> pl.DataFrame:
    """The table `prompts` with `n` rows that ask "question 0", "question 1", ..."""
    rows = []
    for number in range(n):
        messages = (Message("user", f"question {number}"),)
        row = {"prompt_id": prompt_id(messages), "template": "t", "messages": messages_json(messages)}
        rows.append({**row, "input_tokens": 1})
    return PROMPTS.conform(pl.DataFrame(rows, schema=PROMPTS.schema))


def now() -> datetime:
    return datetime.now(UTC)


def ask(
    model: LiteLLMModel, ledger: Path, n_prompts: int = 1, *, limits: Limits | None = None, **options: Any
) -> pl.DataFrame:
    """The table `llm_responses` of `n_prompts` prompts."""
    with Ledger.open(ledger) as opened:
        return ask_all(some_prompts(n_prompts), [model], opened, now=now, limits=limits, **options)


def last_progress(
    model: LiteLLMModel, ledger: Path, n_prompts: int = 1, *, limits: Limits | None = None
) -> Progress:
    seen: list[Progress] = []
    ask(model, ledger, n_prompts, limits=limits, on_progress=seen.append)
    return seen[-1]
