"""Prices and token counts by litellm's own list and tokenizers; nothing here reaches the network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pkgraph.llm.prices import Prices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pkgraph.settings import ModelSettings


def _litellm() -> Any:
    # Without it the import fetches the price list.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    return litellm


def prices_of(settings: ModelSettings) -> Prices | None:
    """The configured prices, else litellm's; None where neither knows the model."""
    price_in, price_out = settings.input_usd_per_million, settings.output_usd_per_million
    if price_in is not None and price_out is not None:
        return _configured(settings, price_in / 1e6, price_out / 1e6)
    try:
        listed = _litellm().get_model_info(settings.name)
    except Exception:  # noqa: BLE001 - an unmapped model raises half a dozen kinds of error
        return None
    return _listed(listed)


def _configured(settings: ModelSettings, input_usd: float, output_usd: float) -> Prices:
    cached, share = settings.cached_input_usd_per_million, settings.batch_price_share
    return Prices(
        input_usd,
        output_usd,
        None if cached is None else cached / 1e6,
        None if share is None else input_usd * share,
        None if share is None else output_usd * share,
    )


def _listed(listed: Mapping[str, Any]) -> Prices | None:
    price_in, price_out = listed.get("input_cost_per_token"), listed.get("output_cost_per_token")
    # A model that is listed without a price is not free, and only a local one is listed with 0.
    if price_in is None or price_out is None:
        return None
    return Prices(
        float(price_in),
        float(price_out),
        listed.get("cache_read_input_token_cost"),
        listed.get("input_cost_per_token_batches"),
        listed.get("output_cost_per_token_batches"),
        listed.get("cache_creation_input_token_cost"),
    )


def count_tokens(model: str, messages: Sequence[Mapping[str, str]]) -> int:
    """Tokens of a prompt by the model's tokenizer, or by OpenAI's where litellm has none of its own."""
    return int(_litellm().token_counter(model=model, messages=list(messages)))
