"""`costs`: what the knowledge that is there has cost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from pkgraph.cli.terminal import console, examples, json_line, plain_table, safe
from pkgraph.errors import InputError
from pkgraph.home import Home

if TYPE_CHECKING:
    from pkgraph.measurement.costs import By

_NUMBERS = ("prompts", "tokens", "USD", "relations", "USD each", "accepted", "USD each accepted")


@click.command(
    short_help="Say what the knowledge that is there has cost.",
    epilog=examples("pkgraph costs", "pkgraph costs --by template", "pkgraph costs --json"),
)
@click.option(
    "--by", type=click.Choice(["category", "template", "model"]), default="category", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object a row.")
def costs(by: By, *, as_json: bool) -> int:
    """Say what the knowledge that is there has cost: by category, template or model, and a relation."""
    import polars as pl

    from pkgraph.measurement.costs import costs as counted
    from pkgraph.stored import read_table
    from pkgraph.tables import ACCEPTED_RELATIONS, JUDGE_RESPONSES, LLM_RESPONSES, RELATIONS

    home = Home.from_environment(os.environ)
    responses = pl.concat([read_table(home, table) for table in (LLM_RESPONSES, JUDGE_RESPONSES)])
    if responses.is_empty():
        raise InputError("Nothing was asked in this home.", remedy="Run `pkgraph build`.")
    rows = counted(responses, read_table(home, RELATIONS), read_table(home, ACCEPTED_RELATIONS), by)
    if as_json:
        for row in rows.iter_rows(named=True):
            click.echo(json_line(row))
        return 0
    table = plain_table(by, *_NUMBERS, numbers=_NUMBERS)
    for row in rows.iter_rows(named=True):
        tokens = row["input_tokens"] + row["output_tokens"]
        money = [_usd(row[name]) for name in ("usd", "usd_per_relation", "usd_per_accepted_relation")]
        counts = [f"{row[name]:,}" for name in ("n_prompts", "n_relations", "n_accepted")]
        table.add_row(
            safe(row[by]), counts[0], f"{tokens:,}", money[0], counts[1], money[1], counts[2], money[2]
        )
    console.print(table)
    return 0


def _usd(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}" if value >= 1 else f"{value:.5f}"
