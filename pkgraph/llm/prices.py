"""What a model's tokens cost: at once, read from the provider's prompt cache, and by its Batch API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkgraph.model import Message

# What a provider's template adds around a message, role and separators; the largest known is below 10.
_TOKENS_A_MESSAGE = 16
_TOKENS_A_PROMPT = 64


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars a token, each >= 0.

    Attributes:
        cached_input_usd: For prompt tokens that the provider had cached; None is the price of all others.
        cache_write_usd: For prompt tokens that the provider begins to cache; None is the price of all others.
        batch_input_usd: Through the Batch API; None where there is no such price. Likewise
            `batch_output_usd`.
    """

    input_usd: float
    output_usd: float
    cached_input_usd: float | None = None
    batch_input_usd: float | None = None
    batch_output_usd: float | None = None
    cache_write_usd: float | None = None

    def worst_usd(self, input_tokens: int, output_tokens: int) -> float:
        """What one request costs at most: every token of its prompt may be one that is begun to be cached."""
        dearest = max(self.input_usd, self.cache_write_usd or 0.0)
        return input_tokens * dearest + output_tokens * self.output_usd

    def usd(
        self, input_tokens: int, output_tokens: int, *, cached_tokens: int = 0, written_tokens: int = 0
    ) -> float:
        """What one request cost.

        Args:
            input_tokens: All tokens of the prompt, the cached ones included.
            output_tokens: All tokens of the answer.
            cached_tokens: How many of the prompt's were cached; more than all of them count as all.
            written_tokens: How many of the others are cached from now on.
        """
        cached = min(max(cached_tokens, 0), input_tokens)
        written = min(max(written_tokens, 0), input_tokens - cached)
        cached_usd = self.input_usd if self.cached_input_usd is None else self.cached_input_usd
        written_usd = self.input_usd if self.cache_write_usd is None else self.cache_write_usd
        fresh = input_tokens - cached - written
        paid_in = fresh * self.input_usd + cached * cached_usd + written * written_usd
        return paid_in + output_tokens * self.output_usd

    def batch_usd(self, input_tokens: int, output_tokens: int) -> float | None:
        """What it costs through the Batch API; None where there is no such price."""
        if self.batch_input_usd is None or self.batch_output_usd is None:
            return None
        return input_tokens * self.batch_input_usd + output_tokens * self.batch_output_usd


def most_tokens(messages: Sequence[Message], schema: str = "") -> int:
    """More tokens than any tokenizer makes of these messages and this schema: none is shorter than a byte."""
    n_bytes = sum(len(m.content.encode("utf-8", "surrogatepass")) + _TOKENS_A_MESSAGE for m in messages)
    return n_bytes + len(schema.encode()) + _TOKENS_A_PROMPT
