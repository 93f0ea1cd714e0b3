"""The command line in this process, against a home folder of a test."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pkgraph.cli import main


@dataclass(frozen=True, slots=True)
class Said:
    code: object
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Command:
    """`pkgraph` with one home.

    Attributes:
        home: PKGRAPH_HOME.
        patch: Undoes what the command saw of the environment.
    """

    home: Path
    patch: pytest.MonkeyPatch

    def __call__(self, *arguments: str) -> Said:
        self.patch.setenv("PKGRAPH_HOME", str(self.home))
        self.patch.setattr(sys, "argv", ["pkgraph", *arguments])
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            main()
        return Said(end.value.code, out.getvalue(), err.getvalue())
