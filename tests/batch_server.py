"""A real HTTP server that speaks the OpenAI files and batches protocol, and logs what it would bill.

with BatchServer() as server:
    ... send a batch to server.url ...
    assert server.billed == {"custom id": 1}
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.loopback import LoopbackServer, Quiet, completion

Row = dict[str, Any]
Hook = Callable[[str], None]


def answered(row: Row) -> Row:
    """100 tokens in and 20 out."""
    body = completion(row["body"]["model"], '{"relations": []}', (100, 20))
    return {"status_code": 200, "request_id": "r", "body": body}


def refused(_: Row) -> Row:
    return {"status_code": 500, "request_id": "r", "body": {"error": {"message": "sk-live-0123456789 broke"}}}


@dataclass
class BatchServer:
    """The server, on a free port of the loopback interface, from `with` to its end.

    Attributes:
        answer: What becomes of a request: the `response` of its line, or None for one that is not done.
        end: The status that a batch ends in.
        n_looks: Looks at a batch that find it still in progress.
        n_refused: So many of the first uploads get a 500.
        hook: Called with "file", "created" (nothing replied yet), "replied", "looked", "downloaded".
        billed: How often each request was done, by custom id.
        batches: Every batch that was accepted, in order.
    """

    answer: Callable[[Row], Row | None] = answered
    end: str = "completed"
    n_looks: int = 1
    n_refused: int = 0
    hook: Hook = lambda _: None
    billed: Counter[str] = field(default_factory=Counter)
    batches: dict[str, Row] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._server.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.end()

    @property
    def url(self) -> str:
        return self._server.base_url

    def rows(self, batch: Row) -> list[Row]:
        lines = self.files[batch["input_file_id"]].decode().splitlines()
        return [json.loads(line) for line in lines]

    def create(self, asked: Row) -> Row:
        batch = {
            **asked,
            "id": f"batch_{len(self.batches)}",
            "object": "batch",
            "created_at": int(time.time()),
            "status": "in_progress",
            "n_looks": 0,
        }
        self.batches[batch["id"]] = batch
        return batch

    def look(self, batch: Row) -> Row:
        batch["n_looks"] += 1
        n = len(self.rows(batch))
        batch["request_counts"] = {"total": n, "completed": min(batch["n_looks"], n), "failed": 0}
        if batch["status"] == "in_progress" and batch["n_looks"] > self.n_looks:
            self._finish(batch)
        return batch

    def _finish(self, batch: Row) -> None:
        batch["status"] = self.end
        if self.end == "failed":
            batch["errors"] = {"object": "list", "data": [{"code": "bad", "message": "line 1 is no JSON"}]}
            return
        out, bad = [], []
        for row in self.rows(batch):
            response = self.answer(row)
            if response is None:
                continue
            line = json.dumps({"id": "x", "custom_id": row["custom_id"], "response": response, "error": None})
            if response["status_code"] == 200:
                self.billed[row["custom_id"]] += 1
                out.append(line)
            else:
                bad.append(line)
        for name, lines in (("output_file_id", out), ("error_file_id", bad)):
            if lines:
                batch[name] = f"file_{len(self.files)}"
                self.files[batch[name]] = "\n".join(lines).encode()


class _Server(LoopbackServer):
    def __init__(self, owner: BatchServer) -> None:
        self.owner = owner
        super().__init__(_Handler)


class _Handler(Quiet, BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        owner, body = self.server.owner, self.rfile.read(int(self.headers["Content-Length"]))
        owner.asked.append(f"POST {self.path}")
        if owner.n_refused:
            owner.n_refused -= 1
            self._reply({"error": {"message": "overloaded"}}, 500)
        elif self.path == "/v1/files":
            with owner.lock:
                file_id = f"file_{len(owner.files)}"
                owner.files[file_id] = self._file_of(body)
            owner.hook("file")
            self._reply(_file(file_id))
        else:
            with owner.lock:
                batch = owner.create(json.loads(body))
            owner.hook("created")
            self._reply(batch)
            owner.hook("replied")

    def _file_of(self, body: bytes) -> bytes:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        for part in message_from_bytes(head + body).walk():
            if 'name="file"' in str(part.get("Content-Disposition")):
                payload = part.get_payload(decode=True)
                assert isinstance(payload, bytes)
                return payload
        raise AssertionError("no file was sent")

    def do_GET(self) -> None:
        owner, url = self.server.owner, urlsplit(self.path)
        owner.asked.append(f"GET {url.path}")
        with owner.lock:
            if found := re.fullmatch(r"/v1/files/(\w+)/content", url.path):
                self._send(owner.files[found[1]], 200)
                event = "downloaded"
            elif url.path == "/v1/batches":
                self._reply(self._page(parse_qs(url.query)))
                event = "listed"
            else:
                batch = owner.batches.get(url.path.rpartition("/")[2])
                if batch is None:
                    self._reply({"error": {"message": "no such batch"}}, 404)
                    return
                self._reply(owner.look(batch))
                event = "looked"
        owner.hook(event)

    def _page(self, query: dict[str, list[str]]) -> Row:
        newest = list(reversed(self.server.owner.batches.values()))
        after = query.get("after", [""])[0]
        start = next((n + 1 for n, batch in enumerate(newest) if batch["id"] == after), 0)
        size = int(query.get("limit", ["20"])[0])
        page = newest[start : start + size]
        return {"object": "list", "data": page, "has_more": start + size < len(newest)}

    def _reply(self, body: Row, status: int = 200) -> None:
        self._send(json.dumps(body).encode(), status)

    def _send(self, payload: bytes, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def _file(file_id: str) -> Row:
    return {
        "id": file_id,
        "object": "file",
        "bytes": 1,
        "created_at": 0,
        "filename": "x",
        "purpose": "batch",
        "status": "processed",
    }
