"""Tables that are read on a terminal as they grow and stand in Markdown as they are."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

MIN_WIDTH = 7


def machine() -> str:
    """The machine, what runs on it, how busy it is, and the day."""
    named = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    processor = named[0].partition(":")[2].strip() if named else platform.machine()
    gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{time.strftime('%d %B %Y', time.gmtime())}, {processor}, {os.cpu_count()} cores, {gb:.0f} GB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def show(value: float | str | None) -> str:
    """Three digits that count; whole from a hundred on."""
    if value is None or isinstance(value, str):
        return value or ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


class Table:
    """Prints its head at once and every row when it is known.

    The first column is text of at most `width` characters, the others are figures.
    """

    def __init__(self, columns: Sequence[str], width: int) -> None:
        self.widths = [width, *(max(MIN_WIDTH, len(column)) for column in columns[1:])]
        self._print([columns[0].ljust(width), *columns[1:]])
        self._print(["-" * width, *("-" * (width - 1) + ":" for width in self.widths[1:])])

    def row(self, name: str, *values: float | str | None) -> None:
        self._print([name, *map(show, values)])

    def _print(self, cells: Sequence[str]) -> None:
        first, *others = zip(cells, self.widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        print(f"| {' | '.join(padded)} |", flush=True)
