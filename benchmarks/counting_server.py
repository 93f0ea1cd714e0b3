"""A local OpenAI-compatible server that counts: what every tool of a comparison sends, by one tokenizer.

Prompts for relations get recorded answers of the demo in turn, so answers have a real model's length.
LightRAG's prompts for extraction get one row an entity and one a relation for the lines of their text, up to
the limits that the prompt itself names: what a model that obeys would say.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle

Message = dict[str, str]


@dataclass
class Counts:
    """What came in and went out, tokens by the tokenizer of gpt-4o."""

    count: Callable[[str], int]
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    by_task: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, task: str, messages: list[Message], answer: str) -> tuple[int, int]:
        n_in, n_out = sum(self.count(m["content"]) for m in messages), self.count(answer)
        with self.lock:
            self.calls += 1
            self.input_tokens += n_in
            self.output_tokens += n_out
            self.by_task[task] += 1
        return n_in, n_out


def lightrag_rows(text: str) -> str:
    """One entity row a line of the text and one relation row to its category, within the prompt's limits."""
    limits = re.search(r"at most (\d+) total rows .*? at most (\d+) entity rows", text)
    most_rows, most_entities = (int(n) for n in limits.groups()) if limits else (100, 40)
    lines = text.split("```")[1].strip().splitlines() if "```" in text else []
    pairs = [line.split(" | ") for line in dict.fromkeys(lines) if " | " in line]
    shelves = list(dict.fromkeys(pair[1] for pair in pairs))
    pairs = pairs[: max(0, min(most_entities - len(shelves), most_rows // 2))]
    rows = [f"entity<|#|>{s.title()}<|#|>Concept<|#|>{s.title()} is a category of the shop." for s in shelves]
    for title, shelf, *_ in pairs:
        name, kept = title.title(), shelf.title()
        rows.append(f"entity<|#|>{name}<|#|>Artifact<|#|>{name} is a product sold in the category {kept}.")
    for title, shelf, *_ in pairs:
        said = f"{title.title()} belongs to the category {shelf.title()}."
        rows.append(f"relation<|#|>{title.title()}<|#|>{shelf.title()}<|#|>category membership<|#|>{said}")
    return "\n".join([*rows[:most_rows], "<|COMPLETE|>"])


class Answers:
    """Who is answered what."""

    def __init__(self, recorded: list[str]) -> None:
        self._recorded = cycle(recorded)
        self._lock = threading.Lock()

    def to(self, messages: list[Message]) -> tuple[str, str]:
        """The task, and the answer."""
        last = messages[-1]["content"]
        if "Extract entities and relationships" in last:
            return "extract", lightrag_rows(last)
        if "Based on the last extraction task" in last:
            return "look again", "<|COMPLETE|>"
        if "Description List" in last:
            name = re.search(r"Name: (.*)", last)
            return (
                "summarize",
                f"{name.group(1) if name else 'It'} is a category of the shop with many products.",
            )
        with self._lock:
            return "relations", next(self._recorded)


@contextmanager
def counting_server(recorded: list[str], counts: Counts) -> Iterator[str]:
    """The base URL of the server, on a free port of the loopback interface."""
    answers = Answers(recorded)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            task, text = answers.to(body["messages"])
            n_in, n_out = counts.note(task, body["messages"], text)
            message = {"role": "assistant", "content": text}
            payload = json.dumps(
                {
                    "id": "1",
                    "object": "chat.completion",
                    "created": 0,
                    "model": body["model"],
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {
                        "prompt_tokens": n_in,
                        "completion_tokens": n_out,
                        "total_tokens": n_in + n_out,
                    },
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """One line a request would drown the figures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
