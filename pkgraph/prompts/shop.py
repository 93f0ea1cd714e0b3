"""The prompts that a shop's settings lead to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pkgraph.prompts.rendering import render_companions, render_occasions
from pkgraph.prompts.template import load_purposes, load_template

if TYPE_CHECKING:
    import polars as pl

    from pkgraph.settings import PromptSettings


def prompts_of_kinds(kinds: pl.DataFrame, settings: PromptSettings) -> pl.DataFrame:
    """PROMPTS, one a kind, with the shop's template."""
    return render_companions(kinds, load_template(settings.companions, _folder(settings)))


def prompts_of_purposes(settings: PromptSettings) -> pl.DataFrame:
    """PROMPTS, one a purpose of the shop; without own purposes, those of the curated list."""
    purposes = load_purposes() if settings.purposes is None else settings.purposes
    return render_occasions(purposes, load_template(settings.occasions, _folder(settings)))


def _folder(settings: PromptSettings) -> Path | None:
    return Path(settings.folder) if settings.folder else None
