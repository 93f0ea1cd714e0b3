"""The live language model: any provider through litellm, the only place that imports it.

`answer` sends one request, with a wall-clock deadline; sending again is decided elsewhere.
The retries of litellm and of the provider's client are off, since layers of retries multiply.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import time
import warnings
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from pkgraph.errors import CallFailed, InputError, ProviderGone
from pkgraph.llm.prices import Prices, most_tokens
from pkgraph.model import CallPolicy, Prompt, Response, WorstCase
from pkgraph.prompts.rendering import estimate_tokens
from resources.prices import prices_of
from resources.prompt_cache import messages_with_marks
from resources.provider_faults import Redaction, classify
from resources.wire import WIRE, Wire, watch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from pkgraph.model import Turn
    from pkgraph.settings import ModelSettings


@cache
def load_litellm() -> Any:
    """litellm, settled: it fetches its price list from the network at import unless told not to."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    # OpenAI's models take the way of all others, past OpenAI's own client: a third less CPU time a request.
    os.environ["EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER"] = "True"
    import litellm
    from litellm.litellm_core_utils.litellm_logging import Logging
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    # Its types make pydantic warn the first time that they are used.
    warnings.filterwarnings("ignore", message=".*`ReadOnly` qualifier", category=UserWarning)
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    # Its log lines repeat provider errors word for word, keys included.
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    # Its records of successes and its own count of costs go nowhere here, and are a third of its CPU time.
    Logging.async_success_handler, Logging.response_cost_calculator = _no_record, _no_cost
    watch(AsyncHTTPHandler)
    # Its modules are here to stay; to walk them took every full collection 0.3 s, with 64 answers waiting.
    gc.collect()
    gc.freeze()
    return litellm


async def _no_record(*_: object, **__: object) -> None:
    """Nothing."""


def _no_cost(*_: object, **__: object) -> None:
    """Nothing: `Prices` counts."""


class LiteLLMModel:
    """A `pkgraph.model.LanguageModel` over any provider that litellm knows.

    Args:
        settings: Name, address, sampling parameters, deadline, limits and prices of the model.
        schema: JSON schema of an answer, for providers that hold the model to one.
        api_key: The key; None takes it from the variable `api_key_env`, and without that leaves it to
            litellm, which reads the provider's usual variable.
        first_wait_s: The second attempt waits 0 to so many seconds, the third up to twice as long.

    Raises:
        InputError: The variable `api_key_env` is not set. Nothing was asked.
    """

    def __init__(
        self,
        settings: ModelSettings,
        *,
        schema: Mapping[str, object] | None = None,
        api_key: str | None = None,
        first_wait_s: float = 1.0,
    ) -> None:
        self._settings = settings
        self._schema = schema
        self._api_key = api_key = api_key or _key_of(settings)
        self._first_wait_s = first_wait_s
        self._redact = Redaction((api_key,) if api_key else ())
        self._prices: Prices | None = None
        self._way = _Way()

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def parameters(self) -> Mapping[str, object]:
        settings = self._settings
        said: dict[str, object] = {"max_tokens": settings.max_tokens, "temperature": settings.temperature}
        if settings.structured_output is not None:
            said["structured_output"] = settings.structured_output
        return MappingProxyType(said)

    @property
    def policy(self) -> CallPolicy:
        settings = self._settings
        return CallPolicy(
            provider=settings.api_base or settings.name.partition("/")[0],
            max_at_once=settings.max_concurrency,
            attempts=settings.attempts,
            first_wait_s=self._first_wait_s,
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
        )

    def worst_case(self, prompt: Prompt) -> WorstCase:
        """The dearest answer there can be.

        Raises:
            InputError: The price of the model is not known.
        """
        limit = self._settings.max_tokens
        schema = json.dumps(self._schema) if self._schema else ""
        return WorstCase(
            tokens=estimate_tokens(prompt.messages) + limit,
            usd=self.prices().worst_usd(most_tokens(prompt.messages, schema), limit),
        )

    def prices(self) -> Prices:
        """What the model costs: as configured, else as litellm lists it."""
        if self._prices is None:
            self._prices = prices_of(self._settings)
        if self._prices is None:
            raise InputError(
                f"The price of {self.name} is not known, so no budget could hold.",
                remedy="Say it with --usd-per-million IN OUT, or as `input_usd_per_million` and "
                "`output_usd_per_million` of this model; 0 and 0 for a model of your own.",
            )
        return self._prices

    async def answer(self, prompt: Prompt, *, sample: int = 0) -> Response:
        """What the provider answers to one request, sent at once."""
        return await self.answer_in_turn(prompt, _AtOnce(), sample=sample)

    async def answer_in_turn(self, prompt: Prompt, turn: Turn, *, sample: int = 0) -> Response:  # noqa: ARG002 - independent as it is
        """What the provider answers to one request.

        litellm needs some milliseconds of CPU time before it sends and after it has received; the turn lasts
        from the first byte sent to the last one received, so that none of the provider's places waits for it.
        """
        litellm = load_litellm()  # seconds at the first call, which belong to no deadline
        error, wire = None, Wire()
        WIRE.set(wire)
        try:
            async with _Attempt(turn, wire, self._settings.timeout_s, self._way) as attempt:
                completion = await litellm.acompletion(**self._request(litellm, prompt))
        except Exception as raised:  # noqa: BLE001 - litellm lets any error of any client through
            error = classify(raised, wire, self._redact, deadline_s=self._settings.timeout_s)
        # Raised out here, so that the provider's own words are not even its context.
        if isinstance(error, ProviderGone):
            raise ProviderGone(
                f"The provider of {self.name} refuses every call: {error.what}", remedy=error.remedy
            )
        if error is not None:
            raise error
        if not getattr(completion, "choices", None):
            raise CallFailed("an answer without choices", is_transient=True, may_be_billed=True)
        return self._response(litellm, prompt, completion, attempt.latency_s)

    def _request(self, litellm: Any, prompt: Prompt) -> dict[str, Any]:
        settings = self._settings
        # An OpenAI-compatible server at home asks for no key, but its client insists on one.
        key = self._api_key or ("none" if settings.api_base else None)
        return {
            "model": settings.name,
            "messages": messages_with_marks(litellm, settings.name, prompt),
            "temperature": settings.temperature,
            "max_tokens": settings.max_tokens,
            "api_base": settings.api_base,
            "api_key": key,
            # Per read and not per call, so it is a second net only; it must not be the first to give way.
            "timeout": settings.timeout_s + 5,
            "max_retries": 0,
            "num_retries": 0,
            "drop_params": True,
            **({"response_format": self._response_format()} if self._is_held_to_schema(litellm) else {}),
        }

    def _is_held_to_schema(self, litellm: Any) -> bool:
        wish = self._settings.structured_output
        supports = litellm.supports_response_schema
        return self._schema is not None and (bool(supports(model=self.name)) if wish is None else wish)

    def _response_format(self) -> dict[str, object]:
        return {
            "type": "json_schema",
            "json_schema": {"name": "relations", "strict": True, "schema": self._schema},
        }

    def _response(self, litellm: Any, prompt: Prompt, completion: Any, latency_s: float) -> Response:
        """What came back; an answer without text is unanswered, paid for all the same."""
        text, finish = completion.choices[0].message.content, completion.choices[0].finish_reason
        text = text if isinstance(text, str) else None
        has_text = bool(text and text.strip())
        n_input, n_output = usage_of(completion)
        if n_input is None or n_output is None:
            # By the bare name: with the provider in front, litellm takes another tokenizer (8 % more tokens).
            bare = self.name.rpartition("/")[2]
            n_input = litellm.token_counter(model=bare, messages=messages_of(prompt))
            n_output = litellm.token_counter(model=bare, text=text or "")
        return Response(
            model=self.name,
            text=text,
            status="answered" if has_text else "unanswered",
            finish_reason=finish,
            input_tokens=n_input,
            output_tokens=n_output,
            cost_usd=self.prices().usd(
                n_input,
                n_output,
                cached_tokens=_cached(completion, "cached_tokens"),
                written_tokens=_cached(completion, "cache_creation_tokens"),
            ),
            latency_s=latency_s,
            detail=None if has_text else f"an empty answer, finish reason {finish}",
            provider_model=getattr(completion, "model", None),
        )

    async def close(self) -> None:
        """Close litellm's connections; it keeps them by event loop, and this loop is about to end."""
        litellm = load_litellm()
        await litellm.close_litellm_async_clients()
        litellm.in_memory_llm_clients_cache.flush_cache()


@dataclass(slots=True)
class _Way:
    """Whether a model's requests go over the watched transport; the first that gets there shows it."""

    is_watched: bool = False


class _Attempt:
    """One request: its turn and its deadline, from the first byte sent to the last one received.

    Until its way is known to be the watched one, both are those of the whole call.
    """

    def __init__(self, turn: Turn, wire: Wire, timeout_s: float, way: _Way) -> None:
        self._turn, self._wire, self._timeout_s, self._way = turn, wire, timeout_s, way
        self._deadline = asyncio.timeout(None)
        self._began_at = self._ended_at = 0.0

    @property
    def latency_s(self) -> float:
        return self._ended_at - self._began_at

    async def __aenter__(self) -> Self:
        await self._deadline.__aenter__()
        if self._way.is_watched:
            self._wire.begin, self._wire.end = self._begin, self._end
        else:
            self._wire.begin = self._note_way
            await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended_at = self._ended_at or time.perf_counter()
        await self._deadline.__aexit__(kind, error, trace)

    async def _note_way(self) -> None:
        self._way.is_watched = True

    async def _begin(self) -> None:
        await self._turn.begin()
        self._began_at = time.perf_counter()
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._timeout_s)

    def _end(self) -> None:
        self._ended_at = time.perf_counter()
        if not self._deadline.expired():
            self._deadline.reschedule(None)
        # An error may ask for a pause, which has to be known before the next request is sent.
        if self._wire.status == HTTPStatus.OK:
            self._turn.end()


class _AtOnce:
    """The turn of a request that waits for nobody."""

    async def begin(self) -> None:
        """It is its turn."""

    def end(self) -> None:
        """Nobody waits."""


def _cached(completion: Any, what: str) -> int:
    """Tokens of the prompt that the provider had cached, or caches from now on; 0 where it does not say."""
    details = getattr(getattr(completion, "usage", None), "prompt_tokens_details", None)
    n = getattr(details, what, None)
    return n if isinstance(n, int) else 0


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    """The messages as providers want them."""
    return [{"role": message.role, "content": message.content} for message in prompt.messages]


def usage_of(completion: Any) -> tuple[int | None, int | None]:
    """Tokens in and out; litellm fills a missing usage with zeros, and no prompt has zero tokens."""
    usage = getattr(completion, "usage", None)
    n_input, n_output = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    if not isinstance(n_input, int) or not isinstance(n_output, int) or n_input <= 0 or n_output < 0:
        return None, None
    return n_input, n_output


def _key_of(settings: ModelSettings) -> str | None:
    if settings.api_key_env is None:
        return None
    key = os.environ.get(settings.api_key_env, "").strip()
    if not key:
        raise InputError(
            f"The key of {settings.name} is missing: {settings.api_key_env} is not set.",
            remedy=f"Export {settings.api_key_env}, or correct `api_key_env` of this model.",
        )
    return key
