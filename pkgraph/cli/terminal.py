"""How the command line speaks: errors, tables and progress bars, quiet when not at a terminal."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from pkgraph.errors import PkgraphError

# Terminal control sequences and reversed writing in catalog or model text must never reach a terminal.
# Halves of characters come from arguments that are no UTF-8; printing one would raise.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# Without `emoji=False`, ":bomb:" in a title would become a picture.
console = Console(highlight=False, emoji=False)
errors = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


class Tick(Protocol):
    """Reports that `done` of `total` pieces of a step are finished, and what else there is to say."""

    def __call__(self, step: str, done: int, total: int, said: str = "", /) -> None: ...


def safe(text: object) -> str:
    """Untrusted text, fit for a rich console: no markup, no control sequences."""
    return escape(_CONTROL.sub("", str(text)))


def json_line(value: object) -> str:
    """One line of JSON, its letters readable, whatever a terminal would act on escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def examples(*lines: str) -> str:
    """Examples below a command's options, each on a line of its own."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def plain_table(*columns: str, numbers: tuple[str, ...] = (), whole: tuple[str, ...] = ()) -> Table:
    """A table without walls; `numbers` stand to the right, what is in `whole` is never broken."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        is_number = column in numbers
        # What rich does by itself, cutting a long word, would cut the path that an error is about.
        table.add_column(
            column,
            justify="right" if is_number else "left",
            no_wrap=is_number or column in whole,
            overflow="fold",
        )
    return table


def show_error(error: PkgraphError) -> None:
    errors.print(f"[bold red]error[/] {safe(error.what)}")
    for rule, n in sorted(getattr(error, "broken", {}).items()):
        errors.print(f"  [red]✗[/] {safe(rule)}: {n}")
    if error.remedy:
        errors.print(f"[bold]remedy[/] {safe(error.remedy)}")


class Terminated(SystemExit):
    """SIGTERM came; raised like Ctrl-C, so that what is in flight is kept."""


@contextmanager
def ending_well() -> Iterator[None]:
    """Within it, SIGTERM ends the work as Ctrl-C does."""

    def end(number: int, frame: object) -> None:  # noqa: ARG001 - the form of a signal handler
        raise Terminated(128 + number)

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


# Name, count, time gone and time left, so that all of it stands in a terminal of 80 columns.
_BESIDE_A_BAR = 66
_SHORTEST_BAR, _LONGEST_BAR = 8, 40


class _Bars(Progress):
    """Bars, and on lines of their own what the steps say: it is longer than what a bar leaves free."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if said := task.fields["said"]:
                yield Text(said)


@contextmanager
def progress() -> Iterator[Tick]:
    """A bar a step with count and time left, and below what else is said; without a terminal, nothing."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=max(_SHORTEST_BAR, min(_LONGEST_BAR, errors.width - _BESIDE_A_BAR))),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with _Bars(*columns, console=errors) as bars:
        tasks: dict[str, TaskID] = {}

        def tick(step: str, done: int, total: int, said: str = "", /) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total, said=said)
            bars.update(tasks[step], completed=done, total=total, said=said)

        yield tick
