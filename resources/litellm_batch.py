"""The Batch API through litellm: a file of requests up, a batch, a file of answers down.

Tested against the OpenAI protocol (files and batches); litellm speaks the others' through the same calls.
"""

from __future__ import annotations

import asyncio
import json
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pkgraph.errors import CallFailed, InputError, ProviderGone
from pkgraph.llm.batching import BatchState
from pkgraph.llm.prices import most_tokens
from pkgraph.model import Response, WorstCase
from resources.litellm_model import LiteLLMModel, load_litellm, messages_of, usage_of
from resources.provider_faults import classify
from resources.wire import WIRE, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pkgraph.model import Prompt

# OpenAI takes 50 000 requests and 200 MB; 10 000 of the demo's are 20 MB up and 20 MB down.
MAX_REQUESTS = 10_000
# A file of 20 MB at 100 KB a second takes 200 s.
_DEADLINE_S = 300.0
# Those whose batches litellm can make and list; a batch is found again by its token.
_LISTED = {"openai", "azure", "hosted_vllm", "vertex_ai", "xai"}
_OVER = {"completed", "expired", "cancelled", "failed"}
_TOKEN = "pkgraph_batch"  # noqa: S105 - the name of a batch's metadata
# Listing gives the newest first; clocks of two machines differ.
_CLOCK_SLACK_S = 3_600.0
_PAGE = 100
_OK = 200
_NOT_FOUND = 404


_MADE: ContextVar[list[Any] | None] = ContextVar("made", default=None)
"""Where clients are noted that litellm makes for one call and leaves open."""


def _watch_clients() -> None:
    """Have litellm note the clients it makes for OpenAI's files and batches; twice is as once."""
    from litellm.llms.openai import openai as module

    if getattr(module.AsyncOpenAI, "is_noted", False):
        return

    class Noted(module.AsyncOpenAI):  # type: ignore[misc]
        is_noted = True

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made = _MADE.get()
            if made is not None:
                made.append(self)

    module.AsyncOpenAI = Noted


class LiteLLMBatchModel(LiteLLMModel):
    """A `pkgraph.llm.batching.BatchModel` over the providers whose Batch API litellm knows."""

    max_requests = MAX_REQUESTS

    @property
    def poll_s(self) -> float:
        return self._settings.batch_poll_s

    def worst_case(self, prompt: Prompt) -> WorstCase:
        """The dearest answer there can be, by the batch.

        Raises:
            InputError: The batch price of the model is not known.
        """
        schema = json.dumps(self._schema) if self._schema else ""
        return replace(
            super().worst_case(prompt),
            usd=self._batch_usd(most_tokens(prompt.messages, schema), self._settings.max_tokens),
        )

    def _batch_usd(self, input_tokens: int, output_tokens: int) -> float:
        usd = self.prices().batch_usd(input_tokens, output_tokens)
        if usd is None:
            raise InputError(
                f"The batch price of {self.name} is not known, so no budget could hold.",
                remedy="Set `batch_price_share` of this model beside its prices; 0.5 is usual.",
            )
        return usd

    async def submit(self, token: str, requests: Mapping[str, Prompt]) -> str:
        litellm = load_litellm()
        bare, provider = self._provider(litellm)
        if provider not in _LISTED:
            raise ProviderGone(
                f"Batches of {provider} cannot be listed, so a killed run could pay for one twice.",
                remedy='Set transport = "live" of this model.',
            )
        lines = [json.dumps(self._line(litellm, name, bare, prompt)) for name, prompt in requests.items()]
        body = "\n".join([*lines, ""]).encode()
        sent = await self._call(
            litellm.acreate_file, provider, file=(f"{token}.jsonl", body), purpose="batch", is_free=True
        )
        made = await self._call(
            litellm.acreate_batch,
            provider,
            completion_window="24h",
            endpoint="/v1/chat/completions",
            input_file_id=sent.id,
            metadata={_TOKEN: token},
        )
        return str(made.id)

    def _line(self, litellm: Any, name: str, bare: str, prompt: Prompt) -> dict[str, object]:
        # What a live request would carry, under the names that this provider's models take.
        known = litellm.utils.get_optional_params(
            model=bare,
            custom_llm_provider=self._provider(litellm)[1],
            temperature=self._settings.temperature,
            max_tokens=self._settings.max_tokens,
            drop_params=True,
            **({"response_format": self._response_format()} if self._is_held_to_schema(litellm) else {}),
        )
        known.pop("extra_body", None)
        body = {"model": bare, "messages": messages_of(prompt), **known}
        return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}

    async def find(self, token: str, since: float) -> str | None:
        litellm = load_litellm()
        provider = self._provider(litellm)[1]
        after: dict[str, Any] = {}
        while True:
            page = await self._call(litellm.alist_batches, provider, limit=_PAGE, **after)
            found = list(_data(page))
            for batch in found:
                if (batch.get("metadata") or {}).get(_TOKEN) == token:
                    return str(batch["id"])
            is_older = any(float(batch.get("created_at") or 0) < since - _CLOCK_SLACK_S for batch in found)
            if len(found) < _PAGE or is_older:
                return None
            after = {"after": found[-1]["id"]}

    async def look(self, batch_id: str) -> BatchState:
        batch = await self._retrieve(batch_id)
        if batch is None:
            return BatchState(is_over=True, is_lost=True, detail="the provider knows no such batch")
        errors = _errors(batch)
        said = f"the batch is {batch.status}" + (f": {self._redact(errors)}" if errors else "")
        return BatchState(is_over=batch.status in _OVER, detail=said, n_done=_n_done(batch))

    async def _retrieve(self, batch_id: str) -> Any:
        litellm = load_litellm()
        provider = self._provider(litellm)[1]
        return await self._call(litellm.aretrieve_batch, provider, may_miss=True, batch_id=batch_id)

    async def results(self, batch_id: str) -> Mapping[str, Response]:
        litellm = load_litellm()
        batch = await self._retrieve(batch_id)
        found: dict[str, Response] = {}
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                content = await self._call(litellm.afile_content, self._provider(litellm)[1], file_id=file_id)
                found.update(self._read(litellm, content.content))
        return found

    def _read(self, litellm: Any, content: bytes) -> Iterator[tuple[str, Response]]:
        """The answers of a file; a line that cannot be read costs itself."""
        for line in content.split(b"\n"):
            try:
                row = json.loads(line)
                name, answer = str(row["custom_id"]), row.get("response") or {}
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            if answer.get("status_code") == _OK:
                yield name, self._answered(litellm, answer.get("body") or {})
            else:
                why = self._redact(json.dumps(row.get("error") or answer.get("body") or answer))
                yield name, Response(self.name, None, "failed", cost_usd=0.0, detail=f"refused: {why}")

    def _answered(self, litellm: Any, body: Mapping[str, Any]) -> Response:
        try:
            completion = litellm.ModelResponse(**body)
            choice = completion.choices[0]
        except (ValueError, TypeError, IndexError):
            # It was worked on and may be billed: without a cost the worst case is taken.
            return Response(self.name, None, "failed", detail="an answer without choices")
        text = choice.message.content if isinstance(choice.message.content, str) else None
        has_text = bool(text and text.strip())
        n_input, n_output = usage_of(completion)
        is_counted = n_input is not None and n_output is not None
        return Response(
            model=self.name,
            text=text,
            status="answered" if has_text else "unanswered",
            finish_reason=choice.finish_reason,
            input_tokens=n_input,
            output_tokens=n_output,
            cost_usd=self._batch_usd(n_input or 0, n_output or 0) if is_counted else None,
            detail=None if has_text else f"an empty answer, finish reason {choice.finish_reason}",
            provider_model=completion.model,
        )

    def _provider(self, litellm: Any) -> tuple[str, str]:
        bare, provider, *_ = litellm.get_llm_provider(model=self.name, api_base=self._settings.api_base)
        return str(bare), str(provider)

    async def _call(
        self,
        function: Any,
        provider: str,
        *,
        is_free: bool = False,
        may_miss: bool = False,
        **arguments: Any,
    ) -> Any:
        """One request of the Batch API, with a deadline and typed errors.

        Args:
            function: litellm's.
            provider: As litellm calls it.
            is_free: Whatever became of it, it costs nothing.
            may_miss: Where the provider knows no such thing, None is the answer.
            arguments: The function's own.
        """
        settings, wire, error = self._settings, Wire(), None
        made: list[Any] = []
        WIRE.set(wire)
        _MADE.set(made)
        _watch_clients()
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await function(
                    custom_llm_provider=provider,
                    api_base=settings.api_base,
                    api_key=self._api_key or ("none" if settings.api_base else None),
                    timeout=_DEADLINE_S,
                    max_retries=0,
                    **arguments,
                )
        except Exception as raised:  # noqa: BLE001 - litellm lets any error of any client through
            if may_miss and getattr(raised, "status_code", None) == _NOT_FOUND:
                return None
            error = classify(raised, wire, self._redact, deadline_s=_DEADLINE_S)
        finally:
            for client in made:
                await client.close()
        if isinstance(error, ProviderGone):
            raise ProviderGone(f"The Batch API of {self.name} refuses: {error.what}", remedy=error.remedy)
        raise CallFailed(
            f"The Batch API of {self.name} failed: {error.what}",
            is_transient=error.is_transient,
            may_be_billed=error.may_be_billed and not is_free,
        )


def _data(page: Any) -> Iterator[Mapping[str, Any]]:
    """The batches of a page, which litellm gives as an object or as a dictionary."""
    rows = page["data"] if isinstance(page, dict) else page.data
    for row in rows:
        yield row if isinstance(row, dict) else row.model_dump()


def _n_done(batch: Any) -> int:
    counts = getattr(batch, "request_counts", None)
    said = [getattr(counts, name, None) for name in ("completed", "failed")]
    return sum(n for n in said if isinstance(n, int))


def _errors(batch: Any) -> str:
    found = getattr(getattr(batch, "errors", None), "data", None) or []
    return "; ".join(str(getattr(error, "message", error)) for error in found)[:300]
