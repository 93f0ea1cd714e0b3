"""In which snapshots a relation stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pkgraph.errors import SnapshotError
from pkgraph.snapshot import open_published, open_record, snapshots

if TYPE_CHECKING:
    from pathlib import Path

    from pkgraph.snapshot import Snapshot


def published_in(root: Path, relation_id: str) -> list[dict[str, Any]]:
    """A row a commit whose snapshot holds it, newest first; a removed or damaged one cannot be asked.

    Keys: commit, snapshot_id, action, created_at, is_served, edges (kind titles and probability).
    """
    try:
        served = open_published(root).record
    except SnapshotError:
        served = None
    found = []
    for record in snapshots(root):
        try:
            edges = _edges(open_record(record), relation_id) if record.is_present else []
        except SnapshotError:
            continue
        if edges:
            found.append(
                {
                    "commit": record.sequence,
                    "snapshot_id": record.snapshot_id,
                    "action": record.action,
                    "created_at": record.created_at,
                    "is_served": served is not None and served.sequence == record.sequence,
                    "edges": edges,
                }
            )
    return found


def _edges(snapshot: Snapshot, relation_id: str) -> list[dict[str, Any]]:
    """The edges that this statement is behind."""
    s = snapshot.sections
    response_id = relation_id.rpartition("-")[0]
    of_answer = [row for row in range(len(s.response_ids)) if s.response_ids[row] == response_id]
    near = np.flatnonzero(np.isin(s.statement_response, of_answer)).tolist()
    rows = [row for row in near if s.relation_id(row) == relation_id]
    edges = np.searchsorted(s.edge_statement_offsets, rows, side="right") - 1
    return [
        {
            "edge": int(edge),
            "target_kind": s.kind_titles[int(s.edge_target[edge])],
            "rationale": s.rationale_texts[int(s.edge_rationale[edge])],
            "probability": round(float(s.edge_probability[edge]), 6),
        }
        for edge in edges
    ]
