"""Commands that run the pipeline: `build` and `ui`."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import click

from pkgraph.cli.project import load, project_root
from pkgraph.cli.reading import recommendation_table
from pkgraph.cli.terminal import console, ending_well, examples, progress, safe
from pkgraph.errors import InputError
from pkgraph.home import Home

# Python looks for garbage every 700 allocations, which is a fifth of the seconds that Dagster and Great
# Expectations take to import, and there is none to find.
_GC_ALLOCATIONS = 100_000


@click.command(
    short_help="Distil the categories, judge what was said, publish a graph.",
    epilog=examples(
        "pkgraph build",
        'pkgraph build --category "TROPICAL FRUIT" --category PASTA',
        "pkgraph build --settings shop.toml",
        "pkgraph build --catalog shop.csv --model gpt-5-mini --budget 5",
        "pkgraph build --model openai/my-model --api-base http://127.0.0.1:8000/v1 --usd-per-million 0 0",
    ),
)
@click.option("--settings", type=click.Path(path_type=Path), help="The shop's settings file (TOML).")
@click.option("--catalog", help="CSV, Parquet or JSONL with the columns sku, title, category [, kind].")
@click.option("--answers", type=click.Path(path_type=Path), help="Recorded answers (JSONL) to replay.")
@click.option("--model", help="A live model by its litellm name; its key comes from the environment.")
@click.option("--api-base", help="Base URL of an own OpenAI-compatible server for --model.")
@click.option(
    "--usd-per-million",
    type=(click.FloatRange(min=0), click.FloatRange(min=0)),
    metavar="IN OUT",
    help="Price of --model, a million tokens in and out, where it is not known; 0 0 for one of your own.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    metavar="USD",
    help="What live models may cost in this build, never more; 0 builds from what is known.",
)
@click.option(
    "--category",
    "categories",
    multiple=True,
    help="Title or key of a category to refresh alone, by the classifier that is there; may be repeated.",
)
@click.option("--yes", is_flag=True, help="Ask a live model without asking you first.")
@click.option(
    "--accept-uncertified", metavar="REASON", help="Publish without a certificate; the reason is shown."
)
@click.option("--accept-sku-loss", metavar="REASON", help="Publish although the catalog lost many SKUs.")
@click.option(
    "--channel",
    metavar="NAME",
    help="Publish to this channel, say canary; see diff, promote, serve --channel.",
)
def build(
    settings: Path | None,
    catalog: str | None,
    answers: Path | None,
    model: str | None,
    api_base: str | None,
    usd_per_million: tuple[float, float] | None,
    budget: float | None,
    categories: tuple[str, ...],
    *,
    yes: bool,
    accept_uncertified: str | None,
    accept_sku_loss: str | None,
    channel: str | None,
) -> int:
    """Distil the shop's categories, judge what was said, publish a graph.

    Without options it goes on with the settings of the last build, or builds the demo shop.
    What was answered before is never asked again, and what nothing changed for is not made again.
    """
    from pkgraph.snapshot import channel_root

    home = Home.from_environment(os.environ)
    gc.set_threshold(_GC_ALLOCATIONS)
    builder = load("pkg_assets.build")
    choice = builder.Choice(
        settings=settings,
        catalog=catalog,
        answers=answers,
        model=model,
        api_base=api_base,
        usd_per_million=usd_per_million,
    )
    request = builder.Request(
        categories=categories,
        budget_usd=budget,
        accept_uncertified=accept_uncertified,
        accept_sku_loss=accept_sku_loss,
        channel=channel,
    )
    root = channel_root(home.graph, channel)  # before anything is done: a wrong name costs nothing
    builder.prepare(home, choice, project_root())
    with ending_well(), progress() as tick:
        report = builder.build(home, request, tick=tick, may_ask=lambda plan: _may_ask(plan, yes=yes))
    for line in report.lines():
        console.print(safe(line))
    if not report.refused:
        _show_what_it_knows(root)
    return int(report.exit_code)


def _show_what_it_knows(root: Path) -> None:
    from pkgraph.recommend import Graph
    from pkgraph.recommend.showcase import showcase

    shown = showcase(Graph.published(root), 3)
    for product, found in shown:
        console.print(f"\n[bold]{safe(product.title)}[/]  {safe(product.sku)} · {safe(product.category)}")
        console.print(recommendation_table(found))
    sku = shown[0][0].sku if shown else "SKU"
    console.print(f"\nNext: pkgraph recommend {safe(sku)} · pkgraph search pasta · make ui · make serve")


def _may_ask(plan: str, *, yes: bool) -> bool:
    """Whether a live model may be asked; money is never spent without a word."""
    console.print(safe(plan))
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InputError("A live model would be asked.", remedy="Say --yes, or name a --category.")
    return click.confirm("Ask it?")


@click.command(short_help="Open the Dagster UI on the same home folder.")
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Dagster's UI has no login: keep it local."
)
def ui(port: int, host: str) -> int:
    """Open the Dagster UI on the same home folder: materialize a category, see lineage and checks."""
    home = Home.from_environment(os.environ)
    builder = load("pkg_assets.build")
    builder.prepare(home, builder.Choice(), project_root())
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(project_root() / "workspace.yaml")]
    return subprocess.call(  # noqa: S603 - our own interpreter and arguments
        [*command, "-h", host, "-p", str(port)], env={**os.environ, **builder.environment(home)}
    )
