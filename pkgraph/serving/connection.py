"""One HTTP/1.1 connection: httptools parses, limits and deadlines cut off, the service answers.

No framework stands between the socket and the answer; docs/adr/0010 has the measured table.
Answers are computed in memory, so a request is answered in the very call that brought its last byte.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

from pkgraph.serving.problems import Answer, Problem, problem_answer

if TYPE_CHECKING:
    from pkgraph.serving.front import Front

_STATUS_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRACE = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
"""All zeros are no trace, says W3C Trace Context."""
_LABELS = {b"GET": "GET", b"HEAD": "HEAD", b"POST": "POST"}

AT_ONCE = 32
"""Requests of one packet that are answered before others get their turn; 4 500 short ones fit into one."""

_Whole = tuple[bytes, bytes, dict[bytes, bytes], bytes, bytes]
"""Method, target, headers, body, and the last header lines of the answer."""

_STAY = b"\r\n\r\n"
_STAY_1_0 = b"\r\nconnection: keep-alive\r\n\r\n"
_CLOSE = b"\r\nconnection: close\r\n\r\n"


class Connection(asyncio.Protocol):
    """A caller.

    Attributes:
        deadline: Seconds of the front's clock; later the caller is cut off.
    """

    def __init__(self, front: Front) -> None:
        self.front = front
        self.deadline = front.now + front.limits.head_seconds
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._refusal: Problem | None = None
        self._is_closing = False
        self._is_paused = False
        self._waiting: deque[_Whole] = deque()
        self._n_answered = 0
        self._n_at_once = 0
        self._began = 0.0
        self._good_host: bytes | None = None
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._raw_bytes = -1
        self._is_in_head = True
        self._has_begun = False
        self._body = b""

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        connections = self.front.connections
        connections.add(self)
        if len(connections) > self.front.limits.connections:
            self.front.service.metrics.count("full")
            self._refuse(
                Problem(503, "too-many-connections", "Come back in a second.", b"retry-after: 1\r\n")
            )

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.front.connections.discard(self)
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return  # lingering: what was refused is read and forgotten, so that the caller sees the answer
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self.front.service.log.failed("connection_failed", error)
            self._refusal = Problem(500, "internal-error", "The server failed; its log says why.")
        except httptools.HttpParserUpgrade:
            self._is_closing = True  # answered in plain HTTP/1.1, like a server that knows no other protocol
        except httptools.HttpParserError:
            self._refusal = self._refusal or Problem(400, "malformed-request", "This is no HTTP/1.1 request.")
        if self._is_in_head and self._has_begun and not self._refusal:
            # Of the packet that it began in, other requests may be the greater part: it is not counted.
            self._raw_bytes = 0 if self._raw_bytes < 0 else self._raw_bytes + len(data)
            if self._raw_bytes > 2 * self.front.limits.head_bytes:  # a header that does not end
                self._refusal = self._too_long_a_head()
        if self._waiting:
            if not self._is_paused:
                self._transport.pause_reading()
                self.front.loop.call_soon(self._go_on)
        elif self._refusal:
            self._refuse(self._refusal)
        self._n_at_once = 0

    def eof_received(self) -> bool:
        """Keep the way back open while an answer waits to be written."""
        return bool(self._waiting)

    def pause_writing(self) -> None:
        self._is_paused = True
        self.deadline = self.front.now + self.front.limits.write_seconds
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_paused = False
        self._give(self.front.limits.head_seconds if self._has_begun else self.front.limits.idle_seconds)
        self._go_on()

    def _go_on(self) -> None:
        """Answer some of what waits; the loop sees to others in between."""
        for _ in range(AT_ONCE):
            if self._waiting and not self._is_paused and not self._is_closing:
                self._answer(*self._waiting.popleft())
        if self._is_closing:
            self._waiting.clear()
        if self._is_paused:
            return  # resume_writing comes back here
        if self._waiting:
            self.front.loop.call_soon(self._go_on)
            return
        if self._refusal and not self._is_closing:
            self._refuse(self._refusal)
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._begin()
        self._has_begun = True
        self._began = self.front.now
        self._give(self.front.limits.head_seconds)

    def _give(self, seconds: float) -> None:
        """So long from now; while a caller does not read its answers, nothing else counts."""
        if not self._is_paused:
            self.deadline = self.front.now + seconds

    def on_url(self, target: bytes) -> None:
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._head_bytes += len(name) + len(value)
        if not self._is_in_head:  # a trailer, behind a body in chunks: counted, not believed
            self._check_head()
            return
        held = self._headers.get(name)
        self._headers[name] = value if held is None else held + b", " + value

    def on_headers_complete(self) -> None:
        limits, headers = self.front.limits, self._headers
        self._is_in_head = False
        self._give(limits.request_seconds - (self.front.now - self._began))
        self._check_head()
        try:
            self._check_host()
        except Problem as problem:
            self._refusal = self._refusal or problem
        if int(headers.get(b"content-length", b"0")) > limits.body_bytes:
            self._refusal = self._refusal or self._too_long_a_body()
        if not self._refusal and headers.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _check_head(self) -> None:
        limits = self.front.limits
        if len(self._target) > limits.target_bytes:
            long = Problem(414, "uri-too-long", f"A target has {limits.target_bytes} bytes at most.")
            self._refusal = self._refusal or long
        if self._head_bytes > limits.head_bytes or len(self._headers) > limits.headers:
            self._refusal = self._refusal or self._too_long_a_head()

    def _check_host(self) -> None:
        host = self._headers.get(b"host")
        if self._target[:1] not in {b"/", b"*"}:  # "GET http://host/path": what a proxy is asked
            host = self._to_path() or host
        if host is None:
            if self._parser.get_http_version() == "1.1":
                raise Problem(400, "bad-request", "An HTTP/1.1 request has a Host header.")
        elif host != self._good_host:
            self.front.service.check_host(host)
            self._good_host = host

    def _to_path(self) -> bytes | None:
        """Turn an absolute target into its path; the host it names."""
        try:
            url = httptools.parse_url(self._target)
        except httptools.HttpParserInvalidURLError:
            raise Problem(400, "malformed-request", "The target is no path and no URL.") from None
        self._target = (url.path or b"/") + (b"?" + url.query if url.query else b"")
        return cast("bytes | None", url.host)

    def on_body(self, part: bytes) -> None:
        self._body += part
        if len(self._body) > self.front.limits.body_bytes:
            self._body = b""
            self._refusal = self._refusal or self._too_long_a_body()

    def on_message_complete(self) -> None:
        self._has_begun = False
        if self._refusal or self._is_closing:
            return
        whole = (self._parser.get_method(), self._target, self._headers, self._body, self._last_lines())
        self._give(self.front.limits.idle_seconds)
        self._n_at_once += 1
        if self._is_paused or self._waiting or self._n_at_once > AT_ONCE:
            self._waiting.append(whole)
        else:
            self._answer(*whole)

    def _last_lines(self) -> bytes:
        if self.front.service.is_draining or not self._parser.should_keep_alive():
            return _CLOSE
        return _STAY if self._parser.get_http_version() == "1.1" else _STAY_1_0

    # Answering.

    def _answer(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], body: bytes, last: bytes
    ) -> None:
        started = time.perf_counter()
        route, answer = self.front.service.answer(method, target, headers, body)
        name = self._write(answer, headers, last, with_body=method != b"HEAD")
        seconds = time.perf_counter() - started
        label = _LABELS.get(method, "other")
        self.front.service.metrics.answered(route, label, answer.status, seconds)
        if self.front.logs_requests:
            self._log(
                "answered",
                name,
                headers,
                route=route,
                method=method.decode("latin-1"),
                target=target.decode("latin-1"),
                status=answer.status,
                bytes=0 if method == b"HEAD" else len(answer.body),
                ms=round(seconds * 1e3, 3),
            )

    def _write(
        self, answer: Answer, headers: dict[bytes, bytes], last: bytes, *, with_body: bool = True
    ) -> bytes:
        """Send the answer; the name of the request, its caller's or ours."""
        status, head, body = answer
        given = headers.get(b"x-request-id")
        name = given if given and _REQUEST_ID.fullmatch(given) else self.front.request_id()
        length = b"" if status == HTTPStatus.NOT_MODIFIED else b"content-length: %d\r\n" % len(body)
        shown = body if with_body else b""
        self._transport.write(
            b"".join(
                (_STATUS_LINES[status], self.front.date, head, length, b"x-request-id: ", name, last, shown)
            )
        )
        self._n_answered += 1
        if last is _CLOSE:
            self.close()
        return name

    def _log(self, event: str, name: bytes, headers: dict[bytes, bytes], **fields: str | float) -> None:
        """A line with the name that the caller was told, and the trace that it belongs to."""
        trace = _TRACE.fullmatch(headers.get(b"traceparent", b""))
        more = {"trace_id": trace[1].decode(), "parent_id": trace[2].decode()} if trace else {}
        self.front.service.log.gather(event, **fields, request_id=name.decode("ascii"), **more)

    # Ending.

    @property
    def is_idle(self) -> bool:
        return not (self._has_begun or self._waiting or self._is_paused)

    def _too_long_a_head(self) -> Problem:
        limits = self.front.limits
        most = f"{limits.head_bytes} bytes and {limits.headers} names"
        return Problem(431, "headers-too-large", f"Headers have {most} at most.")

    def _too_long_a_body(self) -> Problem:
        return Problem(413, "content-too-large", f"A body has {self.front.limits.body_bytes} bytes at most.")

    def _refuse(self, problem: Problem) -> None:
        """Say what is wrong, and end; what still comes is read and forgotten for a moment."""
        instance = self._target.partition(b"?")[0].decode("latin-1")
        self._refusal = problem
        name = self._write(problem_answer(problem, instance), self._headers, _CLOSE)
        self.front.service.metrics.answered("none", "other", problem.status, 0.0)
        if self.front.logs_requests:
            self._log(
                "refused",
                name,
                self._headers,
                target=self._target.decode("latin-1"),
                status=problem.status,
                problem=problem.slug,
            )

    def close(self) -> None:
        """Let what was written arrive, and hear the caller out: a reset would destroy the answer."""
        limits = self.front.limits
        self._is_closing = True
        self.deadline = self.front.now + (limits.write_seconds if self._is_paused else limits.linger_seconds)
        if not self._transport.is_closing():
            self._transport.write_eof()

    def end(self) -> None:
        """Close once what was written is on its way; for a caller that has nothing more to say."""
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def out_of_time(self) -> None:
        """The deadline passed."""
        count = self.front.service.metrics.count
        if self._is_closing:
            self.abort()
        elif self._is_paused:
            count("slow_reader")
            self.abort()
        elif self._waiting:  # it waits for us
            self._give(self.front.limits.head_seconds)
        elif self._has_begun:
            count("slow_request")
            self._refuse(Problem(408, "request-timeout", "The request did not arrive in time."))
        else:
            count("idle" if self._n_answered else "silent")
            self.end()
