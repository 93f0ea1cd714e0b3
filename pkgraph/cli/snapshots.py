"""Commands about what is published: `snapshots`, `verify`, `rollback`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pkgraph.cli.terminal import console, examples, plain_table, safe
from pkgraph.errors import GateRefused, SnapshotDamaged, SnapshotError, SnapshotMissing
from pkgraph.home import Home

if TYPE_CHECKING:
    from pkgraph.snapshot import Manifest


def _nothing_published(root: Path) -> SnapshotMissing:
    return SnapshotMissing(f"Nothing is published at {root}.", remedy="Run `pkgraph build` first.")


CHANNEL = click.option("--channel", metavar="NAME", help="Of this channel instead of the main one.")


@click.command()
@CHANNEL
def snapshots(channel: str | None) -> int:
    """List what was published, newest first."""
    from pkgraph.snapshot import channel_root, open_published, open_record
    from pkgraph.snapshot import snapshots as commits

    root = channel_root(Home.from_environment(os.environ).graph, channel)
    records = commits(root)
    if not records:
        raise _nothing_published(root)
    served = open_published(root).record
    columns = ("", "commit", "snapshot", "action", "at (UTC)", "edges", "SKUs", "certificate")
    table = plain_table(*columns, numbers=("commit", "edges", "SKUs"), whole=("snapshot", "at (UTC)"))
    for record in records:
        mark = "●" if served and record.sequence == served.sequence else ""
        row = [mark, str(record.sequence), record.snapshot_id, record.action, _minute(record.created_at)]
        try:
            manifest = open_record(record).manifest
        except SnapshotError as error:
            table.add_row(*row, "", "", "removed" if not record.is_present else f"[red]{safe(error.what)}[/]")
            continue
        counts = (f"{manifest.counts['edges']:,}", f"{manifest.counts['skus']:,}")
        table.add_row(*row, *counts, certificate_of(manifest))
    console.print(table)
    console.print("● is served; `pkgraph rollback COMMIT` serves another one.")
    return 0


def certificate_of(manifest: Manifest) -> str:
    """What a snapshot promises, in a few words."""
    certificate = manifest.certificate or {}
    none = f"none: {safe(manifest.override)}" if manifest.override else "none"
    return f"≤ {certificate['alpha']:.0%} wrong" if "alpha" in certificate else none


def _minute(moment: str) -> str:
    return safe(moment[:16].replace("T", " "))


@click.command(
    short_help="Read every byte of a snapshot and judge it again.",
    epilog=examples("pkgraph verify", "pkgraph verify 3"),
)
@click.argument("snapshot", required=False)
def verify(snapshot: str | None) -> int:
    """Read every byte of a snapshot, compare checksums, judge its rules again.

    SNAPSHOT is a commit number or the start of a snapshot's id; without it, the newest commit.
    """
    from pkgraph.snapshot import judge_by_rules, open_record
    from pkgraph.snapshot import snapshots as commits

    root = Home.from_environment(os.environ).graph
    records = commits(root)
    if not records:
        raise _nothing_published(root)
    if snapshot is not None:
        by_number = [record for record in records if str(record.sequence) == snapshot]
        records = by_number or [record for record in records if record.snapshot_id.startswith(snapshot)]
    if not records:
        raise SnapshotMissing(
            f"There is no snapshot {snapshot} at {root}.", remedy="See `pkgraph snapshots`."
        )
    try:
        opened = open_record(records[0], verify=True)
    except SnapshotDamaged as error:
        remedy = "Readers pass it over at their next start. Run `pkgraph rollback` or `pkgraph build`."
        raise SnapshotDamaged(error.what, remedy=error.remedy or remedy) from error
    report = judge_by_rules(opened.sections, opened.manifest.intake)
    if not report.is_open:
        raise GateRefused(f"{opened.path} breaks rules of the gate.", broken=dict(report.broken))
    files = sum(fact.size for fact in opened.manifest.files.values())
    size = f"{len(opened.manifest.files)} files, {files / 1e6:.1f} MB"
    console.print(f"{records[0].snapshot_id}: {size}, all as published; {len(report.evaluated)} rules hold.")
    return 0


@click.command(short_help="Serve an old snapshot again.", epilog=examples("pkgraph rollback 3"))
@click.argument("target")
def rollback(target: str) -> int:
    """Serve an old snapshot again: TARGET is a commit number or the start of a snapshot's id."""
    from pkgraph.snapshot import rollback as go_back

    root = Home.from_environment(os.environ).graph
    record = go_back(root, target, created_at=datetime.now(UTC).isoformat(timespec="seconds"))
    console.print(f"Commit {record.sequence} serves snapshot {record.snapshot_id} again.")
    return 0
