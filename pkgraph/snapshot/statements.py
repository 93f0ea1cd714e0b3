"""Accepted relations become statements: those that can be compiled, in the order of the edges they make.

The sentences of the edges are read at the end, a few million rows at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from pkgraph.snapshot.accepted import column_of, read_columns
from pkgraph.snapshot.coding import place_texts, strings_of, table_for
from pkgraph.snapshot.layout import Array, Strings
from pkgraph.snapshot.threads import beside, slices

ROWS_AT_ONCE = 2_000_000
"""Sentences that are read at a time by a thread: about 200 MB."""

_KEYS = ("source", "target", "type", "rationale")
REFUSALS = (
    "target_not_in_catalog",
    "source_not_in_catalog",
    "names_its_source",
    "unknown_relation_type",
)
"""Why an accepted row is not compiled; the first that holds counts."""

_SURENESS = (-pl.col("probability"), "response", "position", "phrase")
"""The order of the statements of an edge, the surest first."""


@dataclass(frozen=True, slots=True)
class Statements:
    """What was compiled of the accepted relations.

    Attributes:
        source: Of every edge the kind, the number of kinds where the rationale itself was asked about; so its
            target, type and rationale.
        edge_offsets: int64 of shape (n_edges + 1,). Statements of one edge stand together, surest first.
        response: Of every statement the answer it was read from; so all arrays down to match_score.
        rationales: rationale_id and rationale, in the order of the ids.
        response_ids: In their order; so the prompts, models and phrases.
        response_prompt: Of every answer its row of prompt_ids; so response_model.
        n_accepted: Rows that came in.
        refused: Reason to the number of rows that were not compiled.
        edge_of_row: int32; of every accepted relation the edge whose surest statement it is, or -1.
        sentence_bytes: Of every edge the length of its sentence in UTF-8.
        accepted: The relations themselves, for their sentences.
    """

    source: Array
    target: Array
    type: Array
    rationale: Array
    edge_offsets: Array
    response: Array
    position: Array
    phrase: Array
    probability: Array
    stated_confidence: Array
    match_score: Array
    rationales: pl.DataFrame
    response_ids: Strings
    response_prompt: Array
    response_model: Array
    prompt_ids: Strings
    model_names: Strings
    phrase_texts: Strings
    n_accepted: int
    refused: Mapping[str, int]
    edge_of_row: Array
    sentence_bytes: Array
    accepted: pl.LazyFrame

    def sentences_of_edges(self) -> Strings:
        """The explanation of every edge's surest statement."""
        table = table_for(self.sentence_bytes)

        def place(part: slice) -> None:
            scan = self.accepted.slice(part.start, part.stop - part.start)
            place_texts(table, self.edge_of_row[part], column_of(scan, "explanation"))

        beside(place, slices(self.n_accepted, ROWS_AT_ONCE), self.n_accepted)
        return table


def read_statements(accepted: pl.LazyFrame, kinds: pl.DataFrame) -> Statements:
    """Number, refuse and sort the accepted relations.

    Args:
        accepted: The table ACCEPTED_RELATIONS.
        kinds: kind_id and its row.

    Raises:
        InputError: An answer was read under two prompts or models.
    """
    columns, answers, rationales, phrases = read_columns(accepted, kinds)
    n_accepted, sentence_bytes = len(columns["source"]), columns.pop("sentence_bytes")
    kept, refused = _judged(columns)
    _sort(columns, kept)
    edge_offsets = _edge_offsets(columns)
    first = edge_offsets[:-1]
    edges = dict(zip(_KEYS, beside(lambda name: columns.pop(name)[first], _KEYS, len(first)), strict=True))
    row = columns.pop("row")[first]
    edge_of_row = np.full(n_accepted, -1, dtype="<i4")
    edge_of_row[row] = np.arange(len(row))
    is_named, columns["response"] = _used(len(answers.ids), columns["response"])
    prompts, response_prompt = _used_texts(answers.prompts, answers.prompt[is_named])
    models, response_model = _used_texts(answers.models, answers.model[is_named])
    phrases, columns["phrase"] = _used_texts(phrases, columns["phrase"])
    is_meant, edges["rationale"] = _used(rationales.height, edges["rationale"])
    return Statements(
        **edges,
        **columns,
        edge_offsets=edge_offsets,
        rationales=rationales.filter(is_meant),
        response_ids=strings_of(answers.ids.filter(pl.Series(is_named))),
        response_prompt=response_prompt,
        response_model=response_model,
        prompt_ids=strings_of(prompts),
        model_names=strings_of(models),
        phrase_texts=strings_of(phrases),
        n_accepted=n_accepted,
        refused=refused,
        edge_of_row=edge_of_row,
        sentence_bytes=sentence_bytes[row],
        accepted=accepted,
    )


def _judged(columns: Mapping[str, Array]) -> tuple[Array, dict[str, int]]:
    """Places of the rows that are compiled, and reason to the number of the others."""
    source, target = columns["source"], columns["target"]
    is_refused = (target < 0, source < 0, source == target, columns["type"] < 0)
    is_kept, refused = np.ones(len(source), dtype=bool), dict[str, int]()
    for reason, is_so in zip(REFUSALS, is_refused, strict=True):
        refused[reason] = int((is_kept & is_so).sum())
        is_kept &= ~is_so
    return np.flatnonzero(is_kept), {reason: count for reason, count in sorted(refused.items()) if count}


def _sort(columns: dict[str, Array], kept: Array) -> None:
    """Put the kept rows in the order of the edges, the surest of each first, and add their places."""
    order = _order_of(columns, kept)

    def sort(name: str) -> None:
        columns[name] = np.take(columns[name], order)  # a third faster than indexing

    beside(sort, list(columns), len(order))
    columns["type"], columns["row"] = columns["type"].astype("<u1"), order.astype("<i4")


def _order_of(columns: Mapping[str, Array], kept: Array) -> Array:
    """The kept places by source and target, and only where these are equal by everything else.

    Source, target and place mostly fit into one integer, which NumPy sorts three times as fast as Polars
    sorts several columns.
    """
    source, target = columns["source"][kept], columns["target"][kept]
    n, greatest = len(kept), max(int(source.max(initial=1)), int(target.max(initial=1)))
    kind_bits, row_bits = greatest.bit_length(), n.bit_length()
    if 2 * kind_bits + row_bits > 64:  # noqa: PLR2004 - bits of an integer
        return _sorted_places(columns, kept)
    packed = source.astype(np.uint64)
    packed <<= np.uint64(kind_bits)
    packed |= target.astype(np.uint64)
    packed <<= np.uint64(row_bits)
    packed |= np.arange(n, dtype=np.uint64)
    packed.sort()
    order: Array = kept[(packed & np.uint64((1 << row_bits) - 1)).astype(np.int64)]
    packed >>= np.uint64(row_bits)
    is_tied = np.zeros(n, dtype=bool)
    is_tied[1:] = packed[1:] == packed[:-1]
    is_tied[:-1] |= is_tied[1:]
    places = np.flatnonzero(is_tied)
    order[places] = _sorted_places(columns, order[places])
    return order


def _sorted_places(columns: Mapping[str, Array], places: Array) -> Array:
    """The places in the order of the edges, the surest statement of each first."""
    names = (*_KEYS, "probability", "response", "position", "phrase")
    kept = pl.DataFrame({name: columns[name][places] for name in names})
    found: Array = places[kept.select(pl.arg_sort_by(*_KEYS, *_SURENESS)).to_series().to_numpy()]
    return found


def _used(n: int, rows: Array) -> tuple[Array, Array]:
    """Which of n things are named by rows, and the rows among those."""
    is_used = np.zeros(n, dtype=bool)
    is_used[rows] = True
    place = np.cumsum(is_used, dtype="<i4") - np.int32(1)
    return is_used, place[rows].astype("<i4", copy=False)


def _used_texts(texts: pl.Series, rows: Array) -> tuple[pl.Series, Array]:
    is_used, rows = _used(len(texts), rows)
    return texts.filter(pl.Series(is_used)), rows


def _edge_offsets(columns: Mapping[str, Array]) -> Array:
    """Where the statements of every edge start; they stand in the order of the edges."""
    n = len(columns["source"])
    differs = np.zeros(n, dtype=bool)
    differs[:1] = True
    for name in _KEYS:
        differs[1:] |= columns[name][1:] != columns[name][:-1]
    return np.append(np.flatnonzero(differs), n).astype("<i8")
