"""The nouns of the project as frozen records, and how their keys come from their content."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PURPOSES = "purposes"
"""Partition key of the purposes that belong to no category; category keys end in a hash and never collide."""


class RelationType(StrEnum):
    """How a source and a product belong together."""

    COMPLEMENT = "complement"  # used together
    INGREDIENT = "ingredient"  # same dish or project
    ACCESSORY = "accessory"  # needed to use, store, serve or care for it
    OCCASION = "occasion"  # same event or season
    AUDIENCE = "audience"  # same person or pet
    SUBSTITUTE = "substitute"  # instead of it


def content_key(*parts: str, length: int = 12) -> str:
    """Hex key of `length` characters from the parts, which may hold any text but the unit separator."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:length]


def category_key(title: str) -> str:
    """A partition key that is safe in a path, a URL and a database, and differs wherever the title differs.

    "FRZN NOVELTIES/WTR ICE" -> "frzn-novelties-wtr-ice-1f0c2b7d"
    """
    ascii_title = unicodedata.normalize("NFKD", title[:200]).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_title).strip("-")[:40].strip("-")
    return f"{slug or 'category'}-{content_key(title, length=8)}"


def kind_id(category: str, kind: str) -> str:
    """Key of a kind: the same type name under two categories makes two kinds."""
    return content_key("kind", category, kind)


def normalise_rationale(rationale: str) -> str:
    """One spelling a rationale: "Mother’s  Day Gift." -> "mother's day gift"."""
    text = unicodedata.normalize("NFKC", rationale).replace("’", "'").replace("‘", "'").casefold()
    return re.sub(r"\s+", " ", text).strip(' .,;:!?"')


def rationale_id(rationale: str) -> str:
    return content_key("rationale", normalise_rationale(rationale))


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str


def prompt_id(messages: Sequence[Message]) -> str:
    """SHA-256 of the messages as compact JSON; recorded answers are keyed by it."""
    payload = [{"role": message.role, "content": message.content} for message in messages]
    return hashlib.sha256(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked, about one kind or one purpose."""

    prompt_id: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Response:
    """What came back, verbatim, and what it cost.

    Attributes:
        model: Name under which the answer is kept in the ledger.
        text: The answer as it came; None where there was none.
        status: "answered", "unanswered" (the model had nothing to say: a replay without this prompt, an
            empty answer) or "failed" (the provider gave up on this prompt).
        finish_reason: As the provider says: "stop", "length", "content_filter", ...
        input_tokens: Tokens billed for the prompt, >= 0; None where the provider did not say.
        output_tokens: Tokens billed for the answer, >= 0; None where the provider did not say.
        cost_usd: US dollars, >= 0; None where the price is not known.
        latency_s: Wall seconds of the attempt; None for a recorded answer without it.
        detail: Why there is no answer, in words fit to be shown (redacted).
        provider_model: What the provider calls the model that answered; None where it did not say.
    """

    model: str
    text: str | None
    status: str = "answered"
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    detail: str | None = None
    provider_model: str | None = None


@dataclass(frozen=True, slots=True)
class WorstCase:
    """What one request can cost at most.

    Attributes:
        tokens: In and out, >= 0.
        usd: US dollars, >= 0.
    """

    tokens: int
    usd: float


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How a provider may be called; models of one provider share its limits.

    Attributes:
        provider: Whose limits they are.
        max_at_once: Requests in flight at most, >= 1.
        attempts: Requests for one prompt at most, >= 1.
        first_wait_s: The second attempt waits 0 to so many seconds, the third twice as long, and so on.
        requests_per_minute: None is no limit.
        tokens_per_minute: In and out; None is no limit.
    """

    provider: str
    max_at_once: int = 16
    attempts: int = 1
    first_wait_s: float = 1.0
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


class LanguageModel(Protocol):
    """What the pipeline asks of a live model."""

    @property
    def name(self) -> str:
        """Name of the model, part of the ledger's key."""
        ...

    @property
    def parameters(self) -> Mapping[str, object]:
        """Sampling parameters, part of the ledger's key."""
        ...

    @property
    def policy(self) -> CallPolicy: ...

    def worst_case(self, prompt: Prompt) -> WorstCase:
        """What one request can cost at most; it is set aside before the request is sent.

        Raises:
            InputError: The model's price is not known.
        """
        ...

    async def answer(self, prompt: Prompt, *, sample: int = 0) -> Response:
        """Send one request.

        Raises:
            CallFailed: No answer came.
            ProviderGone: No further call can succeed (wrong key, unknown model).
        """
        ...

    async def close(self) -> None:
        """Close what `answer` opened in this event loop; a later call opens it again."""
        ...


class Turn(Protocol):
    """A request's place among those that are on the way to a provider."""

    async def begin(self) -> None:
        """Wait for it; after this the request counts as sent."""
        ...

    def end(self) -> None:
        """The answer has come, or none will: the place is free for the next request."""
        ...


@runtime_checkable
class PacedModel(Protocol):
    """A `LanguageModel` that waits for its turn itself, with the request made and only to be sent."""

    async def answer_in_turn(self, prompt: Prompt, turn: Turn, *, sample: int = 0) -> Response:
        """As `answer`; `turn` is begun before the request is sent, and may be ended once the answer is in."""
        ...


@dataclass(frozen=True, slots=True)
class GateReport:
    """What a gate looked at and what it found.

    Attributes:
        evaluated: Rule name to the number of rows it looked at.
        broken: Rule name to the number of offenders, broken rules only.
    """

    evaluated: Mapping[str, int] = field(default_factory=dict)
    broken: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """A gate that looked at nothing has failed."""
        return bool(self.evaluated) and all(self.evaluated.values()) and not self.broken
