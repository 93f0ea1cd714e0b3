"""Products and accepted relations become the arrays of a snapshot; the order of the rows does not matter.

Statements of one source kind, relation type, rationale and target kind are one edge, however many models and
samples made them. The edge takes the probability and the sentence of the surest: the classifier has already
counted the agreement between models as evidence, so adding it here again would count it twice.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pkgraph.errors import CatalogError
from pkgraph.snapshot.cards import with_cards
from pkgraph.snapshot.coding import coded, floats, numbered, strings_of
from pkgraph.snapshot.format import Intake
from pkgraph.snapshot.index import index_words
from pkgraph.snapshot.layout import CompiledGraph, Sections
from pkgraph.snapshot.merging import merge_paths
from pkgraph.snapshot.paths import Edges, readings_of
from pkgraph.snapshot.slots import slots_of
from pkgraph.snapshot.statements import Statements, read_statements
from pkgraph.snapshot.threads import threads

if TYPE_CHECKING:
    from pkgraph.snapshot.layout import Array

_EMPTY = np.empty(0)


def compile_graph(
    products: pl.DataFrame, accepted: pl.DataFrame | pl.LazyFrame, *, has_cards: bool = True
) -> CompiledGraph:
    """Lay the graph out for reading.

    Args:
        products: Frame of the table PRODUCTS.
        accepted: Frame of the table ACCEPTED_RELATIONS, or a scan of its files, of which no more is held at
            once than numbers and one column of texts; a row whose source or target kind has no product,
            that names its source, or whose type is unknown is not compiled but counted.
        has_cards: Whether cards are laid out too. Of 30 million edges they take 2.3 GB of 8; who only
            publishes the graph does without, since they can be made while they are written.

    Raises:
        CatalogError: A SKU occurs twice.
        InputError: An answer was read under two prompts or models.
    """
    products = products.sort("sku")
    if products["sku"].n_unique() != products.height:
        raise CatalogError("A SKU occurs twice in the products.", remedy="Materialize `catalog` again.")
    kinds = _kinds_of(products)
    statements = read_statements(accepted.lazy(), kinds)
    with threads(statements.n_accepted) as pool:
        sentences = pool.submit(statements.sentences_of_edges)
        linked = pool.submit(_linked_sections, products, kinds, statements)
        words = pool.submit(_word_sections, products, kinds, statements.rationales)
    whole = dataclasses.replace(linked.result(), edge_explanations=sentences.result(), **words.result())
    complete = with_cards(whole) if has_cards else whole
    is_lonely = np.ones(kinds.height + 1, dtype=bool)
    is_lonely[complete.edge_source], is_lonely[complete.edge_target] = False, False
    intake = Intake(statements.n_accepted, statements.refused, int(is_lonely[: kinds.height].sum()))
    return CompiledGraph(complete, intake)


def _kinds_of(products: pl.DataFrame) -> pl.DataFrame:
    texts = [pl.col(name).min().fill_null("") for name in ("kind", "category", "department")]
    kinds = products.group_by("kind_id").agg(texts).sort("kind_id")
    return kinds.with_row_index("row").with_columns(pl.col("row").cast(pl.Int32))


def _catalog_sections(products: pl.DataFrame, kinds: pl.DataFrame) -> dict[str, Any]:
    placed = products.select("kind_id").join(kinds, on="kind_id", how="left", maintain_order="left")
    sku_kind = placed["row"].to_numpy().astype("<i4")
    popularity = floats(products["popularity"], 0.0)
    order = np.lexsort((np.arange(len(sku_kind)), -popularity, sku_kind))
    sku_ids = strings_of(products["sku"])
    brand_names, sku_brand = coded(products["brand"])
    category_names, kind_category = coded(kinds["category"])
    department_names, kind_department = coded(kinds["department"])
    return {
        "sku_ids": sku_ids,
        "sku_titles": strings_of(products["title"]),
        "sku_kind": sku_kind,
        "sku_popularity": popularity,
        "sku_price": floats(products["price"], float("nan")),
        "sku_brand": sku_brand,
        "sku_slots": slots_of(sku_ids),
        "brand_names": brand_names,
        "kind_ids": strings_of(kinds["kind_id"]),
        "kind_titles": strings_of(kinds["kind"]),
        "kind_category": kind_category,
        "kind_department": kind_department,
        "category_names": category_names,
        "department_names": department_names,
        "kind_sku_offsets": np.searchsorted(sku_kind[order], np.arange(kinds.height + 1)).astype("<i8"),
        "kind_skus": order.astype("<i4"),
    }


def _linked_sections(products: pl.DataFrame, kinds: pl.DataFrame, statements: Statements) -> Sections:
    """Everything but sentences, words and cards."""
    known = _catalog_sections(products, kinds) | _edge_sections(statements, kinds.height)
    s = Sections(**dict.fromkeys(Sections.__slots__, _EMPTY) | known)
    rows = merge_paths(s)
    n_kinds = rows.n_targets[kinds.height :]
    _, texts = numbered(statements.rationales["rationale"])
    return dataclasses.replace(
        s,
        row_offsets=rows.offsets,
        row_target=rows.target,
        row_weight=rows.weight,
        row_edge=rows.edge,
        row_via=rows.via,
        rationale_n_kinds=n_kinds,
        rationale_order=np.lexsort((texts, -n_kinds)).astype("<i4"),
    )


def _edge_sections(told: Statements, n_kinds: int) -> dict[str, Any]:
    first = told.edge_offsets[:-1]
    edges = Edges(
        source=np.where(told.source == n_kinds, -1, told.source).astype("<i4"),
        type=told.type,
        rationale=told.rationale,
        target=told.target,
        probability=told.probability[first],
        n_kinds=n_kinds,
        n_rationales=told.rationales.height,
    )
    readings = readings_of(edges)
    return {
        **{name: getattr(readings, name) for name in type(readings).__slots__},
        "rationale_ids": strings_of(told.rationales["rationale_id"]),
        "rationale_texts": strings_of(told.rationales["rationale"]),
        "rationale_is_asked": _is_asked(edges),
        "edge_source": edges.source,
        "edge_type": edges.type,
        "edge_rationale": edges.rationale,
        "edge_target": edges.target,
        "edge_probability": edges.probability,
        "edge_phrase": told.phrase[first],
        "edge_statement_offsets": told.edge_offsets,
        "statement_response": told.response,
        "statement_position": told.position,
        "statement_phrase": told.phrase,
        "statement_probability": told.probability,
        "statement_stated_confidence": told.stated_confidence,
        "statement_match_score": told.match_score,
        "response_ids": told.response_ids,
        "response_prompt": told.response_prompt,
        "response_model": told.response_model,
        "prompt_ids": told.prompt_ids,
        "model_names": told.model_names,
        "phrase_texts": told.phrase_texts,
    }


def _is_asked(edges: Edges) -> Array:
    asked = np.zeros(edges.n_rationales, dtype="<u1")
    asked[edges.rationale[edges.source < 0]] = 1
    return asked


def _word_sections(products: pl.DataFrame, kinds: pl.DataFrame, rationales: pl.DataFrame) -> dict[str, Any]:
    named = kinds.select(pl.concat_str("kind", "category", separator=" ")).to_series()
    documents = pl.concat([products["title"], named.alias("title"), rationales["rationale"].alias("title")])
    words, offsets, found = index_words(documents)
    return {"words": words, "posting_offsets": offsets, "posting_documents": found}
