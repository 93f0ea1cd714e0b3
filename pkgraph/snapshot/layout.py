"""What a snapshot holds, as NumPy reads it: the arrays of `pkgraph.snapshot.format` and what each means.

A node is a kind or a rationale: kinds come first (0 to n_kinds - 1), rationales follow.
Rows of SKUs, kinds and rationales are in the order of their ids: a tie broken by row is a tie broken by id.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pkgraph.snapshot.format import SPECS
from pkgraph.snapshot.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pkgraph.snapshot.format import Intake
    from pkgraph.snapshot.texts import Buffer

Array = npt.NDArray[Any]


class Strings(Texts):
    """The same over arrays of NumPy."""

    __slots__ = ()

    offsets: Array
    data: Array

    @classmethod
    def of(cls, texts: Sequence[str]) -> Strings:
        encoded = [text.encode() for text in texts]
        offsets = np.zeros(len(encoded) + 1, dtype="<i8")
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(encoded), dtype="<u1"))


@dataclass(frozen=True, slots=True)
class Sections:
    """Every array of a snapshot; SPECS has the dimension and the dtype of each.

    Attributes:
        sku_popularity: Share of baskets, 0-1.
        sku_price: The shop's currency, NaN where unknown.
        sku_brand: Row of brand_names, -1 where unknown.
        sku_slots: Hash table from SKU to row, see pkgraph.snapshot.slots.
        kind_skus: SKU rows of every kind, most popular first, ties by SKU.
        rationale_n_kinds: Different kinds that its paths lead to.
        rationale_is_asked: 1 where a model was asked about it directly.
        rationale_order: Rows of rationales, the most widely served first, ties by their words.
        edge_offsets: Edges by source kind; those without one, of a rationale that was asked about, come last.
        edge_source: Kind, -1 where the rationale itself was asked about.
        edge_probability: Share 0-1, the surest of the statements that were merged.
        edge_weight: Integer weight of the statement as it was made.
        edge_inferred_weight: Integer weight where it is read off the statement instead, see paths.
        edge_phrase: Row of phrase_texts, the product phrase of the surest statement.
        edge_explanations: The sentence of the surest statement.
        statement_position: Place in the answer's list; a relation's id is "response_id-position".
        statement_probability: Share 0-1 of the single statement; statements of an edge stand surest first.
        backward_edges: For every kind the edges that end there and may be read from there; ascending.
        rationale_edges: For every rationale its edges; ascending.
        shared_edge: Edge that ends at the other kind which was named for one purpose.
        shared_via: Edge that ties the kind itself to that purpose.
        row_weight: Sum of the weights of the node's paths to that target; descending, ties by target.
        row_edge: Edge of the heaviest of these paths, ties by edge and via.
        row_via: Its edge that ties the node to the same purpose, -1 where the path is one edge.
        sku_cards: What an answer says of a SKU, together; so of kinds, edges and rows. Cards repeat the
            arrays above, see pkgraph.snapshot.cards.
        posting_documents: SKU rows, then kinds (+ n_skus), then rationales (+ n_skus + n_kinds); ascending.
    """

    sku_ids: Strings
    sku_titles: Strings
    sku_kind: Array
    sku_popularity: Array
    sku_price: Array
    sku_brand: Array
    sku_slots: Array
    brand_names: Strings
    kind_ids: Strings
    kind_titles: Strings
    kind_category: Array
    kind_department: Array
    category_names: Strings
    department_names: Strings
    kind_sku_offsets: Array
    kind_skus: Array
    rationale_ids: Strings
    rationale_texts: Strings
    rationale_n_kinds: Array
    rationale_is_asked: Array
    rationale_order: Array
    edge_offsets: Array
    edge_source: Array
    edge_type: Array
    edge_rationale: Array
    edge_target: Array
    edge_probability: Array
    edge_weight: Array
    edge_inferred_weight: Array
    edge_phrase: Array
    edge_explanations: Strings
    edge_statement_offsets: Array
    statement_response: Array
    statement_position: Array
    statement_phrase: Array
    statement_probability: Array
    statement_stated_confidence: Array
    statement_match_score: Array
    response_ids: Strings
    response_prompt: Array
    response_model: Array
    prompt_ids: Strings
    model_names: Strings
    phrase_texts: Strings
    backward_offsets: Array
    backward_edges: Array
    rationale_edge_offsets: Array
    rationale_edges: Array
    shared_offsets: Array
    shared_edge: Array
    shared_via: Array
    shared_weight: Array
    row_offsets: Array
    row_target: Array
    row_weight: Array
    row_edge: Array
    row_via: Array
    sku_cards: Array
    kind_cards: Array
    edge_cards: Array
    row_cards: Array
    words: Strings
    posting_offsets: Array
    posting_documents: Array

    def relation_id(self, statement: int) -> str:
        """Key of a statement: the answer it was read from, and its place there."""
        response = self.response_ids[int(self.statement_response[statement])]
        return f"{response}-{int(self.statement_position[statement])}"

    def surest_relation_id(self, edge: int) -> str:
        return self.relation_id(int(self.edge_statement_offsets[edge]))

    def category_of(self, kind: int) -> str:
        return self.category_names[int(self.kind_category[kind])]


def to_arrays(sections: Sections) -> dict[str, Array]:
    """The sections as named flat arrays, in the order of SPECS."""
    arrays: dict[str, Array] = {}
    for section in fields(Sections):
        value = getattr(sections, section.name)
        if isinstance(value, Strings):
            arrays[f"{section.name}.offsets"], arrays[f"{section.name}.bytes"] = value.offsets, value.data
        else:
            arrays[section.name] = value
    return arrays


def from_arrays(arrays: Mapping[str, Array]) -> Sections:
    """The sections over the given arrays; nothing is copied."""
    values: dict[str, Any] = {}
    for section in fields(Sections):
        if section.name not in arrays:
            values[section.name] = Strings(arrays[f"{section.name}.offsets"], arrays[f"{section.name}.bytes"])
        else:
            values[section.name] = arrays[section.name]
    return Sections(**values)


def sections_over(buffers: Mapping[str, Buffer]) -> Sections:
    """The sections over the buffers of an opened snapshot; nothing is copied."""
    # A plain ndarray view: slicing np.memmap itself costs three times as much.
    return from_arrays({spec.name: np.frombuffer(buffers[spec.name], dtype=spec.dtype) for spec in SPECS})


@dataclass(frozen=True, slots=True)
class CompiledGraph:
    """A graph in memory, ready to be published."""

    sections: Sections
    intake: Intake

    @property
    def has_cards(self) -> bool:
        return len(self.sections.sku_cards) > 0

    @property
    def n_edges(self) -> int:
        return len(self.sections.edge_target)

    @property
    def n_skus(self) -> int:
        return len(self.sections.sku_kind)
