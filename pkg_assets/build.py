"""The whole way in one process: what `pkgraph build` and `make graph` run.

One category is one run, as in the daemon, and records the same events; looping in one process pays the imports once
(4-9 s a process) instead of once a category.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import dagster as dg

from pkg_assets.instance import environment, prepare_dagster
from pkg_assets.partitions import CATEGORIES
from pkgraph.errors import InputError
from pkgraph.home import Home
from pkgraph.model import category_key
from pkgraph.settings import Settings, read_settings, settings_from

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Choice", "Request", "build", "environment", "prepare"]


class Tick(Protocol):
    def __call__(self, step: str, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user said about the shop; nothing said means: as last time, or the demo shop."""

    settings: Path | None = None
    catalog: str | None = None
    answers: Path | None = None
    model: str | None = None
    api_base: str | None = None

    @property
    def is_nothing(self) -> bool:
        return not (self.settings or self.catalog or self.answers or self.model)


@dataclass(frozen=True, slots=True)
class Request:
    """What to build.

    Attributes:
        categories: Titles or keys; none means every category that can be answered.
    """

    categories: tuple[str, ...] = ()
    accept_uncertified: str | None = None
    accept_sku_loss: str | None = None


def prepare(home: Home, choice: Choice, project: Path) -> Settings:
    """Make the home folder and keep the settings in it.

    Raises:
        SettingsError: The settings are wrong. The former ones stay.
    """
    prepare_dagster(home)
    os.environ.update(environment(home))
    if choice.is_nothing and home.settings.exists():
        return read_settings(home.settings)
    settings = _chosen(choice, project)
    kept = json.dumps(settings.model_dump(mode="json"), indent=2, sort_keys=True)
    temporary = home.settings.with_suffix(".tmp")
    temporary.write_text(kept, encoding="utf-8")
    temporary.replace(home.settings)
    return settings


def _chosen(choice: Choice, project: Path) -> Settings:
    base = choice.settings or (None if choice.catalog else project / "demo" / "pkgraph.toml")
    data: dict[str, object] = read_settings(base).model_dump(mode="json") if base else {}
    if choice.catalog:
        path = choice.catalog if "://" in choice.catalog else str(Path(choice.catalog).resolve())
        data["catalog"] = {"path": path}
    if choice.answers:
        data["models"] = [{"name": name, "answers": str(choice.answers.resolve())} for name in _recorded(choice.answers)]
    if choice.model:
        data["models"] = [{"name": choice.model, "api_base": choice.api_base}]
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


@dataclass(slots=True)
class BuildReport:
    """What a build came to, for a person to read."""

    n_categories: int = 0
    n_undistilled: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    published: dict[str, object] = field(default_factory=dict)
    refused: str | None = None
    examples: str = ""

    @property
    def exit_code(self) -> int:
        return 3 if self.refused else 0

    def lines(self) -> Iterator[str]:
        yield f"{self.n_categories} categories distilled; {self.n_undistilled} of the shop are not distilled yet."
        for key, reason in sorted(self.failures.items()):
            yield f"  {key}: {reason}"
        if self.refused:
            yield f"Nothing was published: {self.refused}"
            return
        for name, value in self.published.items():
            yield f"{name}: {value}"
        if self.examples:
            yield self.examples


def build(home: Home, request: Request, *, tick: Tick, may_ask: Callable[[str], bool]) -> BuildReport:
    """Run the whole way.

    Args:
        home: Prepared by `prepare`.
        request: What to build.
        tick: Hears of every finished piece.
        may_ask: Asked once with a sentence on what would be sent, before a live model is asked.

    Raises:
        PkgraphError: An input is wrong, or the provider is gone; everything acknowledged is kept.
    """
    from pkg_assets.definitions import defs

    with dg.DagsterInstance.get() as instance:
        sweep_dead_runs(instance)
        runner = Runner(defs, instance)
        report = BuildReport()
        tick("reading the catalog", 0, 1)
        _must(runner.run("read_catalog"))
        tick("reading the catalog", 1, 1)
        categories = _categories(home, request, report, may_ask)
        _each(runner, "distil_category", categories, report, tick, "distilling")
        tick("training the classifier", 0, 1)
        _must(runner.run("train_classifier"))
        tick("training the classifier", 1, 1)
        _each(runner, "judge_category", [key for key in categories if key not in report.failures], report, tick, "judging")
        tick("publishing", 0, 1)
        _publish(runner, request, report)
        tick("publishing", 1, 1)
        return report
