"""What really happens on the wire under litellm: the HTTP status, whether anything was sent, how much came.

litellm makes one error of many: a page of HTML becomes a 500, an endless answer a connection error; and it
sends a request again whose connection broke. All its HTTP clients get their transport from one place; the
transport is watched there, capped, and lets each attempt send one request.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

# An answer of 2 000 tokens has some 10 KB; parsing takes a multiple of the bytes as memory.
MAX_ANSWER_BYTES = 4_000_000
_REDIRECTS = range(300, 400)


@dataclass(slots=True)
class Wire:
    """What one request met.

    Attributes:
        begin: Waited for before the first byte is sent.
        end: Called when the whole answer is in, before anyone reads it.
        was_used: The request came this way.
        was_sent: A connection stood, so the provider may have got the request.
        status: Of the HTTP answer; None where none came.
        headers: Of the HTTP answer, names in lower case.
        refusal: Why the body was not taken; None where it was.
        error: How the connection broke after the request was sent; None where it did not.
    """

    begin: Callable[[], Awaitable[None]] | None = None
    end: Callable[[], None] = lambda: None
    was_used: bool = False
    was_sent: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    refusal: str | None = None
    error: httpx.TransportError | None = None

    async def enter(self) -> None:
        """Before anything is sent: one request an attempt, and a redirect of it.

        Raises:
            httpx.TransportError: Something was sent, and sending again is decided elsewhere.
        """
        if self.was_sent and self.status not in _REDIRECTS:
            raise self.error or httpx.TransportError("one attempt is one request")
        if not self.was_used and self.begin is not None:
            await self.begin()
        self.was_used = True


WIRE: ContextVar[Wire | None] = ContextVar("wire", default=None)
"""Set by whoever asks, before each request."""


class BodyRefused(httpx.TransportError):
    """The body is too long, or packed so that its length is unknown."""


class _Capped(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, wire: Wire) -> None:
        self._stream, self._wire = stream, wire

    async def __aiter__(self) -> AsyncIterator[bytes]:
        n_bytes = 0
        async for chunk in self._stream:
            n_bytes += len(chunk)
            if n_bytes > MAX_ANSWER_BYTES:
                raise _refused(self._wire, f"an answer of more than {MAX_ANSWER_BYTES:,} bytes")
            yield chunk
        self._wire.end()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _refused(wire: Wire, why: str) -> BodyRefused:
    wire.refusal = why
    return BodyRefused(why)


def _watched(handle: Callable[[httpx.Request], Awaitable[httpx.Response]]) -> Any:
    """The transport's one method, noting what it meets."""

    async def watched(request: httpx.Request) -> httpx.Response:
        wire = WIRE.get() or Wire()
        await wire.enter()
        # Packed, a few kilobytes may be gigabytes.
        request.headers["Accept-Encoding"] = "identity"
        try:
            response = await handle(request)
        except httpx.TransportError as error:
            wire.was_sent = _was_connected(error)
            wire.error = error if wire.was_sent else None
            raise
        wire.was_sent, wire.status = True, response.status_code
        wire.headers = {name.lower(): value for name, value in response.headers.items()}
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise _refused(wire, "a packed answer, which was not asked for")
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Capped(response.stream, wire)
        return response

    return watched


def _was_connected(error: httpx.TransportError) -> bool:
    """Whether the connection stood before it broke: litellm's transport calls a reset a failed connect."""
    import aiohttp

    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientError):
        return not isinstance(cause, aiohttp.ClientConnectorError)
    return not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def watch(handler: Any) -> None:
    """Watch every transport that litellm's `AsyncHTTPHandler` makes from now on; twice is as once."""
    plain = handler.create_async_transport
    if getattr(plain, "is_watching", False):
        return

    def create_async_transport(*args: Any, **options: Any) -> httpx.AsyncBaseTransport:
        transport: Any = plain(*args, **options) or httpx.AsyncHTTPTransport()
        transport.handle_async_request = _watched(transport.handle_async_request)
        return transport  # type: ignore[no-any-return]

    create_async_transport.is_watching = True  # type: ignore[attr-defined]
    handler.create_async_transport = staticmethod(create_async_transport)
    handler._create_async_transport = staticmethod(create_async_transport)  # noqa: SLF001 - its older name
