"""What a build would cost: what `pkgraph estimate` runs. Nothing is sent, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from pkg_assets.build import Choice, chosen_settings, is_wanted
from pkgraph.catalog import kinds_of, read_catalog
from pkgraph.freshness.estimate import estimate, judge_prompts_to_price, prompts_to_price
from pkgraph.home import Home
from pkgraph.llm import Ledger, ReplayLanguageModel
from pkgraph.llm.prices import Prices
from pkgraph.prompts.shop import prompts_of_kinds, prompts_of_purposes
from pkgraph.settings import ModelSettings
from pkgraph.stored import read_table
from pkgraph.tables import PRODUCTS, RELATIONS, UNREADABLE_RESPONSES
from resources.language_models import open_model
from resources.prices import count_tokens, prices_of
from resources.table_store import TableStore

__all__ = ["Choice", "Estimate", "estimate_build"]


@dataclass(frozen=True)
class _Model:
    """A `pkgraph.freshness.estimate.Estimated` from a model's settings; it needs no key."""

    settings: ModelSettings

    @property
    def name(self) -> str:
        return self.settings.name

    @cached_property
    def parameters(self) -> Mapping[str, object]:
        # The key is never used: it only spares a shop that has none yet.
        return open_model(self.settings, api_key="none").parameters

    @property
    def max_tokens(self) -> int:
        return self.settings.max_tokens

    @property
    def attempts(self) -> int:
        return self.settings.attempts

    @cached_property
    def prices(self) -> Prices | None:
        return prices_of(self.settings)

    @cached_property
    def recorded(self) -> frozenset[str] | None:
        if self.settings.answers is None:
            return None
        return frozenset(ReplayLanguageModel(self.name, self.settings.answers).prompt_ids)

    def count_tokens(self, messages: Sequence[Mapping[str, str]]) -> int:
        return count_tokens(self.name, messages)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a build would cost.

    Attributes:
        rows: As `pkgraph.freshness.estimate.SCHEMA` has it.
        n_skus, n_kinds: What the categories hold that were asked for.
    """

    rows: pl.DataFrame
    n_skus: int
    n_kinds: int


def estimate_build(home: Home, choice: Choice, project: Path, categories: tuple[str, ...] = ()) -> Estimate:
    """What distilling these categories (none named: all) would cost.

    Raises:
        InputError: The settings, the catalog or a category's name are wrong.
    """
    settings = chosen_settings(home, choice, project)
    former = TableStore(home=str(home.root)).read(PRODUCTS.name)
    kinds = kinds_of(read_catalog(settings.catalog, former=former).products)
    prompts = prompts_to_price(
        kinds, prompts_of_kinds(kinds, settings.prompts), prompts_of_purposes(settings.prompts)
    )
    if categories:
        prompts = prompts.filter(is_wanted(prompts, categories))
    place = settings.ledger.url or home.ledger
    is_there = settings.ledger.url is not None or home.ledger.exists()
    models = [_Model(model) for model in settings.models]
    with Ledger.open(place) if is_there else nullcontext() as ledger:
        rows = estimate(prompts, models, ledger)
        if settings.judge is not None:
            judged = _judged(home, prompts, models)
            rows = pl.concat([rows, estimate(judged, [_Model(settings.judge)], ledger)])
    asked = kinds.filter(pl.col("category_key").is_in(prompts["category_key"].implode()))
    return Estimate(rows, int(asked["n_skus"].sum()), asked.height)


def _judged(home: Home, prompts: pl.DataFrame, models: Sequence[_Model]) -> pl.DataFrame:
    relations, unreadable = (read_table(home, table) for table in (RELATIONS, UNREADABLE_RESPONSES))
    read = pl.concat([frame.select("prompt_id", "model") for frame in (relations, unreadable)])
    return judge_prompts_to_price(prompts, relations, read, {one.name: one.recorded for one in models})
