"""Callers that are slow, endless or malformed cost the server a connection for seconds, and no more."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from pkgraph.serving import Limits
from tests.figures import Figure
from tests.published import publish_shop
from tests.serving.server import Server, running

GET = b"GET /v1/items/f1/recommendations HTTP/1.1\r\nhost: shop\r\n"
POST = b"POST /v1/recommendations HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
SHORT = Limits(head_seconds=0.5, request_seconds=1.0, idle_seconds=1.0, write_seconds=1.0, linger_seconds=0.5)
"""What a caller has as a rule, ten times shorter: the very same code, in a test's time."""

SLOW = {
    "silent": (b"", b""),
    "partial header": (GET + b"x-half: 1", b""),
    "header drip": (GET, b"x-drip: 1\r\n"),
    "endless header": (GET + b"x-long: ", b"x"),
    "body drip": (POST + b"content-length: 1000\r\n\r\n{", b" "),
    "chunk drip": (POST + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "silent after an answer": (GET + b"\r\n", b""),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    publish_shop(root)
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    with running(root, limits=SHORT) as server:
        yield server


def seconds_until_closed(server: Server, start: bytes, drip: bytes, *, most: float) -> float:
    """How long a caller that goes on like this is borne."""
    with server.connect() as connection:
        began = time.monotonic()
        connection.sendall(start)
        connection.settimeout(0.1)
        while time.monotonic() - began < most:
            with contextlib.suppress(TimeoutError):
                try:
                    if drip:
                        connection.sendall(drip)
                    if not connection.recv(65536):
                        return time.monotonic() - began
                except ConnectionError:
                    return time.monotonic() - began
    return float("inf")


def said(server: Server, text: bytes) -> bytes:
    """Everything the server says to this, until it closes."""
    with server.connect() as connection:
        connection.sendall(text)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        parts = []
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)


@pytest.mark.parametrize("kind", sorted(SLOW))
def test_a_slow_caller_is_cut_off(kind: str, server: Server) -> None:
    assert seconds_until_closed(server, *SLOW[kind], most=15) < 15


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(SLOW))
def test_with_the_limits_as_shipped_a_slow_caller_is_cut_off_within_ten_seconds(
    kind: str, root: Path, figure: Figure
) -> None:
    """But for a good caller's connection, which is kept 75 s: its wait is made shorter here."""
    limits = Limits(idle_seconds=9) if kind == "silent after an answer" else Limits()
    with running(root, limits=limits) as server:
        took = seconds_until_closed(server, *SLOW[kind], most=20)
    figure(f"{kind}: cut off after {took:.1f} s")
    assert took < 10


OTHER_SERVER = """
import sys, uvicorn
async def app(scope, receive, send):
    while (await receive()).get("more_body"): pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})
uvicorn.run(app, fd=int(sys.argv[1]), log_level="error", lifespan="off")
"""


@pytest.mark.slow
def test_another_server_bears_them_for_as_long_as_they_like(figure: Figure) -> None:
    """The control: that they are cut off is our doing, and the callers would go on."""
    kinds = [kind for kind in sorted(SLOW) if kind not in {"silent after an answer", "endless header"}]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER_SERVER, str(listening.fileno())], pass_fds=[listening.fileno()]
        )
        other = Server(cast("Any", process), listening.getsockname()[1])
        assert other.get("/").status_code == 200
        with ThreadPoolExecutor() as callers:
            took = list(callers.map(lambda kind: seconds_until_closed(other, *SLOW[kind], most=15), kinds))
        other.client.close()
        process.kill()
        process.wait()
    figure(
        f"control, uvicorn bears {took.count(float('inf'))} of {len(kinds)} kinds of slow callers over 15 s"
    )
    assert took == [float("inf")] * len(kinds)


def test_a_caller_that_does_not_read_is_cut_off_and_holds_little(server: Server) -> None:
    cut = 'pkgraph_http_connections_cut_total{reason="slow_reader"}'
    before = server.metric(cut)
    with server.connect() as connection:
        with contextlib.suppress(ConnectionError):
            while True:  # until the server, which has stopped reading, has had enough
                connection.sendall((GET + b"\r\n") * 100)
        server.until("/livez", lambda _: server.metric(cut) > before)
    assert resident_mb(server) < 200


def resident_mb(server: Server) -> float:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def test_good_callers_are_answered_beside_500_slow_ones(root: Path) -> None:
    limits = Limits(head_seconds=20, request_seconds=25, connections=600)
    with running(root, limits=limits) as server, contextlib.ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(server.connect()).sendall(GET + b"x-half: 1")
        server.until("/metrics", lambda _: server.metric("pkgraph_http_connections") > 500)
        answers = [server.get("/v1/items/f1/recommendations").status_code for _ in range(200)]
    assert answers == [200] * 200


def test_more_callers_than_allowed_are_told_to_come_back(root: Path) -> None:
    with running(root, limits=Limits(connections=5)) as server, contextlib.ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(5)]
        refused = said(server, GET + b"\r\n")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in refused
        held.pop().close()
        server.until("/livez", lambda answer: answer.status_code == 200)


def grown_by_a_body(server: Server, head: bytes, n_bytes: int) -> tuple[float, bytes]:
    """Megabytes that a server grew by while it was sent a body of spaces, and what it said."""
    before, said = resident_mb(server), b""
    with server.connect() as connection:
        connection.sendall(POST + head)
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with contextlib.suppress(ConnectionError):
            for _ in range(n_bytes // len(chunk)):
                connection.sendall(chunk)
            server.get("/livez")  # what was sent before it has been read
        grown = resident_mb(server) - before
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.settimeout(1)
            said = connection.recv(65536)
    return grown, said


@pytest.mark.parametrize("head", [b"content-length: 300000000\r\n\r\n", CHUNKED], ids=["length", "chunks"])
def test_an_endless_body_is_refused_before_it_is_held(head: bytes, server: Server, figure: Figure) -> None:
    grown, said = grown_by_a_body(server, head, 300_000_000)
    figure(f"a body of 300 MB: {grown:.1f} MB more resident")
    assert said.startswith(b"HTTP/1.1 413 ") or not said
    assert grown < 10


def test_a_body_that_is_held_is_seen(root: Path, figure: Figure) -> None:
    """The control: a limit of a gigabyte, and the memory shows what was sent."""
    with running(root, limits=Limits(body_bytes=1 << 30)) as lavish:
        grown, _ = grown_by_a_body(lavish, CHUNKED, 15_000_000)
    figure(f"control, a body of 15 MB under a limit of 1 GB: {grown:.1f} MB more resident")
    assert grown > 10


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (GET + b"x-long: " + b"x" * 200_000 + b"\r\n\r\n", 431),
        (GET + b"x-long: " + b"x" * 17_000 + b"\r\n\r\n", 431),
        (GET + b"".join(b"x-%d: 1\r\n" % i for i in range(200)) + b"\r\n", 431),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET @evil.example/ HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET http://a@b/livez HTTP/1.1\r\nhost: a\r\n\r\n", 200),
        (b"GET http://shop/livez HTTP/1.1\r\nhost: other\r\n\r\n", 200),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\nhost: a\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\n", 400),
        (POST + b"content-length: -1\r\n\r\n", 400),
        (POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (GET + b"bad header: 1\r\n\r\n", 400),
        (GET + b"x: a\x00b\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", 200),
        (b"CONNECT shop:80 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET /v1/items/../../../etc/passwd/recommendations HTTP/1.1\r\nhost: a\r\n\r\n", 404),
        (b"GET /v1/items/%2e%2e%2f%2e%2e%2fetc%2fpasswd/recommendations HTTP/1.1\r\nhost: a\r\n\r\n", 404),
        (b"GET /v1/items/%00/recommendations HTTP/1.1\r\nhost: a\r\n\r\n", 404),
        (b"GET /v1/items/" + b"x" * 7_000 + b"/recommendations HTTP/1.1\r\nhost: a\r\n\r\n", 404),
        (b"GET /v1/items/\xff/recommendations HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET //evil.example/%2e%2e HTTP/1.1\r\nhost: a\r\n\r\n", 404),
        (b"GET /livez?x=1#f HTTP/1.1\r\nhost: a\r\n\r\n", 200),
    ],
)
def test_what_is_wrong_with_a_request_is_said_and_nothing_else_happens(
    text: bytes, status: int, server: Server
) -> None:
    answer = said(server, text)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"root:" not in answer
    assert server.get("/livez").status_code == 200


def test_requests_in_one_packet_are_answered_in_their_order(server: Server) -> None:
    targets = [b"/livez", b"/v1/items/zzz/recommendations", b"/readyz"] * 50
    text = b"".join(b"GET %s HTTP/1.1\r\nhost: a\r\n\r\n" % target for target in targets)
    heads = [part[:3] for part in said(server, text).split(b"HTTP/1.1 ")[1:]]
    assert heads == [b"200", b"404", b"200"] * 50


def test_nothing_is_answered_behind_a_request_that_closes(server: Server) -> None:
    text = b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" + GET + b"\r\n"
    assert said(server, text).count(b"HTTP/1.1 ") == 1


def test_an_old_caller_is_served_and_closed_unless_it_wants_to_stay(server: Server) -> None:
    assert b"connection: close" in said(server, b"GET /livez HTTP/1.0\r\n\r\n")
    stays = said(server, b"GET /livez HTTP/1.0\r\nconnection: keep-alive\r\n\r\n" * 2)
    assert stays.count(b"connection: keep-alive") == 2


def test_who_asks_before_sending_a_body_is_told_to_go_on(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(POST + b"content-length: 15\r\nexpect: 100-continue\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b'{"skus":["f1"]}')
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_told_to_stop_under_load_it_fails_nobody(root: Path, figure: Figure) -> None:
    """Callers on kept connections and on new ones; every request that was taken in gets its answer."""
    failed: list[str] = []
    answered, url = [0, 0], ""

    def ask(number: int, *, keeps: bool) -> None:
        with httpx.Client(trust_env=False) as client:
            while True:
                try:
                    headers = {} if keeps else {"connection": "close"}
                    answer = client.get(url, headers=headers)
                    answered[number % 2] += 1
                    if answer.status_code != 200:
                        failed.append(str(answer.status_code))
                    if answer.headers.get("connection") == "close" and keeps:
                        return
                except httpx.ConnectError:
                    return  # refused: nothing was sent
                except httpx.TransportError as error:
                    failed.append(repr(error))
                    return

    with running(root, workers=2) as told:
        url = told.url + "/v1/items/f1/recommendations"
        callers = [threading.Thread(target=ask, args=(i,), kwargs={"keeps": i % 2 == 0}) for i in range(8)]
        for caller in callers:
            caller.start()
        while min(answered) < 20:
            time.sleep(0.01)
        began = time.monotonic()
        code = told.stop()
        took = time.monotonic() - began
        for caller in callers:
            caller.join(20)
    figure(f"stopped in {took:.1f} s after {sum(answered)} answers, {len(failed)} failed")
    assert (failed, code) == ([], 0)
    assert took < 10
