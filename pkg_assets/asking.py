"""Asking ahead: the prompts of all categories in one go, into the ledger that the categories' runs read.

A category has a dozen prompts, too few to keep a provider busy, and its run takes seconds of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.llm import AnswerKey, Ledger, Limits, Progress, ReplayLanguageModel, ask_all, parameters_json
from pkgraph.llm.place import has_ledger, ledger_place
from pkgraph.prompts.shop import prompts_of_kinds, prompts_of_purposes
from resources.language_models import open_judge, open_model

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pkgraph.home import Home
    from pkgraph.model import LanguageModel
    from pkgraph.settings import Settings


def live_models(settings: Settings) -> list[LanguageModel]:
    """The models of the shop that are asked and not replayed.

    Raises:
        InputError: A key is missing.
    """
    models = [open_model(model) for model in settings.models if not model.answers]
    return [model for model in models if not isinstance(model, ReplayLanguageModel)]


def live_judge(settings: Settings) -> list[LanguageModel]:
    """The judge of the shop, where it has one that is asked and not replayed.

    Raises:
        InputError: Its key is missing.
    """
    judge = open_judge(settings.judge) if settings.judge else None
    return [] if judge is None or isinstance(judge, ReplayLanguageModel) else [judge]


def prompts_of(settings: Settings, kinds: pl.DataFrame) -> pl.DataFrame:
    """Table `prompts` of all kinds and purposes of the shop."""
    return pl.concat([prompts_of_kinds(kinds, settings.prompts), prompts_of_purposes(settings.prompts)])


def n_open(home: Home, models: Collection[LanguageModel], prompt_ids: Collection[str]) -> int:
    """How many of these prompts, times models, the ledger has no answer to."""
    keys = {
        AnswerKey(prompt_id, model.name, parameters_json(model.parameters))
        for model in models
        for prompt_id in prompt_ids
    }
    if not has_ledger(home):
        return len(keys)
    with Ledger.open(ledger_place(home)) as ledger:
        return len(keys) - len(ledger.latest(keys))


def ask_ahead(
    home: Home,
    prompts: pl.DataFrame,
    models: Collection[LanguageModel],
    *,
    limits: Limits,
    on_progress: Callable[[Progress], None],
) -> None:
    """Have live models answer these prompts, as far as the ledger has no answer.

    Args:
        home: The home of the shop.
        prompts: Table `prompts`.
        models: Live ones.
        limits: What may be spent, and in whose name.
        on_progress: Called after each request.

    Raises:
        BudgetExceeded, ProviderError, LedgerError, InputError: As `pkgraph.llm.ask_all`.
    """
    with Ledger.open(ledger_place(home)) as ledger:
        ask_all(
            prompts,
            list(models),
            ledger,
            now=lambda: datetime.now(UTC),
            limits=limits,
            on_progress=on_progress,
        )


def spoken(progress: Progress) -> str:
    """How far it is: "812 answered, 3 failed, 120 cached, 1,204,332 tokens, 0.84 USD, 4.16 left"."""
    parts = [f"{progress.n_answered:,} answered"]
    if progress.n_unanswered:
        parts.append(f"{progress.n_unanswered:,} empty")
    parts += [f"{progress.n_failed:,} failed", f"{progress.n_reused:,} cached"]
    parts.append(f"{progress.input_tokens + progress.output_tokens:,} tokens")
    parts.append(f"{progress.cost_usd:.2f} USD")
    if progress.left_usd is not None:
        parts.append(f"{progress.left_usd:.2f} left")
    if (waiting := progress.waiting) is not None:
        since = timedelta(seconds=round(waiting.seconds))
        batches = "a batch is" if waiting.n_batches == 1 else f"{waiting.n_batches} batches are"
        parts.append(f"{batches} out for {since}, {waiting.n_done:,} done")
    return ", ".join(parts)
