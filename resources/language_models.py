"""The door to language models: recorded answers are replayed, everything else goes through litellm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from pkgraph.home import Home

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    def open_judge(self) -> LanguageModel | ReplayLanguageModel | None:
        """The model that judges what the others say; None where the shop has none."""
        from pkgraph.settings import read_settings

        judge = read_settings(Home(Path(self.home)).settings).judge
        return None if judge is None else open_judge(judge)


def open_model(
    settings: ModelSettings, *, api_key: str | None = None, schema: Mapping[str, object] | None = None
) -> LanguageModel | ReplayLanguageModel:
    """One language model.

    Args:
        settings: Of the model.
        api_key: In place of the one in the environment.
        schema: Form of its answers, for providers that hold it to one; None: that of statements.

    Raises:
        InputError: Its answers or its key are missing. Nothing was asked.
    """
    if settings.answers is not None:
        from pkgraph.llm import ReplayLanguageModel

        return ReplayLanguageModel(settings.name, Path(settings.answers))
    from pkgraph.relations.schema import ANSWER_SCHEMA, PACK_SCHEMA

    model = _live(settings, api_key, schema or ANSWER_SCHEMA)
    if settings.kinds_per_prompt == 1:
        return model
    from pkgraph.llm.packing import PackingModel

    size = settings.kinds_per_prompt
    longer = settings.model_copy(update={"max_tokens": settings.max_tokens * size})
    return PackingModel(model, _live(longer, api_key, PACK_SCHEMA), size)


def open_judge(settings: ModelSettings, *, api_key: str | None = None) -> LanguageModel | ReplayLanguageModel:
    """The same of a model that judges statements.

    Raises:
        InputError: Its answers or its key are missing. Nothing was asked.
    """
    from pkgraph.relations.schema import VERDICT_SCHEMA

    return open_model(settings, api_key=api_key, schema=VERDICT_SCHEMA)


def _live(settings: ModelSettings, api_key: str | None, schema: Mapping[str, object]) -> LanguageModel:
    from resources.litellm_batch import LiteLLMBatchModel
    from resources.litellm_model import LiteLLMModel

    if settings.gguf is not None:
        from resources.local_server import LocalModel

        return LocalModel(settings, schema=schema, api_key=api_key)
    opened = LiteLLMBatchModel if settings.transport == "batch" else LiteLLMModel
    return opened(settings, schema=schema, api_key=api_key)
