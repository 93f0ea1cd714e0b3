"""Commands that compare what was published, and promote a channel: `diff`, `promote`."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pkgraph.cli.snapshots import certificate_of
from pkgraph.cli.terminal import console, examples, json_line, plain_table, safe
from pkgraph.errors import InputError
from pkgraph.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkgraph.llm.history import Bought
    from pkgraph.snapshot import Difference, Snapshot
    from pkgraph.snapshot.difference import RelationChange


@click.command(
    short_help="What changed from one snapshot to another.",
    epilog=examples("pkgraph diff", "pkgraph diff 3", "pkgraph diff 3 5", "pkgraph diff 5 canary"),
)
@click.argument("before", required=False)
@click.argument("after", required=False)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(0), help="Rows a table at most.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON with everything.")
def diff(before: str | None, after: str | None, limit: int, *, as_json: bool) -> int:
    """What changed from BEFORE to AFTER: products, kinds, relations in and out with the reason, cost.

    Each is a commit number, the start of a snapshot's id, or a channel's name.
    Without AFTER it is what is served; without both, what is served against the one before it.
    """
    from pkgraph.snapshot import compare

    home = Home.from_environment(os.environ)
    old, new = _opened(home.graph, before, after)
    found = compare(old, new, n_products=limit)
    bought = _bought(home, old, new)
    if as_json:
        click.echo(json_line({**asdict(found), "bought": asdict(bought) if bought else None}))
    else:
        _show(found, old, new, bought, limit)
    return 0


def _opened(root: Path, before: str | None, after: str | None) -> tuple[Snapshot, Snapshot]:
    from pkgraph.snapshot import open_published

    new = _named(root, after) if after else open_published(root)
    if before:
        return _named(root, before), new
    parent = new.record.parent if new.record else None
    if parent is None:
        raise InputError(
            f"Snapshot {new.snapshot_id} is the first one.", remedy="Name another to compare it with."
        )
    return _named(root, str(parent)), new


def _named(root: Path, name: str) -> Snapshot:
    from pkgraph.snapshot import channel_root, open_published, open_record
    from pkgraph.snapshot.commits import commits_folder, find_record

    if name[0].isalpha() and commits_folder(channel_root(root, name)).is_dir():
        return open_published(channel_root(root, name))
    return open_record(find_record(root, name))


def _bought(home: Home, old: Snapshot, new: Snapshot) -> Bought | None:
    """What the answers between the two cost; None where the ledger or a mark is missing."""
    from pkgraph.llm import Ledger
    from pkgraph.llm.place import has_ledger, ledger_place

    first, last = (snapshot.manifest.inputs.get("answers") for snapshot in (old, new))
    if not has_ledger(home) or not isinstance(first, int) or not isinstance(last, int):
        return None
    with Ledger.open(ledger_place(home)) as ledger:
        return ledger.bought(min(first, last), max(first, last))


def _show(found: Difference, old: Snapshot, new: Snapshot, bought: Bought | None, limit: int) -> None:
    console.print(f"{found.before_id} → {found.after_id}")
    console.print(f"products   {len(found.skus_in)} in, {len(found.skus_out)} out ({found.sku_loss:.1%})")
    console.print(f"kinds      {len(found.kinds_in)} in{_some(found.kinds_in)}, ", end="")
    console.print(f"{len(found.kinds_out)} out{_some(found.kinds_out)}")
    n_in, n_out = len(found.relations_in), len(found.relations_out)
    console.print(f"relations  {n_in} in, {n_out} out, {len(found.relations_changed)} changed")
    if bought is not None:
        unknown = f", {bought.n_unknown_cost} of unknown cost" if bought.n_unknown_cost else ""
        console.print(f"answers    {bought.n_answers} for {bought.cost_usd:.4f} USD{unknown}")
    former, present = certificate_of(old.manifest), certificate_of(new.manifest)
    console.print(f"certificate {former} → {present}")
    console.print(f"inputs     {', '.join(map(safe, found.inputs)) or 'the same'}")
    for title, changes in (("in", found.relations_in), ("out", found.relations_out)):
        _show_relations(f"relations {title}", changes, limit)
    _show_relations("relations changed", found.relations_changed, limit)
    if found.products and limit:
        table = plain_table("most changed product", "SKU", "gained", "lost", numbers=("gained", "lost"))
        for one in found.products:
            table.add_row(safe(one.title), safe(one.sku), str(one.gained), str(one.lost))
        console.print(table)


def _some(titles: Sequence[str]) -> str:
    more = "…" if len(titles) > _NAMED else ""
    return f" ({safe(', '.join(titles[:_NAMED]))}{more})" if titles else ""


_NAMED = 3


def _show_relations(name: str, changes: Sequence[RelationChange], limit: int) -> None:
    from pkgraph.snapshot.difference import told

    if not changes or not limit:
        return
    table = plain_table(name, "", "because", "probability", numbers=("probability",))
    for one in changes[:limit]:
        before, after = (f"{p:.2f}" if p is not None else "–" for p in (one.before, one.after))
        relation = f"{one.relation_type}: {one.rationale}"
        pair = f"{one.source or 'purpose'} → {one.target}"
        table.add_row(safe(pair), safe(relation), told(one), f"{before} → {after}")
    console.print(table)
    if len(changes) > limit:
        console.print(f"… and {len(changes) - limit} more; see --limit and --json.")


@click.command(
    short_help="Serve what a channel serves.", epilog=examples("pkgraph promote", "pkgraph promote canary")
)
@click.argument("channel", default="canary")
def promote(channel: str) -> int:
    """Serve what a channel serves: CHANNEL is the name given to `pkgraph build --channel` (canary).

    It is refused where another snapshot is served than the one the channel was judged against.
    """
    from pkgraph.settings import HistorySettings, read_settings
    from pkgraph.snapshot import promote as serve_channel

    home = Home.from_environment(os.environ)
    history = read_settings(home.settings).history if home.settings.exists() else HistorySettings()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    promoted = serve_channel(home.graph, channel, created_at=now, keep=history.keep)
    again = "" if promoted.is_new else " already"
    console.print(f"Commit {promoted.sequence} serves snapshot {promoted.snapshot_id}{again}.")
    return 0
