"""LightRAG over a text with its own defaults, in a process of its own: it brings other dependencies.

    python benchmarks/lightrag_side.py BASE_URL TEXT_FILE WORK_FOLDER

Embeddings are random vectors made here: only calls of the language model are compared.
Its own OpenAI client is not used, since importing that installs packages at run time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from lightrag import LightRAG
from lightrag.utils import EmbeddingFunc

_DIMENSIONS = 32


async def _embed(texts: list[str]) -> np.ndarray:
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") for text in texts]
    return np.array([np.random.default_rng(seed).standard_normal(_DIMENSIONS) for seed in seeds])


def _model(base_url: str) -> Any:
    def post(messages: list[dict[str, str]]) -> str:
        request = urllib.request.Request(  # noqa: S310 - the loopback server of the benchmark
            f"{base_url}/chat/completions",
            data=json.dumps({"model": "gpt-4o-mini", "messages": messages}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answered:  # noqa: S310
            return str(json.load(answered)["choices"][0]["message"]["content"])

    async def complete(
        prompt: str,
        system_prompt: str | None = None,
        history_messages: list[dict[str, str]] | None = None,
        **_: object,
    ) -> str:
        system = [{"role": "system", "content": system_prompt}] if system_prompt else []
        asked = [*system, *(history_messages or []), {"role": "user", "content": prompt}]
        return await asyncio.to_thread(post, asked)

    return complete


async def main(text: str) -> None:
    base_url, folder = sys.argv[1], sys.argv[3]
    rag = LightRAG(
        working_dir=folder,
        llm_model_func=_model(base_url),
        llm_model_name="gpt-4o-mini",
        embedding_func=EmbeddingFunc(embedding_dim=_DIMENSIONS, max_token_size=8_192, func=_embed),
    )
    await rag.initialize_storages()
    await rag.ainsert(text)
    await rag.finalize_storages()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[2]).read_text(encoding="utf-8")))
