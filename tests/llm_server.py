"""A real HTTP server that speaks the OpenAI chat-completions protocol with scripted answers, and keeps a log.

with FakeProvider(lambda asked: Reply('{"relations": []}')) as provider:
    ... ask provider.url ...
    assert len(provider.asked) == 1
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType, TracebackType
from typing import Self

from pkgraph.model import CallPolicy, Prompt, Response, WorstCase
from tests.loopback import LoopbackServer, Quiet, completion


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in; header names are lower case."""

    path: str
    body: Mapping[str, object]
    headers: Mapping[str, str]

    @property
    def user_message(self) -> str:
        messages = self.body["messages"]
        assert isinstance(messages, list)
        return str(messages[-1]["content"])


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server sends back.

    Attributes:
        text: Content of the one choice; None is a null content.
        status: Other than 200 sends an OpenAI error object whose message is `text`.
        usage: Prompt and completion tokens; None leaves the usage out.
        delay_s: Silence before the first byte; closing the server ends it.
        raw: Sent as the body instead of everything above.
        chunks: Sent as the body one after the other, without a length, until they end or the client hangs up.
        resets: The connection is reset instead of an answer.
        n_missing: So many bytes of the body are announced and never sent.
        holds: After the body the connection stays silent instead of ending; closing the server ends it.
    """

    text: str | None = '{"relations": []}'
    status: int = 200
    usage: tuple[int, int] | None = (100, 20)
    finish_reason: str = "stop"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    raw: bytes | None = None
    chunks: Callable[[], Iterator[bytes]] | None = None
    resets: bool = False
    n_missing: int = 0
    holds: bool = False

    def encoded(self, model: object) -> bytes:
        if self.raw is not None:
            return self.raw
        if self.status != 200:
            return json.dumps({"error": {"message": self.text, "type": "error", "code": None}}).encode()
        return json.dumps(completion(model, self.text, self.usage, self.finish_reason)).encode()


Script = Callable[[Asked], Reply]


def in_turn(replies: Sequence[Reply]) -> Script:
    """A script of replies one after the other; the last one is repeated for ever."""
    left = list(replies)
    lock = threading.Lock()

    def script(_: Asked) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return script


class FakeProvider:
    """The server, on a free port of the loopback interface, from `with` to its end.

    Attributes:
        asked: Every request in the order of arrival.
        closing: Set at the end; whoever waits on purpose waits on it.
        n_bytes_sent: Of bodies.
    """

    def __init__(self, script: Script | Reply | Sequence[Reply] = Reply()) -> None:
        if isinstance(script, Reply):
            script = (script,)
        self._script = script if callable(script) else in_turn(script)
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self.n_bytes_sent = 0
        self._server = _Server(self)

    @property
    def url(self) -> str:
        """What `api_base` is to be."""
        return self._server.base_url

    def reply_to(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        reply = self._script(asked)
        self.closing.wait(reply.delay_s)
        return reply

    def __enter__(self) -> Self:
        self._server.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.end()


class _Server(LoopbackServer):
    def __init__(self, provider: FakeProvider) -> None:
        self.provider = provider
        super().__init__(_Handler)


class _Handler(Quiet, BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = MappingProxyType({name.lower(): value for name, value in self.headers.items()})
        reply = self.server.provider.reply_to(Asked(self.path, body, headers))
        if reply.resets:
            # Closing with this option sends RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        payload = reply.encoded(body.get("model"))
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        if reply.chunks is None:
            self.send_header("Content-Length", str(len(payload) + reply.n_missing))
        self.end_headers()
        for chunk in reply.chunks() if reply.chunks else (payload,):
            if self.server.provider.closing.is_set():
                return
            self.wfile.write(chunk)
            self.wfile.flush()
            self.server.provider.n_bytes_sent += len(chunk)
        if reply.holds:
            self.server.provider.closing.wait()


@dataclass(frozen=True, slots=True)
class PlainHttpModel:
    """The smallest live model: one POST a prompt, no retry; for tests of the ledger and of killed runs."""

    url: str
    name: str = "plain"
    parameters: Mapping[str, object] = field(default_factory=dict)

    at_once: int = 1

    @property
    def policy(self) -> CallPolicy:
        return CallPolicy(self.url, max_at_once=self.at_once)

    def worst_case(self, prompt: Prompt) -> WorstCase:
        return WorstCase(10, 0.01)

    async def answer(self, prompt: Prompt, *, sample: int = 0) -> Response:
        return await asyncio.to_thread(self._answer, prompt)

    async def close(self) -> None:
        """Each request has a connection of its own."""

    def _answer(self, prompt: Prompt) -> Response:
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        request = urllib.request.Request(  # noqa: S310 - the loopback server of the test
            f"{self.url}/chat/completions",
            data=json.dumps({"model": self.name, "messages": messages}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answered:  # noqa: S310
            body = json.load(answered)
        text = body["choices"][0]["message"]["content"]
        return Response(self.name, text, finish_reason="stop", cost_usd=0.01)
