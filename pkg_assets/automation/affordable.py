"""Which changed categories wait: for money, for a price, or for answers that nobody recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

from pkg_assets.automation.asking import MAX_REQUESTS
from pkg_assets.budget import budget_left, budget_of_a_day, live_models, price_of
from pkg_assets.staleness import prompts_by_category
from pkgraph.freshness.plan import EXPECTED_OUTPUT_TOKENS
from pkgraph.model import PURPOSES
from pkgraph.settings import Settings
from resources.answer_ledger import AnswerLedger

# Rendering prompts takes 30 us a kind: a look prices so many categories, and the others at later looks.
CONSIDERED = 5 * MAX_REQUESTS


@dataclass(frozen=True, slots=True)
class Affordable:
    """What the day's budget says of changed categories.

    Attributes:
        held: Those that are not asked for now, with the reason.
        parted: Those that no whole day pays for, and that are asked for in part.
    """

    held: Mapping[str, str]
    parted: frozenset[str] = frozenset()


def affordable(
    changed: Mapping[str, str],
    kinds: pl.DataFrame,
    settings: Settings,
    answer_ledger: AnswerLedger,
    *,
    under_way: Collection[str],
    now: datetime,
) -> Affordable:
    """Which of the changed categories may be asked for now; those that cost nothing never wait.

    Args:
        changed: Category key to version, most urgent first.
        kinds: Table `kinds`.
        settings: The shop's.
        answer_ledger: Knows what was answered, and what was spent today.
        under_way: Categories at work; what they may still cost is set aside first.
        now: The time.
    """
    if not live_models(settings):
        answered = _answered(_Replay(changed, kinds, settings))
        return Affordable({k: "nobody recorded answers for it" for k in changed if k not in answered})
    first = [key for key in changed if key in under_way]
    others = (key for key in changed if key not in under_way)
    considered = [*first, *islice(others, CONSIDERED)]
    costs, left = _open_costs(considered, kinds, settings, answer_ledger, now)
    day_usd, held, too_dear = budget_of_a_day(settings), dict[str, str](), list[str]()
    for key in considered:
        usd = costs[key].usd if key in costs else 0.0
        if usd is None:
            held[key] = "the price of its prompts is not known"
        elif usd <= max(left, 0):
            left -= usd
        elif usd > day_usd > 0:
            too_dear.append(key)
        else:
            held[key] = "what is left of today's budget is too little"
    # What the others leave; it would wait for good for a day that pays for all of it.
    parted = [key for key in too_dear if (costs[key].usd or 0) / costs[key].n_prompts <= left][:1]
    held |= {key: "dearer than a day's budget, which is used up" for key in too_dear if key not in parted}
    late = {key: "its turn comes" for key in changed if key not in set(considered)}
    return Affordable({**held, **late}, frozenset(parted))


class Cost(NamedTuple):
    """What the unanswered prompts of a category cost in US dollars, None without a price."""

    usd: float | None
    n_prompts: int


def _open_costs(
    keys: Collection[str], kinds: pl.DataFrame, settings: Settings, answer_ledger: AnswerLedger, now: datetime
) -> tuple[dict[str, Cost], float]:
    """The cost of each category that has any, and what is left of today's budget."""
    prompts = _prompts(keys, kinds, settings)
    with answer_ledger.open() as ledger:
        answered = ledger.answered_at(prompts["prompt_id"], models=live_models(settings))
        left = budget_left(settings, ledger, now)
    still_open = prompts.filter(~pl.col("prompt_id").is_in(list(answered)))
    if still_open.is_empty():
        return {}, left
    price = price_of(settings)
    usd = (
        pl.lit(None, pl.Float64)
        if price is None
        else price.cost_usd(pl.col("input_tokens").sum(), pl.len() * EXPECTED_OUTPUT_TOKENS)
    )
    costs = still_open.group_by("category_key").agg(usd=usd, n=pl.len())
    return {key: Cost(usd, n) for key, usd, n in costs.iter_rows()}, left


def _prompts(keys: Collection[str], kinds: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    some = kinds.filter(pl.col("category_key").is_in(list(keys)))
    prompts = prompts_by_category(some, settings)
    return prompts if PURPOSES in keys else prompts.filter(pl.col("category_key") != PURPOSES)


@dataclass(frozen=True, eq=False)
class _Replay:
    """A shop that only has recorded answers; two are the same where their state is."""

    changed: Mapping[str, str]
    kinds: pl.DataFrame
    settings: Settings
    state: tuple[object, ...] = field(init=False)

    def __post_init__(self) -> None:
        paths = [Path(model.answers) for model in self.settings.models if model.answers]
        files = [(path, path.stat().st_mtime_ns if path.exists() else 0) for path in paths]
        state = (*self.changed.items(), *files, self.settings.prompts.model_dump_json())
        object.__setattr__(self, "state", state)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Replay) and self.state == other.state

    def __hash__(self) -> int:
        return hash(self.state)


@lru_cache(maxsize=1)
def _answered(replay: _Replay) -> frozenset[str]:
    """Categories of which any prompt has a recorded answer; looked for once while nothing changes."""
    from pkgraph.llm import ReplayLanguageModel

    recorded = {
        prompt_id
        for model in replay.settings.models
        if model.answers
        for prompt_id in ReplayLanguageModel(model.name, model.answers).prompt_ids
    }
    prompts = _prompts(replay.changed, replay.kinds, replay.settings)
    return frozenset(prompts.filter(pl.col("prompt_id").is_in(list(recorded)))["category_key"])
