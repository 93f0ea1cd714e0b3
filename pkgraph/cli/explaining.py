"""`explain`: why a relation is in the graph, or is not, down to the model's own words."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Any

import click

from pkgraph.cli.terminal import console, examples, json_line, plain_table, safe
from pkgraph.errors import InputError
from pkgraph.home import Home

if TYPE_CHECKING:
    from rich.table import Table

_PARTS_SHOWN = 6


@click.command(
    short_help="Show all that is known of a relation.",
    epilog=examples("pkgraph explain 1f0c2b7d9a3e-4", "pkgraph explain 1f0c2b7d9a3e-4 --json"),
)
@click.argument("relation_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain(relation_id: str, *, as_json: bool) -> int:
    """Show all that is known of a relation: prompt, answer, mapping, signals, verdict, labels, snapshots.

    RELATION_ID is named by `pkgraph recommend SKU --json` and by `pkgraph labels queue`.
    """
    try:
        from pkgraph.dossier import dossier_of
    except ModuleNotFoundError as error:
        raise InputError(f"This needs {error.name}.", remedy="pip install 'pkgraph[pipeline]'") from error

    found = dossier_of(Home.from_environment(os.environ), relation_id)
    if as_json:
        click.echo(json_line(found))
        return 0
    _show_relation(found)
    _show_prompt(found["prompt"], found["answer"])
    _show_judge(found["judge"])
    _show_mapping(found["candidates"], found["unmapped"])
    first: dict[str, Any] = {}
    for target in found["targets"]:
        _show_target(target, found["policy"], first)
        first = first or {one["signal"]: one["value"] for one in target["signals"]}
    _show_parts(found["parts"])
    _show_labels(found["labels"])
    _show_snapshots(found["snapshots"])
    return 0


def _heading(text: str) -> None:
    console.print(f"\n[bold]{safe(text)}[/]")


def _block(text: object) -> None:
    """Untrusted text of several lines, indented; what a terminal would act on is taken out."""
    console.print(textwrap.indent(safe(text), "  "), soft_wrap=True)


def _number(value: object) -> str:
    return "unknown" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _show_relation(found: dict[str, Any]) -> None:
    relation = found["relation"]
    console.print(f"[bold]{safe(found['relation_id'])}[/]")
    if relation is None:
        console.print("It is in snapshots only: its answer was replaced, or its category is gone.")
        return
    about = relation["source_kind"] or f"purpose {relation['rationale']}"
    where = f" ({relation['source_category']})" if relation["source_category"] else ""
    _block(f"{about}{where}\n{relation['relation_type']}: {relation['rationale']}\n{relation['product']}")
    _block(f"{relation['explanation']}\nstated confidence {_number(relation['stated_confidence'])}")


def _show_prompt(prompt: dict[str, Any] | None, answer: dict[str, Any] | None) -> None:
    if prompt:
        _heading(f"prompt {prompt['prompt_id'][:12]} {prompt['template'] or ''}")
        for message in prompt["messages"]:
            console.print(f"  [dim]{safe(message.get('role', ''))}[/]")
            _block(message.get("content", ""))
    if answer:
        spent = f"{_number(answer['input_tokens'])} + {_number(answer['output_tokens'])} tokens"
        cost = f"{_number(answer['cost_usd'])} USD"
        _heading(f"answer {answer['response_id']} of {answer['model']}, attempt {answer['attempt']}")
        console.print(f"  {safe(answer['asked_at'] or 'no time noted')}, {spent}, {cost}")
        _block(answer["text"] or answer["status"])


def _show_judge(judge: dict[str, Any] | None) -> None:
    if judge:
        _heading(f"the judge {judge['model']}: holds {_number(judge['holds'])}")
        _block(judge["text"] or "its answer is not there any more")


def _show_mapping(candidates: list[dict[str, Any]], unmapped: dict[str, Any] | None) -> None:
    if unmapped:
        best = f", nearest {unmapped['best_kind']} {_number(unmapped['best_score'])}"
        _heading(f"mapped to nothing: {unmapped['reason']}{best if unmapped['best_kind'] else ''}")
    if candidates:
        _heading("kinds nearest to the phrase (● it was resolved to)")
        table = plain_table("", "kind", "category", "fits with", "margin", numbers=("fits with", "margin"))
        for one in candidates:
            scores = (_number(one["match_score"]), _number(one["match_margin"]))
            table.add_row("●" if one["is_target"] else "", safe(one["kind"]), safe(one["category"]), *scores)
        console.print(table)


def _show_target(target: dict[str, Any], policy: dict[str, Any] | None, first: dict[str, Any]) -> None:
    """A kind with its verdict and signals; after the first kind, only the signals that are others there."""
    verdict = {True: "accepted", False: "refused", None: "not judged"}[target["is_accepted"]]
    _heading(f"{target['target_kind']} ({target['target_category']}): {verdict}")
    threshold = f", threshold {_number(policy['threshold'])}" if policy else ""
    console.print(
        f"  statement {_number(target['holds_probability'])}, mapping {_number(target['match_score'])}, "
        f"both {_number(target['probability'])}{threshold}"
    )
    for reason in target["reasons"]:
        console.print(f"  [red]✗[/] {safe(reason['reason'])}: not met: {safe(reason['what_must_hold'])}")
    told = [one for one in target["signals"] if (one["signal"], one["value"]) not in first.items()]
    if told:
        console.print(_signal_table(told))


def _signal_table(told: list[dict[str, Any]]) -> Table:
    table = plain_table("signal", "value", "what", numbers=("value",))
    for one in told:
        meaning, _, missing = one["what"].partition("; null: ")
        what = missing if one["value"] is None else meaning
        table.add_row(safe(one["signal"]), _number(one["value"]), safe(what))
    return table


def _show_parts(parts: list[dict[str, Any]]) -> None:
    told = [one for one in parts if one["part"] != "base" and one["logit"]]
    for title, sign in (("for", 1), ("against", -1)):
        strongest = [one for one in told if one["logit"] * sign > 0][:_PARTS_SHOWN]
        if strongest:
            _heading(f"what spoke {title} the statement, in logits")
            _block("\n".join(f"{one['logit']:+.2f}  {one['part']}" for one in strongest))


def _show_labels(labels: list[dict[str, Any]]) -> None:
    _heading("labels" if labels else "no labels")
    table = plain_table("", "when", "who", "as", "holds", "fit", "reason", "kind", "drawn")
    for one in labels:
        holds = {True: "yes", False: "no", None: f"takes {one['undoes']} back"}[one["holds"]]
        cells = (
            one["created_at"] or one["file"], one["annotator"], one["source"], holds,
            "" if one["fit"] is None else one["fit"], one["reason"] or "", one["target_kind_id"] or "",
            one["drawn"] or "",
        )  # fmt: skip
        table.add_row("●" if one["stands"] else "", *map(safe, cells))
    if labels:
        console.print(table)
        console.print("● stands; what reviewers differ on counts as not right.")


def _show_snapshots(snapshots: list[dict[str, Any]]) -> None:
    _heading("snapshots with it" if snapshots else "in no snapshot")
    for one in snapshots:
        kinds = ", ".join(edge["target_kind"] for edge in one["edges"])
        served = " (served)" if one["is_served"] else ""
        _block(f"commit {one['commit']} {one['snapshot_id']} {one['created_at']}{served}: {kinds}")
