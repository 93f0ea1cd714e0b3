"""`estimate`: what a build would cost, before anything is sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pkgraph.cli.project import load, project_root
from pkgraph.cli.terminal import console, examples, json_line, plain_table, safe
from pkgraph.home import Home

if TYPE_CHECKING:
    import polars as pl

_COLUMNS = ("calls", "tokens in", "tokens out", "USD", "max", "batch")
_SHOWN = 15


@click.command(
    short_help="Say what a build would cost; nothing is sent.",
    epilog=examples(
        "pkgraph estimate --model gpt-5-mini",
        "pkgraph estimate --settings shop.toml --category PASTA",
        "pkgraph estimate --catalog shop.csv --model gpt-5-mini --json",
    ),
)
@click.option("--settings", type=click.Path(path_type=Path), help="The shop's settings file (TOML).")
@click.option("--catalog", help="CSV, Parquet or JSONL with the columns sku, title, category [, kind].")
@click.option("--model", help="A live model by its litellm name; no key is needed.")
@click.option("--category", "categories", multiple=True, help="Title or key of a category; may be repeated.")
@click.option("--all", "show_all", is_flag=True, help=f"Every category, not the {_SHOWN} dearest.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a model and category.")
def estimate(
    settings: Path | None,
    catalog: str | None,
    model: str | None,
    categories: tuple[str, ...],
    *,
    show_all: bool,
    as_json: bool,
) -> int:
    """Say what a build would cost: calls, tokens and US dollars a model and category. Nothing is sent.

    What the ledger has an answer to costs nothing. "min" takes each answer as short as the shortest
    twentieth, "likely" as long as the mean, "max" as long as `max_tokens` with every attempt needed and
    billed; "batch" is the likely one at the price of the provider's Batch API. Until the ledger has 20
    answers of a model, the mean is that of the demo's answers, without any tokens of thinking.
    """
    shell = load("pkg_assets.estimating")
    choice = shell.Choice(settings=settings, catalog=catalog, model=model)
    found = shell.estimate_build(Home.from_environment(os.environ), choice, project_root(), categories)
    if as_json:
        for row in found.rows.iter_rows(named=True):
            click.echo(json_line(row))
        return 0
    _show(found.rows, found.n_skus, found.n_kinds, None if show_all else _SHOWN)
    return 0


def _show(rows: pl.DataFrame, n_skus: int, n_kinds: int, limit: int | None) -> None:
    from pkgraph.freshness.estimate import totals

    console.print(f"{n_skus:,} SKUs are {n_kinds:,} kinds, {n_skus / max(n_kinds, 1):.1f} SKUs a kind.")
    of_models = totals(rows)
    for total in of_models.iter_rows(named=True):
        _show_total(total, n_skus)
        of_model = rows.filter(model=total["model"])
        still_open = of_model.filter(of_model["n_calls"] > 0)
        if len(still_open) > 1:
            dearest = still_open.sort("usd_likely", "n_calls", "category", descending=[True, True, False])
            _show_categories(list(dearest.head(limit or len(dearest)).iter_rows(named=True)), len(dearest))
    if of_models["usd_likely"].null_count():
        console.print(
            "A price is not known: set input_usd_per_million and output_usd_per_million of the model."
        )
    console.print("Nothing was sent.")


def _show_total(total: dict[str, Any], n_skus: int) -> None:
    console.print(f"\n[bold]{safe(total['model'])}[/]")
    n_calls, n_in, n_out = total["n_calls"], total["input_tokens"], total["output_tokens_likely"]
    console.print(f"  prompts  {total['n_prompts']:,}, {total['n_answered']:,} of them answered already")
    console.print(f"  calls    {n_calls:,}")
    if not n_calls:
        return
    console.print(f"  tokens   {n_in:,} in, {n_out:,} out ({total['output_tokens_max']:,} at most)")
    usd = {name: _usd(total[f"usd_{name}"]) for name in ("min", "likely", "max", "batch")}
    console.print(f"  USD      {usd['likely']} likely, {usd['min']} to {usd['max']}")
    console.print(f"  batch    {usd['batch']} likely, through the provider's Batch API")
    each = 1_000 / max(n_skus, 1)
    usd_each = None if total["usd_likely"] is None else total["usd_likely"] * each
    console.print(
        f"  a 1,000 SKUs: {n_calls * each:,.1f} calls, {n_in * each:,.0f} tokens in, "
        f"{n_out * each:,.0f} out, {_usd(usd_each)} USD"
    )


def _show_categories(rows: list[dict[str, Any]], n_open: int) -> None:
    table = plain_table("category", *_COLUMNS, numbers=_COLUMNS)
    for row in rows:
        money = [_usd(row[name]) for name in ("usd_likely", "usd_max", "usd_batch")]
        n = [f"{row[name]:,}" for name in ("n_calls", "input_tokens", "output_tokens_likely")]
        table.add_row(safe(row["category"]), *n, *money)
    console.print(table)
    if n_open > len(rows):
        console.print(f"The {len(rows)} dearest of {n_open} categories; --all shows the others.")


def _usd(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.2f}" if value == 0 or value >= 1 else f"{value:.4f}"
