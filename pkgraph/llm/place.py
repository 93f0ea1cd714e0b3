"""Where a shop's answers are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkgraph.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from pkgraph.home import Home


def ledger_place(home: Home) -> str | Path:
    """What the shop's settings say, else a file in its home folder.

    Raises:
        SettingsError: The settings cannot be read.
    """
    settings = read_settings(home.settings) if home.settings.exists() else None
    return (settings and settings.ledger.url) or home.ledger


def has_ledger(home: Home) -> bool:
    """Whether there is a ledger already; opening one makes it."""
    return ledger_place(home) != home.ledger or home.ledger.exists()
