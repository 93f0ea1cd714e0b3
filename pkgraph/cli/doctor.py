"""`pkgraph doctor`: what is installed, what the home folder holds, what is left over, and what to do."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import site
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from pkgraph.cli.terminal import console, plain_table, safe
from pkgraph.errors import PkgraphError, SettingsError
from pkgraph.home import Home
from pkgraph.kernel import SWITCH, why_none

EXTRAS = {
    "pipeline": ("dagster", "polars", "litellm", "great-expectations", "scikit-learn"),
    "serve": ("httptools", "uvloop"),
}
# A .pth file runs at every start of the interpreter; litellm 1.82.8 was stolen through one.
KNOWN_PTH = ("_editable_impl_pkgraph.pth", "_virtualenv.pth", "distutils-precedence.pth", "coloredlogs.pth")
MIN_FREE_GB = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    detail: str
    remedy: str = ""

    @property
    def is_fine(self) -> bool:
        return not self.remedy


@click.command(short_help="Look over the installation and the home folder.")
def doctor() -> int:
    """Look over the installation and the home folder; exit 1 where something needs a hand."""
    home = Home.from_environment(os.environ)
    findings = [*_installation(), *_disk(home), *_settings(home), *_ledger(home), *_graph(home), *_runs(home)]
    table = plain_table("", "what", "found", "what to do")
    for one in findings:
        table.add_row(
            "[green]✓[/]" if one.is_fine else "[red]✗[/]",
            safe(one.subject),
            safe(one.detail),
            safe(one.remedy),
        )
    console.print(table)
    return 0 if all(one.is_fine for one in findings) else 1


def _installation() -> Iterator[Finding]:
    yield Finding("python", sys.version.split()[0])
    for extra, packages in EXTRAS.items():
        found, missing = {}, []
        for package in packages:
            try:
                found[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                missing.append(package)
        detail = ", ".join(f"{name} {version}" for name, version in found.items())
        remedy = f"pip install 'pkgraph[{extra}]' (missing: {', '.join(missing)})" if missing else ""
        yield Finding(f"extra {extra}", detail, remedy)
    yield _kernel()
    unknown = [
        p.name
        for folder in site.getsitepackages()
        for p in Path(folder).glob("*.pth")
        if p.name not in KNOWN_PTH
    ]
    remedy = "read these files: they run at every start of Python" if unknown else ""
    yield Finding("start-up files", ", ".join(sorted(unknown)) or "none unknown", remedy)


def _kernel() -> Finding:
    reason = why_none()
    if not reason:
        return Finding("kernel", "compiled")
    remedy = (
        "install again where there is a C compiler; NumPy gives the same answers, some hundred times slower"
    )
    is_wanted = not os.environ.get(SWITCH)
    return Finding("kernel", f"NumPy answers: {reason}", remedy if is_wanted else "")


def _disk(home: Home) -> Iterator[Finding]:
    folder = next(p for p in (home.root, *home.root.parents) if p.exists())
    free_gb = shutil.disk_usage(folder).free / 1e9
    remedy = f"free some space: a build wants {MIN_FREE_GB:g} GB" if free_gb < MIN_FREE_GB else ""
    yield Finding("disk", f"{free_gb:.1f} GB free at {folder}", remedy)


def _settings(home: Home) -> Iterator[Finding]:
    if not home.settings.exists():
        yield Finding("home", f"{home.root} is empty", "run `pkgraph build`")
        return
    try:
        from pkgraph.settings import read_settings

        settings = read_settings(home.settings)
    except (PkgraphError, ImportError) as error:
        yield Finding("settings", str(error), "build again with --settings")
        return
    yield Finding("settings", f"catalog {settings.catalog.path or settings.catalog.source}")
    for model in settings.models:
        if model.answers:
            gone = not Path(model.answers).exists()
            yield Finding(
                f"model {model.name}", "recorded answers", f"{model.answers} is gone" if gone else ""
            )
        elif model.api_key_env:
            is_set = bool(os.environ.get(model.api_key_env))
            remedy = "" if is_set else f"export {model.api_key_env}"
            yield Finding(
                f"model {model.name}", f"key {model.api_key_env} {'set' if is_set else 'not set'}", remedy
            )
        else:
            yield Finding(f"model {model.name}", f"live{f' at {model.api_base}' if model.api_base else ''}")


def _ledger(home: Home) -> Iterator[Finding]:
    try:
        from pkgraph.llm import Ledger
        from pkgraph.llm.place import has_ledger, ledger_place

        if not has_ledger(home):
            return
        with Ledger.open(ledger_place(home)) as ledger:
            totals = ledger.totals()
    except SettingsError:
        return  # a finding of its own
    except (PkgraphError, ImportError) as error:
        yield Finding("ledger", str(error), "restore ledger.sqlite from a copy; it holds what was paid for")
        return
    yield Finding("ledger", f"{totals.n_answers} answers, {totals.cost_usd:.2f} USD")


def _graph(home: Home) -> Iterator[Finding]:
    from pkgraph.snapshot import open_published, snapshots

    if not home.graph.exists():
        return
    try:
        graph = open_published(home.graph)
    except PkgraphError as error:
        yield Finding("published graph", error.what, error.remedy or "run `pkgraph build`")
        return
    n_commits = len(snapshots(home.graph))
    yield Finding("published graph", f"{graph.snapshot_id}, {n_commits} commit{'s' * (n_commits != 1)}")
    for reason in graph.skipped:
        yield Finding("passed over", reason, "run `pkgraph build` to publish again")


def _runs(home: Home) -> Iterator[Finding]:
    """Runs whose process was killed; Dagster itself leaves them as started."""
    if not (home.dagster / "dagster.yaml").exists():
        return
    try:
        from pkgraph.cli.project import load

        runs = load("pkg_assets.runs")
        os.environ["DAGSTER_HOME"] = str(home.dagster)
        with runs.dg.DagsterInstance.get() as instance:
            dead = runs.dead_runs(instance)
    except PkgraphError:
        return
    remedy = "the next `pkgraph build` marks them failed" if dead else ""
    yield Finding(
        "dagster runs", f"{len(dead)} left by killed processes" if dead else "none left over", remedy
    )
