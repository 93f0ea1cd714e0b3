"""Commands that read a published graph: `recommend`, `search`, `serve`; no pipeline is needed for them."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from pkgraph.cli.terminal import console, errors, examples, json_line, plain_table, safe
from pkgraph.errors import InputError
from pkgraph.home import Home
from pkgraph.model import RelationType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from pkgraph.recommend import Graph, Recommendations
    from pkgraph.recommend.answers import Hit

SEARCHED = 1_000
"""Hits looked through, the most a graph gives (15 ms): a kind with 400 sizes leaves room for others."""
_TYPES = click.Choice([one.value for one in RelationType])


def open_graph(channel: str | None = None) -> Graph:
    """The published graph of this home or a channel; warnings about what it lacks go to the error stream."""
    from pkgraph.recommend import Graph
    from pkgraph.snapshot import channel_root

    graph = Graph.published(channel_root(Home.from_environment(os.environ).graph, channel))
    for reason in graph.snapshot.skipped:
        errors.print(f"[yellow]passed over[/] {safe(reason)}")
    if graph.manifest.override:
        errors.print(f"[yellow]uncertified[/] {safe(graph.manifest.override)}")
    return graph


_SHARE = click.FloatRange(0, 1)
_PRICE = click.FloatRange(min=0)


@click.command(
    short_help="Recommend what belongs with products, or serves a purpose.",
    epilog=examples(
        "pkgraph recommend 885863",
        "pkgraph recommend 885863 1029743 --weight 1 --weight 3 -k 5 --json",
        'pkgraph recommend --purpose "taco night" --diversity 0.3',
        "pkgraph recommend 885863 --relation complement --max-price 5 --min-probability 0.9",
    ),
)
@click.argument("skus", nargs=-1, metavar="[SKU]...")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1, 100), help="How many.")
@click.option("--purpose", help='What it is for, in words: "taco night".')
@click.option(
    "--weight",
    "weights",
    multiple=True,
    type=float,
    help="How much each SKU counts, in their order, at most 16; else each counts 1.",
)
@click.option("--relation", "relation_types", multiple=True, type=_TYPES, help="Only these relation types.")
@click.option("--category", "categories", multiple=True, metavar="TITLE", help="Only of these categories.")
@click.option("--min-price", type=_PRICE, help="Only at this price or above.")
@click.option("--max-price", type=_PRICE, help="Only at this price or below.")
@click.option("--exclude", multiple=True, metavar="SKU", help="Never recommend this one.")
@click.option(
    "--min-probability",
    default=0.0,
    show_default=True,
    type=_SHARE,
    help="Count only reasons that hold with this probability.",
)
@click.option(
    "--max-per-kind",
    default=1,
    show_default=True,
    type=click.IntRange(1, 100),
    help="How many that a shopper calls the same product.",
)
@click.option(
    "--max-per-phrase",
    default=1,
    show_default=True,
    type=click.IntRange(1, 100),
    help="How many kinds that one phrase of a model stands for: breakfast cereal is three of this shop.",
)
@click.option(
    "--diversity",
    default=0.0,
    show_default=True,
    type=_SHARE,
    help="Share by which being unlike what was chosen counts.",
)
@click.option("--include-seed-kinds", is_flag=True, help="Recommend products of the SKUs' own kinds too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def recommend(skus: tuple[str, ...], *, purpose: str | None, as_json: bool, **options: Any) -> int:
    """Recommend products that belong with SKU..., or that serve a purpose, each with its reason."""
    if not skus and not purpose:
        raise InputError(
            "Nothing to recommend for.", remedy="Name a SKU (`pkgraph search pasta`) or a --purpose."
        )
    for name in ("weights", "relation_types", "categories"):  # none given: no filter
        options[name] = options[name] or None
    graph = open_graph()
    found = graph.recommend(skus, purpose=purpose, **options)
    _refuse_unknown(skus, purpose, found)
    if as_json:
        click.echo(json_line(dataclasses.asdict(found)))
    else:
        _show(graph, skus, purpose, found)
    return 0


def _refuse_unknown(skus: tuple[str, ...], purpose: str | None, found: Recommendations) -> None:
    """Name what the graph does not know; nothing known at all is a wrong argument."""
    unknown = [f"SKU {sku}" for sku in found.unknown_skus]
    if purpose is not None and not found.rationales:
        unknown.append(f"purpose {purpose!r}")
    if len(unknown) == len(set(skus)) + (purpose is not None):
        raise InputError(
            f"The graph does not know {', '.join(unknown)}.",
            remedy="Find products and purposes by words: `pkgraph search pasta`.",
        )
    for one in unknown:
        errors.print(f"[yellow]unknown[/] {safe(one)}")


def _show(graph: Graph, skus: tuple[str, ...], purpose: str | None, found: Recommendations) -> None:
    for sku in skus:
        product = graph.product(sku)
        if product is not None:
            console.print(f"[bold]{safe(product.title)}[/]  {safe(sku)} · {safe(product.category)}")
    if purpose is not None and found.rationales:
        console.print(f"[bold]{safe(', '.join(found.rationales))}[/]")
    if not found.items:
        console.print("Nothing: the graph has no relation for it that passed the gate.")
        return
    console.print(recommendation_table(found))
    console.print(f"snapshot {found.snapshot_id}")


def recommendation_table(found: Recommendations) -> Table:
    table = plain_table("product", "SKU", "why", "because", "score", numbers=("score",), whole=("SKU",))
    for item in found.items:
        why = f"{item.path.relation_type}: {item.path.rationale}"
        table.add_row(
            safe(item.title), safe(item.sku), safe(why), safe(item.path.explanation), f"{item.score:.2f}"
        )
    return table


@click.command(
    short_help="Find products, kinds and purposes by words.",
    epilog=examples("pkgraph search dry pasta", "pkgraph search --what purpose night"),
)
@click.argument("text", nargs=-1, required=True)
@click.option("-k", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--what", type=click.Choice(["product", "kind", "purpose"]), help="Only these.")
@click.option(
    "--max-per-kind",
    default=2,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How many that a shopper calls the same product.",
)
def search(text: tuple[str, ...], k: int, what: str | None, max_per_kind: int) -> int:
    """Find products, kinds and purposes by words or beginnings of words."""
    hits = _varied(open_graph().search(" ".join(text), SEARCHED, what=what), max_per_kind)[:k]
    if not hits:
        console.print("Nothing found.")
        return 0
    table = plain_table("what", "id", "title", "kind", "category", whole=("what", "id"))
    for hit in hits:
        # Where the title says the kind, as in the demo shop, a second time is noise.
        kind = "" if hit.kind is None or hit.kind in hit.title else hit.kind
        table.add_row(hit.what, safe(hit.id), safe(hit.title), safe(kind), safe(hit.category or ""))
    console.print(table)
    return 0


def _varied(hits: Sequence[Hit], max_per_kind: int) -> list[Hit]:
    """At most so many products of a kind: 40 sizes of one pasta would hide every other."""
    seen: Counter[tuple[str | None, str | None]] = Counter()
    kept = []
    for hit in hits:
        seen[hit.category, hit.kind] += hit.what == "product"
        if hit.what != "product" or seen[hit.category, hit.kind] <= max_per_kind:
            kept.append(hit)
    return kept
