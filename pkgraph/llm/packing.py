"""A model that is asked about several kinds at once: fewer tokens, the same questions in the ledger.

Questions that are in flight together are packed; each gets its own part of the answer and its share of the
tokens and of the cost. The ledger keeps them under their own prompts, so a kind that joins the catalog later
never makes the others be asked again.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from pkgraph.errors import CallFailed, ProviderGone
from pkgraph.prompts.packing import pack, split, values_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pkgraph.model import CallPolicy, LanguageModel, Prompt, Response, WorstCase
    from pkgraph.prompts.packing import Pack

# Questions are leased some milliseconds apart; an answer takes seconds.
_LINGER_S = 0.05

_Waiting = tuple["Prompt", "asyncio.Future[Response]"]


class PackingModel:
    """A `pkgraph.model.LanguageModel` that packs up to `size` kinds into one request.

    Args:
        plain: Answers what cannot be packed.
        packed: The same model, whose answers may be `size` times as long and have the form of a pack.
        size: Kinds a request, >= 2.
    """

    def __init__(self, plain: LanguageModel, packed: LanguageModel, size: int) -> None:
        self._plain, self._packed, self._size = plain, packed, size
        self._waiting: list[_Waiting] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        return self._plain.name

    @property
    def parameters(self) -> Mapping[str, object]:
        return MappingProxyType({**self._plain.parameters, "kinds_per_prompt": self._size})

    @property
    def policy(self) -> CallPolicy:
        policy = self._plain.policy
        return replace(policy, max_at_once=policy.max_at_once * self._size)

    def worst_case(self, prompt: Prompt) -> WorstCase:
        """A whole answer of a pack, however few share it."""
        if values_of(prompt) is None:
            return self._plain.worst_case(prompt)
        return self._packed.worst_case(pack([prompt]).prompt)

    async def answer(self, prompt: Prompt, *, sample: int = 0) -> Response:
        if values_of(prompt) is None:
            return await self._plain.answer(prompt, sample=sample)
        done: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting.append((prompt, done))
        if len(self._waiting) >= self._size:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LINGER_S, self._flush)
        return await done

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        waiting, self._waiting = self._waiting, []
        if waiting:
            task = asyncio.create_task(self._send(waiting))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, waiting: Sequence[_Waiting]) -> None:
        try:
            asked = pack([prompt for prompt, _ in waiting])
            response = await self._packed.answer(asked.prompt)
            outcomes: Sequence[Response | Exception] = _shares(waiting, asked, response)
        except (CallFailed, ProviderGone) as error:
            outcomes = [error] * len(waiting)
        for (_, done), outcome in zip(waiting, outcomes, strict=True):
            if done.done():  # whoever asked was cancelled meanwhile
                continue
            if isinstance(outcome, Exception):
                done.set_exception(outcome)
            else:
                done.set_result(outcome)

    async def close(self) -> None:
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._packed.close()
        await self._plain.close()


def _shares(waiting: Sequence[_Waiting], asked: Pack, response: Response) -> list[Response]:
    """Each question's part of the answer; tokens and cost are divided so that their sums stay."""
    parts, n = split(response.text or "", asked), len(waiting)
    shares = []
    for place, (prompt, _) in enumerate(waiting):
        text = parts.get(prompt.prompt_id)
        why = f"the answer has no part for this kind, finish reason {response.finish_reason}"
        shares.append(
            replace(
                response,
                text=text,
                status="answered" if text else "unanswered",
                input_tokens=_share(response.input_tokens, place, n),
                output_tokens=_share(response.output_tokens, place, n),
                cost_usd=None if response.cost_usd is None else response.cost_usd / n,
                detail=None if text else why,
            )
        )
    return shares


def _share(total: int | None, place: int, n: int) -> int | None:
    return None if total is None else total // n + (place < total % n)
