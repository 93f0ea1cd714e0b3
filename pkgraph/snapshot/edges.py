"""The edges of an opened snapshot as a table, for judges; needs Polars, so readers never import it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pkgraph.snapshot.format import RELATION_TYPES
from pkgraph.tables import GRAPH_STATEMENTS

if TYPE_CHECKING:
    from pkgraph.snapshot.layout import Array, Strings
    from pkgraph.snapshot.reader import Snapshot


def statements_of(snapshot: Snapshot) -> pl.DataFrame:
    """GRAPH_STATEMENTS of the mapped bytes: a row a statement, with the edge it became."""
    s = snapshot.sections
    edge = np.repeat(np.arange(len(s.edge_target)), np.diff(s.edge_statement_offsets))
    types, n = np.array(RELATION_TYPES), len(s.statement_response)
    return GRAPH_STATEMENTS.conform(
        pl.DataFrame(
            {
                "relation_id": [s.relation_id(row) for row in range(n)],
                "edge": edge,
                "source_kind_id": _texts(s.kind_ids, s.edge_source[edge]),
                "relation_type": types[s.edge_type[edge]].tolist(),
                "rationale": _texts(s.rationale_texts, s.edge_rationale[edge]),
                "target_kind_id": _texts(s.kind_ids, s.edge_target[edge]),
                "explanation": _texts(s.edge_explanations, edge),
                "prompt_id": _texts(s.prompt_ids, s.response_prompt[s.statement_response]),
                "model": _texts(s.model_names, s.response_model[s.statement_response]),
                "probability": np.asarray(s.statement_probability),
                "edge_probability": s.edge_probability[edge],
            },
            schema_overrides={"source_kind_id": pl.String},
        )
    )


def _texts(strings: Strings, rows: Array) -> list[str | None]:
    return [strings[int(row)] if row >= 0 else None for row in rows]
