from pathlib import Path

import pytest

from pkgraph.cli.terminal import console, errors
from tests.command import Command


@pytest.fixture(autouse=True)
def _a_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The consoles read COLUMNS once, when they are imported: whoever ran before would decide the width."""
    monkeypatch.setattr(console, "width", 300)
    monkeypatch.setattr(errors, "width", 300)


@pytest.fixture
def pkgraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line on an empty home."""
    return Command(tmp_path / "home", monkeypatch)
