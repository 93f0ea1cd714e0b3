"""Commands that read a published graph: `recommend`, `search`, `serve`; no pipeline is needed for them."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING

import click
from rich.table import Table

from pkgraph.cli.terminal import console, errors, safe
from pkgraph.errors import InputError
from pkgraph.home import Home
from pkgraph.model import RelationType

if TYPE_CHECKING:
    from pkgraph.recommend import Graph, Recommendations

_TYPES = click.Choice([one.value for one in RelationType])


def open_graph() -> Graph:
    """The published graph of this home; warnings about what it lacks go to the error stream."""
    from pkgraph.recommend import Graph

    graph = Graph.published(Home.from_environment(os.environ).graph)
    for reason in graph.snapshot.skipped:
        errors.print(f"[yellow]passed over[/] {safe(reason)}")
    if graph.manifest.override:
        errors.print(f"[yellow]uncertified[/] {safe(graph.manifest.override)}")
    return graph


@click.command()
@click.argument("skus", nargs=-1, metavar="SKU...")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1, 100), help="How many.")
@click.option("--purpose", help='What it is for, in words: "taco night".')
@click.option("--relation", "relations", multiple=True, type=_TYPES, help="Only these relation types.")
@click.option("--exclude", multiple=True, metavar="SKU", help="Never recommend this one.")
@click.option("--max-per-kind", default=1, show_default=True, type=click.IntRange(1, 100))
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def recommend(
    skus: tuple[str, ...],
    k: int,
    purpose: str | None,
    relations: tuple[str, ...],
    exclude: tuple[str, ...],
    max_per_kind: int,
    *,
    as_json: bool,
) -> int:
    r"""Recommend products that belong with SKU..., or that serve a purpose, each with its reason.

    \b
    Examples:
      pkgraph recommend 885863
      pkgraph recommend 885863 1029743 -k 5 --json
      pkgraph recommend --purpose "taco night"
    """
    if not skus and not purpose:
        raise InputError(
            "Nothing to recommend for.", remedy="Name a SKU (`pkgraph search pasta`) or a --purpose."
        )
    graph = open_graph()
    found = graph.recommend(
        skus,
        k=k,
        purpose=purpose,
        exclude=exclude,
        relation_types=relations or None,
        max_per_kind=max_per_kind,
    )
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), ensure_ascii=False))
    else:
        _show(graph, skus, purpose, found)
    return 0


def _show(graph: Graph, skus: tuple[str, ...], purpose: str | None, found: Recommendations) -> None:
    for sku in skus:
        product = graph.product(sku)
        if product is not None:
            console.print(f"[bold]{safe(product.title)}[/]  {safe(sku)} · {safe(product.category)}")
    for sku in found.unknown_skus:
        errors.print(f"[yellow]unknown SKU[/] {safe(sku)}")
    if purpose is not None:
        console.print(f"[bold]{safe(', '.join(found.rationales) or 'no such purpose')}[/]")
    if not found.items:
        console.print("Nothing: the graph has no relation for it that passed the gate.")
        return
    console.print(recommendation_table(found))
    console.print(f"snapshot {found.snapshot_id}")


def recommendation_table(found: Recommendations) -> Table:
    table = Table("product", "SKU", "why", "because", "score")
    for item in found.items:
        why = f"{item.path.relation_type}: {item.path.rationale}"
        table.add_row(
            safe(item.title), safe(item.sku), safe(why), safe(item.path.explanation), f"{item.score:.2f}"
        )
    return table


@click.command()
@click.argument("text", nargs=-1, required=True)
@click.option("-k", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--what", type=click.Choice(["product", "kind", "purpose"]), help="Only these.")
def search(text: tuple[str, ...], k: int, what: str | None) -> int:
    r"""Find products, kinds and purposes by words or beginnings of words.

    \b
    Examples:
      pkgraph search dry pasta
      pkgraph search --what purpose night
    """
    hits = open_graph().search(" ".join(text), k, what=what)
    if not hits:
        console.print("Nothing found.")
        return 0
    table = Table("what", "id", "title", "kind", "category")
    for hit in hits:
        table.add_row(hit.what, safe(hit.id), safe(hit.title), safe(hit.kind or ""), safe(hit.category or ""))
    console.print(table)
    return 0


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
def serve(host: str, port: int) -> int:
    """Answer recommendations over HTTP from the published graph; a new commit is picked up while it runs."""
    try:
        from pkgraph.serving import serve as run
    except ModuleNotFoundError as error:
        raise InputError(f"Serving needs {error.name}.", remedy="pip install 'pkgraph[serve]'") from error
    run(Home.from_environment(os.environ).graph, host=host, port=port)
    return 0
