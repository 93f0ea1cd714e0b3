"""Figures that tests say: counts and sizes that documents quote, printed at the end of a run."""

from __future__ import annotations

from collections.abc import Callable

Figure = Callable[[str], None]
"""Says what a test counted or measured; the fixture `figure` is one."""
