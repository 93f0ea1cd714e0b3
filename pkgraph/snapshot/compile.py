"""Products and accepted relations become the arrays of a snapshot; the order of the rows does not matter.

Statements of one source kind, relation type, rationale and target kind are one edge, however many models and
samples made them. The edge takes the probability and the sentence of the surest: the classifier has already
counted the agreement between models as evidence, so adding it here again would count it twice.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pkgraph.errors import CatalogError
from pkgraph.snapshot.layout import RELATION_TYPES, Array, CompiledGraph, Intake, Sections, Strings
from pkgraph.snapshot.paths import Edges, find_paths, merge_paths
from pkgraph.snapshot.words import index_words

if TYPE_CHECKING:
    from collections.abc import Iterator

_EDGE = ("source", "target", "type", "rationale_id")


def compile_graph(products: pl.DataFrame, accepted: pl.DataFrame) -> CompiledGraph:
    """Lay the graph out for reading.

    Args:
        products: Frame of the table PRODUCTS.
        accepted: Frame of the table ACCEPTED_RELATIONS; a row whose source or target kind has no product,
            that names its source, or whose type is unknown is not compiled but counted.

    Raises:
        CatalogError: A SKU occurs twice.
    """
    products = products.sort("sku")
    if products["sku"].n_unique() != products.height:
        raise CatalogError("A SKU occurs twice in the products.", remedy="Materialize `catalog` again.")
    kinds = _kinds_of(products)
    judged = _with_refusals(accepted, kinds)
    statements = judged.filter(pl.col("refusal").is_null()).sort(
        *_EDGE,
        pl.col("probability"),
        "relation_id",
        "product",
        "explanation",
        descending=[False] * 4 + [True] + [False] * 3,
    )
    sections = _sections(products, kinds, statements)
    return CompiledGraph(sections, _intake(judged, kinds))


def _kinds_of(products: pl.DataFrame) -> pl.DataFrame:
    texts = [pl.col(name).min().fill_null("") for name in ("kind", "category", "department")]
    kinds = products.group_by("kind_id").agg(texts).sort("kind_id")
    return kinds.with_row_index("row").with_columns(pl.col("row").cast(pl.Int32))


def _with_refusals(accepted: pl.DataFrame, kinds: pl.DataFrame) -> pl.DataFrame:
    """The accepted rows with kinds and types as numbers, and why a row is not compiled (null where it is)."""
    rows = kinds.select("kind_id", "row")
    codes = {str(name): code for code, name in enumerate(RELATION_TYPES)}
    joined = accepted.join(
        rows.rename({"row": "target"}), left_on="target_kind_id", right_on="kind_id", how="left"
    ).join(rows.rename({"row": "source"}), left_on="source_kind_id", right_on="kind_id", how="left")
    is_ghost = pl.col("source_kind_id").is_not_null() & pl.col("source").is_null()
    return joined.with_columns(
        pl.col("relation_type").replace_strict(codes, default=None, return_dtype=pl.UInt8).alias("type"),
        pl.col("source").fill_null(-1),
        pl.when(pl.col("target").is_null())
        .then(pl.lit("target_not_in_catalog"))
        .when(is_ghost)
        .then(pl.lit("source_not_in_catalog"))
        .when(pl.col("target") == pl.col("source"))
        .then(pl.lit("names_its_source"))
        .when(~pl.col("relation_type").is_in(list(codes)))
        .then(pl.lit("unknown_relation_type"))
        .alias("refusal"),
    )


def _intake(judged: pl.DataFrame, kinds: pl.DataFrame) -> Intake:
    refused = judged.drop_nulls("refusal").group_by("refusal").len().sort("refusal")
    kept = judged.filter(pl.col("refusal").is_null())
    touched = pl.concat([kept["source"], kept["target"]]).unique()
    return Intake(
        n_accepted=judged.height,
        refused=dict(refused.iter_rows()),
        kinds_without_relations=kinds.height - int((touched >= 0).sum()),
    )


def _coded(column: pl.Series) -> tuple[Strings, Array]:
    """The distinct texts, sorted, and the row of each value's text (-1 where null)."""
    texts = Strings.of(column.drop_nulls().unique().sort().to_list())
    codes = column.rank("dense").cast(pl.Int64) - 1
    return texts, codes.fill_null(-1).to_numpy().astype("<i4")


def _floats(column: pl.Series, missing: float) -> Array:
    return column.cast(pl.Float64).fill_null(missing).to_numpy().astype("<f8")


def _kind_skus(products: pl.DataFrame, sku_kind: Array, n_kinds: int) -> tuple[Array, Array]:
    popularity = _floats(products["popularity"], 0.0)
    order = np.lexsort((np.arange(len(sku_kind)), -popularity, sku_kind))
    offsets = np.searchsorted(sku_kind[order], np.arange(n_kinds + 1)).astype("<i8")
    return offsets, order.astype("<i4")


def _documents(products: pl.DataFrame, kinds: pl.DataFrame, rationales: pl.DataFrame) -> Iterator[str]:
    named = kinds.select(pl.concat_str("kind", "category", separator=" "))
    return chain(products["title"], named.to_series(), rationales["rationale"])


def _sections(products: pl.DataFrame, kinds: pl.DataFrame, statements: pl.DataFrame) -> Sections:
    rationales = statements.group_by("rationale_id").agg(pl.col("rationale").min()).sort("rationale_id")
    sku_kind = (
        products.join(kinds, on="kind_id", how="left", maintain_order="left")["row"].to_numpy().astype("<i4")
    )
    kind_sku_offsets, kind_skus = _kind_skus(products, sku_kind, kinds.height)
    brand_names, sku_brand = _coded(products["brand"])
    edges = _edges(statements, rationales)
    arrays = _edge_arrays(edges, kinds.height, rationales.height)
    words, posting_offsets, posting_documents = index_words(_documents(products, kinds, rationales))
    return Sections(
        sku_ids=Strings.of(products["sku"].to_list()),
        sku_titles=Strings.of(products["title"].to_list()),
        sku_kind=sku_kind,
        sku_popularity=_floats(products["popularity"], 0.0),
        sku_price=_floats(products["price"], float("nan")),
        sku_brand=sku_brand,
        brand_names=brand_names,
        kind_ids=Strings.of(kinds["kind_id"].to_list()),
        kind_titles=Strings.of(kinds["kind"].to_list()),
        kind_categories=Strings.of(kinds["category"].to_list()),
        kind_departments=Strings.of(kinds["department"].to_list()),
        kind_sku_offsets=kind_sku_offsets,
        kind_skus=kind_skus,
        rationale_ids=Strings.of(rationales["rationale_id"].to_list()),
        rationale_texts=Strings.of(rationales["rationale"].to_list()),
        **_edge_sections(edges, arrays),
        **_statement_sections(edges, statements),
        **_path_sections(arrays),
        words=words,
        posting_offsets=posting_offsets,
        posting_documents=posting_documents,
    )


def _edges(statements: pl.DataFrame, rationales: pl.DataFrame) -> pl.DataFrame:
    numbered = rationales.select("rationale_id").with_row_index("rationale_row")
    surest = [pl.col(name).first() for name in ("probability", "explanation")]
    edges = statements.group_by(*_EDGE, maintain_order=True).agg(*surest, pl.len())
    return edges.join(numbered, on="rationale_id", how="left", maintain_order="left")


def _edge_arrays(edges: pl.DataFrame, n_kinds: int, n_rationales: int) -> Edges:
    return Edges(
        source=edges["source"].to_numpy().astype("<i4"),
        type=edges["type"].to_numpy().astype("<u1"),
        rationale=edges["rationale_row"].to_numpy().astype("<i4"),
        target=edges["target"].to_numpy().astype("<i4"),
        probability=_floats(edges["probability"], float("nan")),
        n_kinds=n_kinds,
        n_rationales=n_rationales,
    )


def _edge_sections(edges: pl.DataFrame, arrays: Edges) -> dict[str, Any]:
    explanation_texts, edge_explanation = _coded(edges["explanation"])
    return {
        "edge_source": arrays.source,
        "edge_type": arrays.type,
        "edge_rationale": arrays.rationale,
        "edge_target": arrays.target,
        "edge_probability": arrays.probability,
        "edge_explanation": edge_explanation,
        "explanation_texts": explanation_texts,
    }


def _statement_sections(edges: pl.DataFrame, statements: pl.DataFrame) -> dict[str, Any]:
    coded = {name: _coded(statements[name]) for name in ("prompt_id", "response_id", "model", "product")}
    offsets = np.zeros(edges.height + 1, dtype="<i8")
    np.cumsum(edges["len"].to_numpy(), out=offsets[1:])
    return {
        "edge_statement_offsets": offsets,
        "statement_relation_ids": Strings.of(statements["relation_id"].to_list()),
        "statement_prompt": coded["prompt_id"][1],
        "statement_response": coded["response_id"][1],
        "statement_model": coded["model"][1],
        "statement_phrase": coded["product"][1],
        "statement_probability": _floats(statements["probability"], float("nan")),
        "statement_stated_confidence": _floats(statements["stated_confidence"], float("nan")),
        "statement_match_score": _floats(statements["match_score"], float("nan")),
        "prompt_ids": coded["prompt_id"][0],
        "response_ids": coded["response_id"][0],
        "model_names": coded["model"][0],
        "phrase_texts": coded["product"][0],
    }


def _path_sections(arrays: Edges) -> dict[str, Any]:
    n_nodes = arrays.n_kinds + arrays.n_rationales
    paths = find_paths(arrays)
    rows = merge_paths(paths, n_nodes)
    return {
        "path_offsets": paths.offsets(n_nodes),
        "path_target": paths.target,
        "path_edge": paths.edge,
        "path_via": paths.via,
        "path_weight": paths.weight,
        "row_offsets": rows.offsets,
        "row_target": rows.target,
        "row_weight": rows.weight,
        "row_path": rows.path,
    }
