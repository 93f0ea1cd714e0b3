"""The label history of one relation: the files of the settings, then the store's rows in their order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from pkgraph.errors import InputError
from pkgraph.labels.formats import read_rows
from pkgraph.labels.importing import Shelf, labels_from
from pkgraph.labels.standing import standing_labels
from pkgraph.labels.store import LabelStore
from pkgraph.settings import read_settings
from pkgraph.tables import AUDIT_DRAWS, RELATIONS

if TYPE_CHECKING:
    from pkgraph.home import Home

_SHOWN = (
    "sequence", "annotator", "source", "drawn", "draw", "target_kind_id", "holds", "fit", "reason", "undoes",
    "created_at",
)  # fmt: skip
# A file says no time; anything will do, since it is not shown.
_NO_TIME = "1970-01-01T00:00:00+00:00"


def label_history(home: Home, relation: dict[str, Any] | None, mapped: pl.DataFrame) -> list[dict[str, Any]]:
    """Every label of a relation, with `file` where it is of one and `stands` where it still counts."""
    if relation is None:
        return []
    filed = [label for path in _files(home) for label in _in_file(path, relation, mapped)]
    return [*filed, *_in_store(home, relation["relation_id"])]


def _files(home: Home) -> list[Path]:
    if not home.settings.exists():
        return []
    labels = read_settings(home.settings).labels
    return [Path(path) for path in (labels.relations, labels.calibration) if path]


def _in_file(path: Path, relation: dict[str, Any], mapped: pl.DataFrame) -> list[dict[str, Any]]:
    one = RELATIONS.conform(
        pl.DataFrame([{name: relation[name] for name in RELATIONS.columns}], RELATIONS.schema)
    )
    shelf = Shelf.of(one, mapped, AUDIT_DRAWS.empty())
    start = relation["prompt_id"][:12]
    try:
        rows = [(n, row) for n, row in read_rows(path) if row and row.get("prompt_id", "").startswith(start)]
    except InputError:
        return []  # a build names it; a dossier shows what is there
    found = labels_from(rows, shelf, annotator="", source="reviewer", now=_NO_TIME)
    return [
        dict.fromkeys(_SHOWN)
        | {
            "file": path.name,
            "annotator": label.annotator,
            "source": label.source,
            "drawn": None if label.calibration_draw is None else "calibration",
            "draw": label.calibration_draw,
            "target_kind_id": label.pair.target_kind_id,
            "holds": label.holds,
            "fit": label.fit,
            "reason": label.reason,
            "stands": True,
        }
        for label in found.labels
    ]


def _in_store(home: Home, relation_id: str) -> list[dict[str, Any]]:
    if not home.labels.exists():
        return []
    with LabelStore.open(home.labels) as store:
        history = store.history(relation_id)
    standing = set(standing_labels(history)["sequence"])
    return [
        {name: row[name] for name in _SHOWN} | {"file": None, "stands": row["sequence"] in standing}
        for row in history.iter_rows(named=True)
    ]
