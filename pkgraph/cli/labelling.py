"""`labels`: what reviewers said goes in, what they should look at comes out."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pkgraph.cli.terminal import console, errors, examples, json_line, plain_table, safe
from pkgraph.errors import InputError, SnapshotError
from pkgraph.home import Home

if TYPE_CHECKING:
    import polars as pl

    from pkgraph.labels.reviewing import Stats
    from pkgraph.labels.store import LabelStore

_FILE = click.Path(path_type=Path, dir_okay=False)
_FORMATS = "*.tsv, *.csv, *.jsonl, or *.json for Label Studio"
_SHOWN = 10


def _home() -> Home:
    return Home.from_environment(os.environ)


def _store() -> LabelStore:
    try:
        from pkgraph.labels.store import LabelStore
    except ModuleNotFoundError as error:
        raise InputError(f"Labels need {error.name}.", remedy="pip install 'pkgraph[pipeline]'") from error
    return LabelStore.open(_home().labels)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@click.group(
    short_help="Import, export, queue and count reviewers' labels.",
    epilog=examples("pkgraph labels queue --out next.csv", "pkgraph labels import next.csv --annotator ada"),
)
def labels() -> None:
    """Import, export, queue and count what reviewers said of relations. See docs/LABELS.md."""


@labels.command(
    "import",
    short_help="Add the labels of a file to the store.",
    epilog=examples(
        "pkgraph labels import next.csv --annotator ada",
        "pkgraph labels import verdicts.jsonl --source audit",
        "pkgraph labels import label-studio-export.json",
    ),
)
@click.argument("path", metavar="FILE", type=_FILE)
@click.option("--annotator", default="", help="Who labelled, where a row does not say.")
@click.option(
    "--source",
    default="reviewer",
    show_default=True,
    type=click.Choice(["reviewer", "judge", "audit"]),
    help="In which role, where a row does not say.",
)
def import_labels(path: Path, annotator: str, source: str) -> int:
    """Add the labels of FILE to the store; reading a file again adds nothing.

    FILE is *.tsv, *.csv, *.jsonl, or *.json as Label Studio exports it. A row names its relation by
    relation_id, or by prompt_id, model and position. A row that cannot be used is listed and costs itself.
    """
    from pkgraph.labels.formats import read_rows
    from pkgraph.labels.reviewing import import_rows

    with _store() as store:
        rows = read_rows(path)
        found, added = import_rows(_home(), store, rows, annotator=annotator, source=source, now=_now())
    n_known = len(found.labels) - added.n_new
    console.print(f"{found.n_rows} rows: {added.n_new} new labels, {n_known} known before.")
    for reason, n in found.passed_over.items():
        console.print(f"  {n} {reason}")
    for row in found.rejected.head(_SHOWN).iter_rows(named=True):
        errors.print(f"[yellow]refused[/] row {row['row']}: {row['reason']}  {safe(row['detail'])}")
    if found.rejected.height > _SHOWN:
        errors.print(f"... and {found.rejected.height - _SHOWN} more")
    if found.labels or found.rejected.is_empty():
        return 0
    raise InputError(f"No row of {path} could be used.", remedy="Formats are in docs/LABELS.md.")


@labels.command(
    "export",
    short_help="Write the store's labels to a file.",
    epilog=examples(
        "pkgraph labels export labels.csv",
        "pkgraph labels export all.jsonl --history",
        "pkgraph labels export tasks.json",
    ),
)
@click.argument("path", metavar="FILE", type=_FILE)
@click.option("--history", is_flag=True, help="Every row ever written, superseded and undone ones too.")
def export_labels(path: Path, *, history: bool) -> int:
    """Write the labels that stand to FILE: *.tsv, *.csv, *.jsonl, or *.json for Label Studio."""
    from pkgraph.labels.formats import write_rows
    from pkgraph.labels.reviewing import exported

    with _store() as store:
        rows = exported(_home(), store, is_history=history)
    n = write_rows(path, rows.columns, rows.iter_rows(named=True))
    console.print(f"{n} labels written to {safe(path)}.")
    return 0


@labels.command(
    short_help="Say what to review next.",
    epilog=examples(
        "pkgraph labels queue",
        "pkgraph labels queue -n 200 --audit-share 0.5 --out next.csv",
        "pkgraph labels queue --out tasks.json",
    ),
)
@click.option("-n", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many pairs.")
@click.option(
    "--audit-share",
    default=0.2,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share drawn at random from what is published.",
)
@click.option("--out", type=_FILE, help=f"Write the queue to be filled in: {_FORMATS}.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Of new random draws; default: a fresh one.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a pair.")
def queue(n: int, audit_share: float, out: Path | None, seed: int | None, *, as_json: bool) -> int:
    """Say what to review next: what is uncertain and seen often, and a share drawn at random for the audit.

    Neither scores nor the reason why a pair is in the queue are shown: reviewers judge blind.
    """
    from pkgraph.labels.formats import JUDGED, write_rows
    from pkgraph.labels.queue import QUEUE_COLUMNS
    from pkgraph.labels.reviewing import next_to_review

    published, sample = _published_pairs()
    with _store() as store:
        found = next_to_review(
            _home(),
            store,
            published,
            n=n,
            audit_share=audit_share,
            seed=secrets.randbits(63) if seed is None else seed,
            now=_now(),
            sample=sample,
        ).select(QUEUE_COLUMNS)
    if found.is_empty():
        console.print("Nothing to review: nothing is scored yet, or all of it is labelled.")
    elif out is not None:
        write_rows(out, [*QUEUE_COLUMNS, *JUDGED], found.iter_rows(named=True))
        console.print(
            f"{found.height} pairs written to {safe(out)}; fill in {', '.join(JUDGED)}, then import."
        )
    elif as_json:
        for row in found.iter_rows(named=True):
            click.echo(json_line(row))
    else:
        _show_queue(found)
    return 0


def _published_pairs() -> tuple[pl.DataFrame, str]:
    """What is published now, nothing where nothing is; and the sample that certified it, "" without one."""
    from pkgraph.snapshot import open_published
    from pkgraph.snapshot.edges import statements_of
    from pkgraph.tables import GRAPH_STATEMENTS

    try:
        served = open_published(_home().graph)
        certificate = served.manifest.certificate or {}
        return statements_of(served), str(certificate.get("sample", ""))
    except SnapshotError as error:
        errors.print(f"[yellow]no audit[/] {safe(error.what)}")
        return GRAPH_STATEMENTS.empty(), ""


def _show_queue(found: pl.DataFrame) -> None:
    table = plain_table("relation", "about", "says", "because", "in the shop", whole=("relation",))
    for row in found.iter_rows(named=True):
        says = f"{row['product']} ({row['relation_type']}, {row['rationale']})"
        shop = f"{row['target_kind']} ({row['target_category']})"
        about = row["source_kind"] or row["rationale"]
        table.add_row(*map(safe, (row["relation_id"], about, says, row["explanation"], shop)))
    console.print(table)


@labels.command(
    short_help="Count the labels, and say how far reviewers agree.",
    epilog=examples("pkgraph labels stats", "pkgraph labels stats --json"),
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def stats(*, as_json: bool) -> int:
    """Count the labels, say how far reviewers agree, and what the random audit came to."""
    from pkgraph.labels.reviewing import stats as count

    with _store() as store:
        found = count(store)
    if as_json:
        click.echo(json_line(_record(found)))
        return 0
    console.print(f"{found.n_standing} labels of {found.n_pairs} pairs stand; {found.n_rows} rows in all.")
    _count_table(found.by, "source", "drawn")
    _count_table(found.by_reason, "reason")
    agreement = found.agreement
    if agreement.share is not None:
        kappa = "not defined" if agreement.kappa is None else f"{agreement.kappa:.2f}"
        console.print(
            f"Reviewers agree on {agreement.share:.1%} of {agreement.n} pairs of labels, κ {kappa}."
        )
    console.print(f"They differ on {found.conflicts.height} pairs, which count as not right.")
    wrong = found.audited.height - int(found.audited["is_right"].sum())
    console.print(
        f"Audit: {found.n_draws} drawn, {found.audited.height} judged in order, {wrong} of them wrong."
    )
    return 0


def _record(found: Stats) -> dict[str, object]:
    agreement = found.agreement
    return {
        "n_rows": found.n_rows,
        "n_standing": found.n_standing,
        "n_pairs": found.n_pairs,
        "by": found.by.to_dicts(),
        "by_reason": found.by_reason.to_dicts(),
        "agreement": {"n": agreement.n, "share": agreement.share, "kappa": agreement.kappa},
        "conflicts": found.conflicts.select("relation_id", "target_kind_id").to_dicts(),
        "audit": {
            "n_draws": found.n_draws,
            "n_judged": found.audited.height,
            "n_wrong": found.audited.height - int(found.audited["is_right"].sum()),
        },
    }


def _count_table(counts: pl.DataFrame, *names: str) -> None:
    if counts.is_empty():
        return
    table = plain_table(*counts.columns, numbers=tuple(set(counts.columns) - set(names)))
    for row in counts.iter_rows():
        table.add_row(*map(safe, row))
    console.print(table)
