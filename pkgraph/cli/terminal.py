"""How the command line speaks: errors, tables and progress bars, quiet when not at a terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pkgraph.errors import PkgraphError

# Terminal control sequences in catalog or model text must never reach a terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


class Tick(Protocol):
    """Reports that `done` of `total` pieces of a step are finished."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


def safe(text: object) -> str:
    """Untrusted text, fit for a rich console: no markup, no control sequences."""
    return escape(_CONTROL.sub("", str(text)))


def show_error(error: PkgraphError) -> None:
    errors.print(f"[bold red]error[/] {safe(error.what)}")
    for rule, n in sorted(getattr(error, "broken", {}).items()):
        errors.print(f"  [red]✗[/] {safe(rule)}: {n}")
    if error.remedy:
        errors.print(f"[bold]remedy[/] {safe(error.remedy)}")


@contextmanager
def progress() -> Iterator[Tick]:
    """A bar a step with count and time left; without a terminal, nothing at all."""
    if not sys.stderr.isatty():
        yield lambda step, done, total: None  # noqa: ARG005
        return
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as bars:
        tasks: dict[str, object] = {}

        def tick(step: str, done: int, total: int) -> None:
            task = tasks.setdefault(step, bars.add_task(step, total=total) if step not in tasks else None)
            bars.update(task, completed=done, total=total)  # type: ignore[arg-type]

        yield tick
