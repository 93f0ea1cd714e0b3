"""The whole way in one process, as far as something changed: what `pkgraph build` and `make graph` run.

One category is one run, as in the daemon, and records the same events; looping in one process pays the
imports (4-9 s) once instead of once a category.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import polars as pl

from pkg_assets.asking import ask_ahead, live_judge, live_models, n_open, prompts_of, spoken
from pkg_assets.incremental import DISTIL, HEAR, JUDGE, READ, TRAIN, Made, Steps, steps_of
from pkg_assets.instance import build_instance, environment, prepare_dagster
from pkg_assets.outcome import let_in
from pkg_assets.publication import Publication
from pkg_assets.runs import Runner, sweep_dead_runs
from pkg_assets.staleness import prompts_by_category
from pkgraph.errors import BudgetExceeded, InputError, LedgerError, ProviderError
from pkgraph.home import Home
from pkgraph.llm import Ledger, Limits, Progress, ReplayLanguageModel
from pkgraph.llm.place import has_ledger, ledger_place
from pkgraph.model import LanguageModel
from pkgraph.settings import Settings, read_settings, settings_from
from pkgraph.tables import KINDS
from resources.language_models import LanguageModels

__all__ = ["Choice", "Request", "build", "environment", "prepare"]


class Tick(Protocol):
    """Hears that `done` of `total` pieces of a step are finished, and what else there is to say."""

    def __call__(self, step: str, done: int, total: int, said: str = "", /) -> None: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user said about the shop; nothing said means: as last time, or the demo shop."""

    settings: Path | None = None
    catalog: str | None = None
    answers: Path | None = None
    model: str | None = None
    api_base: str | None = None
    usd_per_million: tuple[float, float] | None = None

    @property
    def is_nothing(self) -> bool:
        return not (self.settings or self.catalog or self.answers or self.model)


@dataclass(frozen=True, slots=True)
class Request:
    """What to build.

    Attributes:
        categories: Titles or keys; none means every category that can be answered. Named ones are judged by
            the classifier that is there, as the daemon does: training it anew would judge all others, too.
        channel: Publish there instead of to the main channel.
        budget_usd: What live models may cost in this build; None is what the settings say, 0 asks nothing.
    """

    categories: tuple[str, ...] = ()
    budget_usd: float | None = None
    accept_uncertified: str | None = None
    accept_sku_loss: str | None = None
    channel: str | None = None


def prepare(home: Home, choice: Choice, project: Path) -> Settings:
    """Make the home folder and keep the settings in it.

    Raises:
        SettingsError: The settings are wrong. The former ones stay.
    """
    prepare_dagster(home)
    os.environ.update(environment(home))
    settings = chosen_settings(home, choice, project)
    if choice.is_nothing and home.settings.exists():
        return settings
    kept = json.dumps(settings.model_dump(mode="json"), indent=2, sort_keys=True)
    temporary = home.settings.with_suffix(".tmp")
    temporary.write_text(kept, encoding="utf-8")
    temporary.replace(home.settings)
    return settings


def chosen_settings(home: Home, choice: Choice, project: Path) -> Settings:
    """What a choice comes to; nothing is written.

    Raises:
        SettingsError: The settings are wrong.
    """
    if choice.is_nothing and home.settings.exists():
        return read_settings(home.settings)
    base = choice.settings or (None if choice.catalog else project / "demo" / "pkgraph.toml")
    data: dict[str, object] = read_settings(base).model_dump(mode="json") if base else {}
    if choice.catalog:
        path = choice.catalog if "://" in choice.catalog else str(Path(choice.catalog).resolve())
        data["catalog"] = {"path": path}
    if choice.answers:
        data["models"] = [
            {"name": name, "answers": str(choice.answers.resolve())} for name in _recorded(choice.answers)
        ]
    if choice.model:
        paid_in, paid_out = choice.usd_per_million or (None, None)
        prices = {"input_usd_per_million": paid_in, "output_usd_per_million": paid_out}
        data["models"] = [{"name": choice.model, "api_base": choice.api_base, **prices}]
    if "models" not in data:
        raise InputError("No model is named.", remedy="Give --answers FILE, --model NAME or --settings FILE.")
    return settings_from(data, name="the command line")


def _recorded(answers: Path) -> list[str]:
    """The models named in an answer file; "recorded" where none is."""
    names: set[str] = set()
    try:
        for line in answers.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the replaying model counts and reports it
            if isinstance(row, dict):
                names.add(str(row.get("model") or "recorded"))
    except OSError as error:
        raise InputError(f"The answers {answers} cannot be read: {error.strerror}.") from error
    return sorted(names) or ["recorded"]


MAX_LINES = 10


@dataclass(slots=True)
class BuildReport:
    """What a build came to, for a person to read.

    Attributes:
        made: Category to why it was distilled or judged again; those that are not in it are as they were.
        stands: Whether nothing changed, so that nothing was published.
    """

    n_categories: int = 0
    n_undistilled: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    made: dict[str, tuple[str, ...]] = field(default_factory=dict)
    published: dict[str, object] = field(default_factory=dict)
    stands: bool = False
    refused: str | None = None
    asked: dict[str, str] = field(default_factory=dict)
    by_model: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return 3 if self.refused else 0

    def lines(self) -> Iterator[str]:
        for whom, said in self.asked.items():
            yield f"Asked {whom}: {said}." if whom else f"Asked: {said}."
        not_yet = f", {self.n_undistilled} of the shop not yet" if self.n_undistilled else ""
        yield f"{self.n_categories} categories distilled{not_yet}."
        if len(self.made) < self.n_categories:
            yield f"{self.n_categories - len(self.made)} of them are as they were."
            for key, why in sorted(self.made.items())[:MAX_LINES]:
                yield f"  {key}: {', '.join(why)}"
        for key, reason in sorted(self.failures.items()):
            yield f"  {key}: {reason}"
        yield from self.by_model
        if self.refused:
            yield f"Nothing was published: {self.refused}"
            return
        if self.stands:
            yield f"Nothing changed since snapshot {self.published['snapshot_id']} was published."
            return
        for name, value in self.published.items():
            yield f"{name}: {value}"


def build(home: Home, request: Request, *, tick: Tick, may_ask: Callable[[str], bool]) -> BuildReport:
    """Run the whole way.

    Args:
        home: Prepared by `prepare`.
        request: What to build.
        tick: Hears of every finished piece.
        may_ask: Asked once, with a sentence on what would be sent, before a live model is asked.

    Raises:
        PkgraphError: An input is wrong, or the provider is gone; everything acknowledged is kept.
    """
    from pkg_assets.definitions import build_defs

    report = BuildReport()
    with build_instance(home) as instance:
        sweep_dead_runs(instance)
        # What is to be asked is asked ahead, once for all; the runs of the categories read the ledger.
        closed = LanguageModels(home=str(home.root), may_ask=False)
        runner = Runner(build_defs(language_models=closed), instance)
        steps = steps_of(home, runner)
        _single(steps.read_catalog, READ, tick, "reading the catalog")
        kinds = _kinds(steps)
        prompts = prompts_by_category(kinds, steps.settings)
        asking = _Asking.of(home, steps.settings, request, report, tick, may_ask)
        keys = _categories(asking, kinds, prompts, request)
        _each(steps.distil(prompts), DISTIL, keys, report, tick, "distilling")
        asking.ask(asking.judge, steps.judge_prompts(_sound(keys, report)), whom="the judge")
        _each(steps.hear(), HEAR, _sound(keys, report), report, tick, "hearing the judge")
        if not (request.categories and steps.is_trained):
            _single(lambda: steps.train(prompts), TRAIN, tick, "training the classifier")
        _each(steps.judge(), JUDGE, _sound(keys, report), report, tick, "judging")
        report.by_model = list(let_in(home, _sound(keys, report)))
        _publish(steps, runner, request, report, tick)
    return report


def _sound(keys: Sequence[str], report: BuildReport) -> list[str]:
    return [key for key in keys if key not in report.failures]


def _kinds(steps: Steps) -> pl.DataFrame:
    kinds = steps.tables.read(KINDS.name)
    if kinds is None:
        raise InputError("The catalog was never read.", remedy="Run `pkgraph build`.")
    return kinds


def _single(step: Callable[[], Made], job: str, tick: Tick, name: str) -> None:
    tick(name, 0, 1)
    made = step()
    if made.failure is not None:
        raise made.failure.as_error(job)
    tick(name, 1, 1)


OF_ALL = (ProviderError, InputError, BudgetExceeded, LedgerError)
"""What one category fails by, every other one would: a missing key, a provider that refuses, no ledger."""


def _each(
    step: Callable[[str], Made],
    job: str,
    keys: Sequence[str],
    report: BuildReport,
    tick: Tick,
    name: str,
) -> None:
    """One run a changed category; a failed one is reported, the others go on unless all would fail by it."""
    for done, key in enumerate(keys):
        tick(name, done, len(keys))
        made = step(key)
        if made.why:
            report.made.setdefault(key, made.why)
        if made.failure is not None:
            report.failures[key] = made.failure.reason
            if isinstance(error := made.failure.as_error(job), OF_ALL):
                raise error
    tick(name, len(keys), len(keys))


def _categories(asking: _Asking, kinds: pl.DataFrame, prompts: pl.DataFrame, request: Request) -> list[str]:
    """The partitions to look at, after asking: those named, else those with answers or that may be asked."""
    wanted = prompts.filter(is_wanted(prompts, request.categories)) if request.categories else prompts
    has_asked = False
    if asking.models:  # rendering the prompts of the demo's 3 800 kinds takes 0.15 s
        is_it = pl.col("prompt_id").is_in(wanted["prompt_id"].to_list())
        has_asked = asking.ask(asking.models, prompts_of(asking.settings, kinds).filter(is_it))
    if not has_asked and not request.categories:
        answered = list(_answered(asking.home, asking.settings, wanted))
        wanted = wanted.filter(pl.col("prompt_id").is_in(answered))
    keys = wanted["category_key"].unique().sort().to_list()
    asking.report.n_categories = len(keys)
    if not request.categories:  # of the others nothing was looked at
        asking.report.n_undistilled = prompts["category_key"].n_unique() - len(keys)
    return keys


@dataclass(frozen=True, slots=True)
class _Asking:
    """Whom a build asks, ahead of its runs, with one budget for all of them.

    Attributes:
        models, judge: Live ones that may be asked; none where the budget is 0.
    """

    home: Home
    settings: Settings
    models: Sequence[LanguageModel]
    judge: Sequence[LanguageModel]
    limits: Limits
    report: BuildReport
    tick: Tick
    may_ask: Callable[[str], bool]

    @classmethod
    def of(
        cls,
        home: Home,
        settings: Settings,
        request: Request,
        report: BuildReport,
        tick: Tick,
        may_ask: Callable[[str], bool],
    ) -> _Asking:
        """Opens the models, so that a missing key is named before anything is sent."""
        spending = settings.spending
        budget_usd = spending.budget_usd if request.budget_usd is None else request.budget_usd
        limits = Limits(f"build {uuid4().hex}", budget_usd, spending.daily_cap_usd)
        models, judge = ([], []) if budget_usd == 0 else (live_models(settings), live_judge(settings))
        return cls(home, settings, models, judge, limits, report, tick, may_ask)

    def ask(self, models: Sequence[LanguageModel], prompts: pl.DataFrame, *, whom: str = "") -> bool:
        """Have them answer what is open; False where there is nobody who may be asked."""
        if not models:
            return False
        if n := n_open(self.home, models, prompts["prompt_id"].to_list()):
            tokens, names = int(prompts["input_tokens"].sum()), ", ".join(model.name for model in models)
            if not self.may_ask(f"Up to {n} prompts (some {tokens:,} tokens) would be sent to {names}."):
                return False

            def hear(progress: Progress) -> None:
                self.report.asked[whom] = spoken(progress)
                step = f"asking {whom}".strip()
                self.tick(step, progress.n_done, progress.n_total, self.report.asked[whom])

            ask_ahead(self.home, prompts, models, limits=self.limits, on_progress=hear)
        return True


def is_wanted(prompts: pl.DataFrame, categories: tuple[str, ...]) -> pl.Expr:
    """Rows of these categories, each named by title or key."""
    known = {*prompts["category_key"], *prompts["category"]}
    unknown = [name for name in categories if name not in known]
    if unknown:
        by_letters = {name.casefold(): name for name in sorted(known)}
        found = difflib.get_close_matches(unknown[0].casefold(), list(by_letters), n=3, cutoff=0.3)
        near = [by_letters[name] for name in found]
        raise InputError(
            f"The catalog has no category {', '.join(repr(name) for name in unknown)}.",
            remedy=f"Did you mean {', '.join(map(repr, near))}?" if near else "See them in `pkgraph ui`.",
        )
    return pl.col("category").is_in(categories) | pl.col("category_key").is_in(categories)


def _answered(home: Home, settings: Settings, prompts: pl.DataFrame) -> set[str]:
    """Prompts that have an answer, in the ledger or in the recorded answers."""
    found: set[str] = set()
    for model in settings.models:
        if model.answers:
            found.update(ReplayLanguageModel(model.name, model.answers).prompt_ids)
    if has_ledger(home):
        with Ledger.open(ledger_place(home)) as ledger:
            found.update(ledger.answered_at(prompts["prompt_id"]))
    return found


def _publish(steps: Steps, runner: Runner, request: Request, report: BuildReport, tick: Tick) -> None:
    """Publish and measure, unless nothing that a snapshot is made from changed."""
    tick("publishing", 0, 2)
    said = {name: getattr(request, name) for name in ("accept_uncertified", "accept_sku_loss", "channel")}
    given = {name: value for name, value in said.items() if value}
    publication = Publication.of(steps, given, request.channel)
    if publication.stands is not None:
        report.stands = True
        report.published = {
            "snapshot_id": publication.stands.snapshot_id,
            "commit": publication.stands.sequence,
        }
    else:
        result, failure = runner.run("publish", ops={"published_graph": {"config": given}})
        if failure is not None:
            report.refused = failure.reason
        else:
            (event,) = result.asset_materializations_for_node("published_graph")
            report.published = {k: event.metadata[k].value for k in SHOWN if k in event.metadata}
            publication.note(str(report.published["snapshot_id"]))
    tick("publishing", 1, 2)
    if not request.categories:
        steps.measure()
    tick("publishing", 2, 2)


SHOWN = ("snapshot_id", "commit", "n_edges", "n_skus", "certificate", "override")
