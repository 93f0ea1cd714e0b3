"""How much of a provider's capacity a run uses: prompts a second through the whole door, ledger and all.

A server of this machine answers every request after half a second, 64 at once, and lets others wait. The
ideal is what it can do: n / 64 * 0.5 s. The real litellm client asks it, each request leased and each answer
committed with synchronous=FULL before it counts; once with 64 in flight, and once with 96, so that the server
never waits for the client's own work, some 7 ms of CPU a prompt.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from pkgraph.llm import Ledger, ask_all
from pkgraph.model import Message, prompt_id
from pkgraph.prompts.rendering import messages_json
from pkgraph.settings import ModelSettings
from pkgraph.tables import PROMPTS
from resources.litellm_model import LiteLLMModel

LATENCY_S, AT_ONCE, N_PROMPTS = 0.5, 64, 4096
# As long as a recorded answer of the demo is on average.
TEXT = json.dumps({"relations": [{"relation": "complement", "product": "x" * 160}] * 8})


class Server:
    """Answers any request after the latency, as many at once as it may."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 400, "completion_tokens": 400, "total_tokens": 800}
        answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "usage": usage}
        body = json.dumps({**answer, "choices": [choice]}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._payload = head.encode() + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length))
                async with self._free:
                    await asyncio.sleep(LATENCY_S)
                writer.write(self._payload)
        except asyncio.IncompleteReadError:
            writer.close()


def run_server(port: multiprocessing.Queue[int]) -> None:
    async def main() -> None:
        server = await asyncio.start_server(Server().serve, "127.0.0.1", 0, backlog=256)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def prompts(n: int) -> pl.DataFrame:
    rows = []
    for number in range(n):
        asked = f"Product {number}. " + "word " * 300
        messages = (Message("system", "You know how people shop."), Message("user", asked))
        row = {"prompt_id": prompt_id(messages), "template": "t", "messages": messages_json(messages)}
        rows.append({**row, "input_tokens": 400})
    return PROMPTS.conform(pl.DataFrame(rows, schema=PROMPTS.schema))


def ask(url: str, path: Path, n: int, in_flight: int = AT_ONCE) -> tuple[float, float]:
    """Wall and CPU seconds of `n` prompts."""
    fields = {"name": "openai/m", "api_base": url, "max_concurrency": in_flight}
    prices = {"input_usd_per_million": 1, "output_usd_per_million": 1}
    model = LiteLLMModel(ModelSettings.model_validate({**fields, **prices}), api_key="none")
    table = prompts(n)
    with Ledger.open(path) as ledger:
        wall, cpu = time.perf_counter(), time.process_time()
        answered = ask_all(table, [model], ledger, now=lambda: datetime.now(UTC))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        assert answered["status"].to_list() == ["answered"] * n
        assert ledger.totals().n_answers == n
    return wall, cpu


def report(n: int, in_flight: int, wall_s: float, cpu_s: float) -> None:
    ideal_s = n / AT_ONCE * LATENCY_S
    print(f"{n} prompts, {in_flight} in flight: {wall_s:.2f} s, ideal {ideal_s:.2f} s")
    print(f"  {ideal_s / wall_s:.1%} of the ideal throughput, {n / wall_s:.1f} prompts a second")
    print(f"  {1000 * cpu_s / n:.2f} ms CPU a prompt")


def main(n: int = N_PROMPTS) -> None:
    context = multiprocessing.get_context("spawn")
    port: multiprocessing.Queue[int] = context.Queue()
    server = context.Process(target=run_server, args=(port,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port.get()}/v1"
    with tempfile.TemporaryDirectory() as folder:
        ask(url, Path(folder) / "warm", 1)
        for in_flight in (64, 96):
            report(n, in_flight, *ask(url, Path(folder) / f"ledger{in_flight}", n, in_flight))
    server.kill()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
