"""Code that the documentation shows, run as it stands there."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from textwrap import dedent
from typing import Any

ROOT = Path(__file__).parents[1]


def run_sample(document: str, first_line: str, instead: Mapping[str, str]) -> dict[str, Any]:
    """The names that the indented block with this first line leaves; some texts in it are exchanged."""
    block = (ROOT / document).read_text(encoding="utf-8").partition(f"    {first_line}\n")
    assert block[1], f"{document} has no such block"
    lines = takewhile(lambda line: not line or line.startswith("    "), block[2].splitlines())
    code = dedent("\n".join([f"    {first_line}", *lines]))
    for text, other in instead.items():
        assert text in code, text
        code = code.replace(text, other)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own documentation
    return names
