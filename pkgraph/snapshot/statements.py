"""Accepted relations as numbers: a statement a row, in the order of the edges they become.

Texts of 30 million rows do not fit beside their numbers: the widest column alone takes 2.3 GB. So the frame
is scanned for the tables of ids and phrases, then for the numbers, and then for the sentences of the edges, a
few million rows at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from pkgraph.errors import InputError
from pkgraph.snapshot.coding import coded, place_texts, slices, strings_of
from pkgraph.snapshot.format import RELATION_TYPES
from pkgraph.snapshot.layout import Array, Strings

ROWS_AT_ONCE = 2_000_000
"""Sentences that are read at a time: about 150 MB, twice while they are read."""

_KEYS = ("source", "target", "type", "rationale")
REFUSALS = (
    "names_its_source",
    "source_not_in_catalog",
    "target_not_in_catalog",
    "unknown_relation_type",
)
"""Why an accepted row is not compiled."""

_SURENESS = (-pl.col("probability"), "response", "position", "phrase")


@dataclass(frozen=True, slots=True)
class Statements:
    """What was compiled of the accepted relations.

    Attributes:
        edge_offsets: int64 of shape (n_edges + 1,). Statements of one edge stand together, surest first.
        source: Kind, the number of kinds where the rationale itself was asked about.
        row: Place in the accepted relations.
        sentence_bytes: Length of the explanation of every accepted relation, in UTF-8; refused ones too.
        rationales: rationale_id and rationale, in the order of the ids.
        refused: Reason to the number of rows that were not compiled.
    """

    source: Array
    target: Array
    type: Array
    rationale: Array
    response: Array
    position: Array
    phrase: Array
    probability: Array
    stated_confidence: Array
    match_score: Array
    row: Array
    edge_offsets: Array
    rationales: pl.DataFrame
    response_ids: Strings
    response_prompt: Array
    response_model: Array
    prompt_ids: Strings
    model_names: Strings
    phrase_texts: Strings
    n_accepted: int
    refused: Mapping[str, int]
    sentence_bytes: Array
    accepted: pl.LazyFrame

    def sentences_of_edges(self) -> Strings:
        """The explanation of every edge's surest statement."""
        wanted = self.row[self.edge_offsets[:-1]]
        by_row = np.argsort(wanted, kind="stable")
        offsets = np.zeros(len(wanted) + 1, dtype="<i8")
        np.cumsum(self.sentence_bytes[wanted], out=offsets[1:])
        texts = np.empty(int(offsets[-1]), dtype="<u1")
        for part in slices(len(self.sentence_bytes), ROWS_AT_ONCE):
            edges = by_row[slice(*np.searchsorted(wanted, (part.start, part.stop), sorter=by_row))]
            scan = self.accepted.select("explanation").slice(part.start, part.stop - part.start)
            sentences = scan.collect(engine="streaming").to_series()
            for few in slices(len(edges)):
                rows = wanted[edges[few]] - part.start
                place_texts(texts, offsets[edges[few]], strings_of(sentences.gather(rows)))
        return Strings(offsets, texts)


def read_statements(accepted: pl.LazyFrame, kinds: pl.DataFrame) -> Statements:
    """Number, refuse and sort the accepted relations.

    Args:
        accepted: The table ACCEPTED_RELATIONS.
        kinds: kind_id and its row.

    Raises:
        InputError: An answer was read under two prompts or models.
    """
    tables = _tables_of(accepted)
    numbered = _numbered(accepted, kinds, tables).collect(engine="streaming")
    refused = numbered["refusal"].drop_nulls().cast(pl.String).value_counts().sort("refusal")
    kept = (
        numbered.with_row_index("row").filter(pl.col("refusal").is_null()).drop("refusal", "sentence_bytes")
    )
    sentence_bytes = numbered["sentence_bytes"].to_numpy()
    del numbered
    columns = _sorted(kept)
    del kept
    for name, table in tables.items():
        tables[name], columns[name] = _used(table, columns[name])
    responses = tables["response"]
    prompt_ids, response_prompt = coded(responses["prompt_id"])
    model_names, response_model = coded(responses["model"])
    return Statements(
        **columns,
        edge_offsets=_edge_offsets(columns),
        rationales=tables["rationale"],
        response_ids=strings_of(responses["response_id"]),
        response_prompt=response_prompt,
        response_model=response_model,
        prompt_ids=prompt_ids,
        model_names=model_names,
        phrase_texts=strings_of(tables["phrase"]["product"]),
        n_accepted=len(sentence_bytes),
        refused=dict(refused.iter_rows()),
        sentence_bytes=sentence_bytes,
        accepted=accepted,
    )


def _tables_of(accepted: pl.LazyFrame) -> dict[str, pl.DataFrame]:
    """Rationales, answers and product phrases, each in the order of its ids, numbered."""
    found = pl.collect_all(
        [
            accepted.select(columns).unique()
            for columns in (("rationale_id", "rationale"), ("response_id", "prompt_id", "model"), "product")
        ],
        engine="streaming",
    )
    spellings, responses, phrases = (frame.sort(frame.columns) for frame in found)
    rationales = spellings.unique("rationale_id", keep="first", maintain_order=True)
    torn = responses.filter(pl.col("response_id").is_duplicated())
    if torn.height:
        raise InputError(
            f"The answer {torn['response_id'][0]} stands under two prompts or models.",
            remedy="Materialize `relations` again.",
        )
    return {"rationale": rationales, "response": responses, "phrase": phrases}


def _place(column: str, texts: pl.Series) -> pl.Expr:
    """Place of the column's text among these, null where it is not one of them.

    As an enumeration a text finds its place where it stands; a join would move the rows.
    """
    return pl.col(column).cast(pl.Enum(texts), strict=False).to_physical().cast(pl.Int32)


def _numbered(
    accepted: pl.LazyFrame, kinds: pl.DataFrame, tables: Mapping[str, pl.DataFrame]
) -> pl.LazyFrame:
    """The accepted rows as numbers, in their order, and why a row is not compiled (null where it is)."""
    types = pl.Series([str(name) for name in RELATION_TYPES])
    numbered = accepted.select(
        _place("source_kind_id", kinds["kind_id"]).alias("source"),
        _place("target_kind_id", kinds["kind_id"]).alias("target"),
        _place("relation_type", types).fill_null(len(types)).cast(pl.UInt8).alias("type"),
        *(_place(table.columns[0], table.to_series(0)).alias(name) for name, table in tables.items()),
        pl.col("position").cast(pl.Int32),
        pl.col("probability").cast(pl.Float64),
        pl.col("stated_confidence").cast(pl.Float32),
        pl.col("match_score").cast(pl.Float32),
        sentence_bytes=pl.col("explanation").str.len_bytes(),
        has_source=pl.col("source_kind_id").is_not_null(),
    )
    refusal = (
        pl.when(pl.col("target").is_null())
        .then(pl.lit("target_not_in_catalog"))
        .when(pl.col("has_source") & pl.col("source").is_null())
        .then(pl.lit("source_not_in_catalog"))
        .when(pl.col("target") == pl.col("source"))
        .then(pl.lit("names_its_source"))
        .when(pl.col("type") == len(types))
        .then(pl.lit("unknown_relation_type"))
        .cast(pl.Enum(REFUSALS))
    )
    return numbered.with_columns(pl.col("source").fill_null(kinds.height), refusal=refusal).drop("has_source")


def _sorted(kept: pl.DataFrame) -> dict[str, Array]:
    """The columns in the order of the edges, the surest statement of each first."""
    order = _order_of(kept)
    return {name: kept[name].to_numpy()[order] for name in kept.columns}


def _order_of(kept: pl.DataFrame) -> Array:
    """Places of the rows by source and target, and only where these are equal by everything else.

    Source, target and place mostly fit into one integer, which NumPy sorts three times as fast as Polars
    sorts several columns.
    """
    source, target = kept["source"].to_numpy(), kept["target"].to_numpy()
    greatest = max(int(source.max(initial=1)), int(target.max(initial=1)))
    kind_bits, row_bits = greatest.bit_length(), kept.height.bit_length()
    if 2 * kind_bits + row_bits > 64:  # noqa: PLR2004 - bits of an integer
        return _sorted_places(kept)
    pair = source.astype(np.uint64) << np.uint64(kind_bits) | target.astype(np.uint64)
    packed = pair << np.uint64(row_bits) | np.arange(kept.height, dtype=np.uint64)
    packed.sort()
    order: Array = (packed & np.uint64((1 << row_bits) - 1)).astype(np.int64)
    packed >>= np.uint64(row_bits)
    is_tied = np.zeros(kept.height, dtype=bool)
    is_tied[1:] = packed[1:] == packed[:-1]
    is_tied[:-1] |= is_tied[1:]
    places = np.flatnonzero(is_tied)
    order[places] = order[places][_sorted_places(kept[order[places]])]
    return order


def _sorted_places(kept: pl.DataFrame) -> Array:
    places: Array = kept.select(pl.arg_sort_by(*_KEYS, *_SURENESS)).to_series().to_numpy()
    return places


def _used(table: pl.DataFrame, rows: Array) -> tuple[pl.DataFrame, Array]:
    """The table without what only refused rows name, and the rows in it."""
    is_used = np.zeros(table.height, dtype=bool)
    is_used[rows] = True
    place = np.cumsum(is_used, dtype="<i4") - 1
    return table.filter(pl.Series(is_used)), place[rows].astype("<i4")


def _edge_offsets(columns: Mapping[str, Array]) -> Array:
    n = len(columns["source"])
    differs = np.zeros(n, dtype=bool)
    differs[:1] = True
    for name in _KEYS:
        differs[1:] |= np.diff(columns[name]) != 0
    return np.append(np.flatnonzero(differs), n).astype("<i8")
