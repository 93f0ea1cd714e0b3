"""The door to language models: recorded answers are replayed, everything else goes through litellm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from pkgraph.home import Home

if TYPE_CHECKING:
    from pkgraph.llm import ReplayLanguageModel
    from pkgraph.model import LanguageModel
    from pkgraph.settings import ModelSettings


class LanguageModels(dg.ConfigurableResource[None]):
    """The language models of the shop's settings."""

    home: str = Field(description="The home folder of the shop.")
    may_ask: bool = Field(default=True, description="Whether live models may be asked at all.")

    def open(self) -> list[LanguageModel | ReplayLanguageModel]:
        from pkgraph.settings import read_settings

        return [open_model(model) for model in read_settings(Home(Path(self.home)).settings).models]


def open_model(settings: ModelSettings, *, api_key: str | None = None) -> LanguageModel | ReplayLanguageModel:
    """One language model.

    Args:
        settings: Of the model.
        api_key: In place of the one in the environment.

    Raises:
        InputError: Its answers or its key are missing. Nothing was asked.
    """
    if settings.answers is not None:
        from pkgraph.llm import ReplayLanguageModel

        return ReplayLanguageModel(settings.name, Path(settings.answers))
    model = _live(settings, api_key)
    if settings.kinds_per_prompt == 1:
        return model
    from pkgraph.llm.packing import PackingModel

    size = settings.kinds_per_prompt
    longer = settings.model_copy(update={"max_tokens": settings.max_tokens * size})
    return PackingModel(model, _live(longer, api_key, is_packed=True), size)


def _live(settings: ModelSettings, api_key: str | None, *, is_packed: bool = False) -> LanguageModel:
    from pkgraph.relations.schema import ANSWER_SCHEMA, PACK_SCHEMA
    from resources.litellm_batch import LiteLLMBatchModel
    from resources.litellm_model import LiteLLMModel

    schema = PACK_SCHEMA if is_packed else ANSWER_SCHEMA
    if settings.gguf is not None:
        from resources.local_server import LocalModel

        return LocalModel(settings, schema=schema, api_key=api_key)
    opened = LiteLLMBatchModel if settings.transport == "batch" else LiteLLMModel
    return opened(settings, schema=schema, api_key=api_key)
