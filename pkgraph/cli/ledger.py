"""`ledger`: what was answered, as a file."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from pkgraph.cli.terminal import console, examples, safe
from pkgraph.errors import InputError
from pkgraph.home import Home

_SHOWN = 10


@click.group(short_help="Write what was answered to a file, or take it from one.")
def ledger() -> None:
    """The store of all answers that were paid for."""


@ledger.command(
    name="export",
    short_help="Write every answer to a JSONL file.",
    epilog=examples("pkgraph ledger export answers.jsonl", "pkgraph ledger export - | gzip > copy.gz"),
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
def export(file: Path) -> int:
    """Write every answer to FILE, or to the standard output where FILE is "-".

    `pkgraph build --answers FILE` replays it; `pkgraph ledger import FILE` takes it over elsewhere.
    """
    from pkgraph.llm import Ledger
    from pkgraph.llm.exchange import exported
    from pkgraph.llm.place import ledger_place

    n_answers = 0
    with Ledger.open(ledger_place(Home.from_environment(os.environ))) as opened:
        out = sys.stdout if str(file) == "-" else _created(file)
        for line in exported(opened):
            out.write(f"{line}\n")
            n_answers += 1
        if out is not sys.stdout:
            out.close()
            console.print(f"{n_answers:,} answers are in {safe(file)}.")
    return 0


def _created(file: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a text file
    try:
        return file.open("x", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}.", remedy="Name a new file.") from None


@ledger.command(
    name="import",
    short_help="Take over the answers of a JSONL file.",
    epilog=examples("pkgraph ledger import answers.jsonl"),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", default="recorded", show_default=True, help="The model of lines that name none.")
def take(file: Path, model: str) -> int:
    """Take over the answers of FILE; what the ledger has already stays as it is."""
    from pkgraph.llm import Ledger
    from pkgraph.llm.exchange import import_answers
    from pkgraph.llm.place import ledger_place

    with Ledger.open(ledger_place(Home.from_environment(os.environ))) as opened:
        done = import_answers(opened, file, name=model, imported_at=datetime.now(UTC).isoformat())
    console.print(f"{done.n_new:,} new answers, {done.n_known:,} known, {len(done.bad_lines):,} bad lines.")
    for bad in done.bad_lines[:_SHOWN]:
        console.print(safe(f"  line {bad.line}: {bad.reason}: {bad.detail}"))
    return 0
