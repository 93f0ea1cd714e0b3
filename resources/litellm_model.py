"""The live language model: any provider through litellm, the only place that imports it.

One answer costs at most `attempts` requests, each with a wall-clock deadline.
The retries of litellm and of the provider's client are off, since layers of retries multiply.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pkgraph.errors import InputError, ProviderGone
from pkgraph.model import Prompt, Response
from resources.background_loop import BackgroundLoop
from resources.provider_faults import Fault, Redaction, classify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkgraph.settings import ModelSettings

# A provider may ask for an hour; past two minutes the prompt is better left to the next run.
MAX_RETRY_AFTER_S = 120.0
_loading = threading.Lock()


def _litellm() -> Any:
    """litellm, settled: it fetches its price list from the network at import unless told not to."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    with _loading:
        import litellm
        import stamina

        litellm.suppress_debug_info = True
        litellm.turn_off_message_logging = True
        litellm.telemetry = False
        # Its log lines repeat provider errors word for word, keys included.
        logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
        # Its default hook prints a line a retry into the progress bar.
        stamina.instrumentation.set_on_retry_hooks(())
    return litellm


async def _close_connections() -> None:
    await _litellm().close_litellm_async_clients()


# litellm keeps its connections by event loop and process, so all models share one.
_LOOP = BackgroundLoop(_close_connections)
close_connections = atexit.register(_LOOP.close)


class LiteLLMModel:
    """A `pkgraph.model.LanguageModel` over any provider that litellm knows.

    `answer` may be called from many threads; all models of a process share one event loop in the background.

    Args:
        settings: Name, address, sampling parameters, deadline, attempts and prices of the model.
        api_key: The key; None takes it from the variable `api_key_env`, and without that leaves it to
            litellm, which reads the provider's usual variable.
        first_wait_s: Wait before the second attempt, seconds, doubled each time, plus a jitter of 0
            to as much again.

    Raises:
        InputError: The variable `api_key_env` is not set. Nothing was asked.
    """

    def __init__(
        self, settings: ModelSettings, *, api_key: str | None = None, first_wait_s: float = 1.0
    ) -> None:
        self._settings = settings
        self._api_key = api_key = api_key or _key_of(settings)
        self._first_wait_s = first_wait_s
        self._redact = Redaction((api_key,) if api_key else ())

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def parameters(self) -> Mapping[str, object]:
        return MappingProxyType(
            {"max_tokens": self._settings.max_tokens, "temperature": self._settings.temperature}
        )

    def answer(self, prompt: Prompt, *, sample: int = 0) -> Response:  # noqa: ARG002 - independent as it is
        """The provider's answer, or a failed response once the attempts are used up.

        Raises:
            ProviderGone: Wrong key, no such model, no credit left: no further call can succeed.
        """
        _litellm()  # seconds at the first call, which belong to no attempt's deadline
        return _LOOP.run(self._answer(prompt))

    async def _answer(self, prompt: Prompt) -> Response:
        import stamina

        attempts = stamina.retry_context(
            on=_wait_before_retry,
            attempts=self._settings.attempts,
            timeout=None,
            wait_initial=self._first_wait_s,
            wait_max=60.0,
            wait_jitter=self._first_wait_s,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    return await self._attempt(prompt)
        except Fault as fault:
            if fault.is_final_for_all:
                raise ProviderGone(
                    f"The provider of {self.name} refuses every call: {fault}.",
                    remedy="Check the model's name, its key (`api_key_env`) and its account, then run again.",
                ) from None
            return Response(self.name, None, status="failed", detail=str(fault))
        raise AssertionError("stamina returns or raises")

    async def _attempt(self, prompt: Prompt) -> Response:
        settings = self._settings
        started = time.perf_counter()
        fault = None
        try:
            async with asyncio.timeout(settings.timeout_s):
                completion = await _litellm().acompletion(**self._request(prompt))
        except Exception as error:  # noqa: BLE001 - litellm lets any error of any client through
            fault = classify(error, self._redact, deadline_s=settings.timeout_s)
        # Raised out here, so that the provider's own words are not even its context.
        if fault is not None:
            raise fault
        if not getattr(completion, "choices", None):
            raise Fault("an answer without choices", is_transient=True)
        return self._response(completion, time.perf_counter() - started)

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        settings = self._settings
        # An OpenAI-compatible server at home asks for no key, but its client insists on one.
        key = self._api_key or ("none" if settings.api_base else None)
        return {
            "model": settings.name,
            "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
            "temperature": settings.temperature,
            "max_tokens": settings.max_tokens,
            "api_base": settings.api_base,
            "api_key": key,
            "timeout": settings.timeout_s,
            "max_retries": 0,
            "num_retries": 0,
            "drop_params": True,
        }

    def _response(self, completion: Any, latency_s: float) -> Response:
        """What came back; an answer without text is unanswered, paid for all the same."""
        text, finish = completion.choices[0].message.content, completion.choices[0].finish_reason
        usage = getattr(completion, "usage", None)
        # litellm fills a missing usage with zeros; no prompt has zero tokens.
        n_input = _positive(getattr(usage, "prompt_tokens", None))
        n_output = _positive(getattr(usage, "completion_tokens", None)) if n_input is not None else None
        has_text = isinstance(text, str) and bool(text.strip())
        return Response(
            model=self.name,
            text=text if isinstance(text, str) else None,
            status="answered" if has_text else "unanswered",
            finish_reason=finish,
            input_tokens=n_input,
            output_tokens=n_output,
            cost_usd=self._cost_usd(n_input, n_output),
            latency_s=latency_s,
            detail=None if has_text else f"an empty answer, finish reason {finish}",
        )

    def _cost_usd(self, n_input: int | None, n_output: int | None) -> float | None:
        """By the configured prices, else by litellm's list; None where neither knows."""
        if n_input is None or n_output is None:
            return None
        price_in, price_out = self._settings.input_usd_per_million, self._settings.output_usd_per_million
        if price_in is not None and price_out is not None:
            return (n_input * price_in + n_output * price_out) / 1e6
        try:
            costs = _litellm().cost_per_token(
                model=self.name, prompt_tokens=n_input, completion_tokens=n_output
            )
        except Exception:  # noqa: BLE001 - an unmapped model raises half a dozen kinds of error
            return None
        return float(sum(costs))


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


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _wait_before_retry(error: Exception) -> bool | float:
    """Whether to try again, and after how long where the provider says so."""
    if not isinstance(error, Fault) or not error.is_transient:
        return False
    if error.retry_after_s is None:
        return True
    return min(error.retry_after_s, MAX_RETRY_AFTER_S)
