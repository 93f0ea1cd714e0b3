"""What a snapshot holds, array by array: the writer, the reader, the rules and the tests walk this one list.

A node is a kind or a rationale: kinds come first (0 to n_kinds - 1), rationales follow.
Rows of SKUs, kinds and rationales are in the order of their ids: a tie broken by row is a tie broken by id.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import numpy as np
import numpy.typing as npt

from pkgraph.model import RelationType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Array = npt.NDArray[Any]

FORMAT_VERSION = 2
MIN_READER_VERSION = 1
"""A reader of format 1 passes over the cards, and reads the rest as it was."""

CARDS = ("sku_cards", "kind_cards", "rationale_cards", "edge_cards")
"""Sections that repeat others."""

FIRST_WITH_CARDS = 2
"""Snapshots of format 1 have none."""

RELATION_TYPES = tuple(RelationType)
"""A relation type is stored as its place in this tuple; the manifest repeats the names."""

HOLDS_BOTH_WAYS = frozenset(
    {
        RelationType.COMPLEMENT,
        RelationType.INGREDIENT,
        RelationType.OCCASION,
        RelationType.AUDIENCE,
        RelationType.SUBSTITUTE,
    }
)
"""Types that are read from target to source too; docs/adr says why an accessory is not."""

SHARES_A_PURPOSE = HOLDS_BOTH_WAYS - {RelationType.SUBSTITUTE}
"""Types whose source serves the rationale as its target does; what stands in for a thing need not."""

MAX_ROW = 32
"""Merged targets kept a node. A prototype lost 1.7 % of recall@10 at 2 M SKUs; 50 cost 2.3x the bytes."""

WEIGHT_SCALE = 4096
"""A weight is round(-ln(1 - share) * WEIGHT_SCALE): adding integers is the noisy-or, bit-equal everywhere."""

MAX_SHARE = 1 - 2**-12
"""Surer than this counts as this, so that one path cannot weigh more than all others together."""

# Texts that are copied out at a time: few enough that 30 million of them never stand in memory twice.
_BLOCK = 65_536


class Strings:
    """A table of texts as one run of UTF-8 bytes and where each text starts.

    Attributes:
        offsets: int64 of shape (n + 1,). Text i is data[offsets[i]:offsets[i + 1]].
        data: uint8, the texts one after the other.
    """

    __slots__ = ("data", "offsets")

    def __init__(self, offsets: Array, data: Array) -> None:
        self.offsets = offsets
        self.data = data

    @classmethod
    def of(cls, texts: Sequence[str]) -> Strings:
        encoded = [text.encode() for text in texts]
        offsets = np.zeros(len(encoded) + 1, dtype="<i8")
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(encoded), dtype="<u1"))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> str:
        return self.raw(row).decode()

    def __iter__(self) -> Iterator[str]:
        """Every text, a block at a time: a third of what asking row by row costs."""
        for first in range(0, len(self), _BLOCK):
            bounds = self.offsets[first : first + _BLOCK + 1].tolist()
            block = self.data[bounds[0] : bounds[-1]].tobytes()
            for start, end in pairwise(bounds):
                yield block[start - bounds[0] : end - bounds[0]].decode()

    def raw(self, row: int) -> bytes:
        if not 0 <= row < len(self):  # list() and bisect end on it; a negative row would read another text
            raise IndexError(row)
        start, end = self.offsets[row : row + 2].tolist()
        return self.data[start:end].tobytes()

    def find(self, text: str) -> int:
        """Row of the text in a sorted table, -1 where it is not there."""
        key = text.encode(errors="surrogatepass")
        row = bisect.bisect_left(range(len(self)), key, key=self.raw)
        return row if row < len(self) and self.raw(row) == key else -1

    def starting_with(self, prefix: str) -> range:
        """Rows of a sorted table whose text starts so."""
        key = prefix.encode(errors="surrogatepass")
        rows = range(len(self))
        first = bisect.bisect_left(rows, key, key=self.raw)
        last = bisect.bisect_left(rows, True, lo=first, key=lambda row: not self.raw(row).startswith(key))
        return range(first, last)


@dataclass(frozen=True, slots=True)
class Sections:
    """Every array of a snapshot, in the order of the data.

    Beside every array stands its dimension and, where it is no text, its dtype.
    A dimension `x+1` marks offsets in compressed sparse row form: item i owns [offsets[i], offsets[i + 1]).

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
        sku_cards: What an answer says of a SKU, together; so of kinds, rationales and edges. Cards repeat
            the arrays above, see pkgraph.snapshot.cards.
        posting_documents: SKU rows, then kinds (+ n_skus), then rationales (+ n_skus + n_kinds); ascending.
    """

    sku_ids: Annotated[Strings, "skus"]
    sku_titles: Annotated[Strings, "skus"]
    sku_kind: Annotated[Array, "skus", "<i4"]
    sku_popularity: Annotated[Array, "skus", "<f8"]
    sku_price: Annotated[Array, "skus", "<f8"]
    sku_brand: Annotated[Array, "skus", "<i4"]
    sku_slots: Annotated[Array, "slots", "<u8"]
    brand_names: Annotated[Strings, "brands"]
    kind_ids: Annotated[Strings, "kinds"]
    kind_titles: Annotated[Strings, "kinds"]
    kind_category: Annotated[Array, "kinds", "<i4"]
    kind_department: Annotated[Array, "kinds", "<i4"]
    category_names: Annotated[Strings, "categories"]
    department_names: Annotated[Strings, "departments"]
    kind_sku_offsets: Annotated[Array, "kinds+1", "<i8"]
    kind_skus: Annotated[Array, "skus", "<i4"]
    rationale_ids: Annotated[Strings, "rationales"]
    rationale_texts: Annotated[Strings, "rationales"]
    rationale_n_kinds: Annotated[Array, "rationales", "<i4"]
    rationale_is_asked: Annotated[Array, "rationales", "<u1"]
    rationale_order: Annotated[Array, "rationales", "<i4"]
    edge_offsets: Annotated[Array, "kinds+2", "<i8"]
    edge_source: Annotated[Array, "edges", "<i4"]
    edge_type: Annotated[Array, "edges", "<u1"]
    edge_rationale: Annotated[Array, "edges", "<i4"]
    edge_target: Annotated[Array, "edges", "<i4"]
    edge_probability: Annotated[Array, "edges", "<f8"]
    edge_weight: Annotated[Array, "edges", "<u4"]
    edge_inferred_weight: Annotated[Array, "edges", "<u4"]
    edge_phrase: Annotated[Array, "edges", "<i4"]
    edge_explanations: Annotated[Strings, "edges"]
    edge_statement_offsets: Annotated[Array, "edges+1", "<i8"]
    statement_response: Annotated[Array, "statements", "<i4"]
    statement_position: Annotated[Array, "statements", "<i4"]
    statement_phrase: Annotated[Array, "statements", "<i4"]
    statement_probability: Annotated[Array, "statements", "<f8"]
    statement_stated_confidence: Annotated[Array, "statements", "<f4"]
    statement_match_score: Annotated[Array, "statements", "<f4"]
    response_ids: Annotated[Strings, "responses"]
    response_prompt: Annotated[Array, "responses", "<i4"]
    response_model: Annotated[Array, "responses", "<i4"]
    prompt_ids: Annotated[Strings, "prompts"]
    model_names: Annotated[Strings, "models"]
    phrase_texts: Annotated[Strings, "phrases"]
    backward_offsets: Annotated[Array, "kinds+1", "<i8"]
    backward_edges: Annotated[Array, "backwards", "<i4"]
    rationale_edge_offsets: Annotated[Array, "rationales+1", "<i8"]
    rationale_edges: Annotated[Array, "edges", "<i4"]
    shared_offsets: Annotated[Array, "kinds+1", "<i8"]
    shared_edge: Annotated[Array, "shared", "<i4"]
    shared_via: Annotated[Array, "shared", "<i4"]
    shared_weight: Annotated[Array, "shared", "<u4"]
    row_offsets: Annotated[Array, "nodes+1", "<i8"]
    row_target: Annotated[Array, "rows", "<i4"]
    row_weight: Annotated[Array, "rows", "<u4"]
    row_edge: Annotated[Array, "rows", "<i4"]
    row_via: Annotated[Array, "rows", "<i4"]
    sku_cards: Annotated[Array, "sku_cards", "<u8"]
    kind_cards: Annotated[Array, "kind_cards", "<u8"]
    rationale_cards: Annotated[Array, "rationale_cards", "<u8"]
    edge_cards: Annotated[Array, "edge_cards", "<u8"]
    words: Annotated[Strings, "words"]
    posting_offsets: Annotated[Array, "words+1", "<i8"]
    posting_documents: Annotated[Array, "postings", "<i4"]

    def relation_id(self, statement: int) -> str:
        """Key of a statement: the answer it was read from, and its place there."""
        response = self.response_ids[int(self.statement_response[statement])]
        return f"{response}-{int(self.statement_position[statement])}"

    def surest_relation_id(self, edge: int) -> str:
        return self.relation_id(int(self.edge_statement_offsets[edge]))

    def category_of(self, kind: int) -> str:
        return self.category_names[int(self.kind_category[kind])]


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One file of a snapshot."""

    name: str
    dtype: str
    dimension: str

    @property
    def file_name(self) -> str:
        return f"{self.name}.arr"


def _specs() -> Iterator[ArraySpec]:
    for name, hint in get_type_hints(Sections, include_extras=True).items():
        dimension, *dtype = hint.__metadata__
        if dtype:
            yield ArraySpec(name, dtype[0], dimension)
        else:
            yield ArraySpec(f"{name}.offsets", "<i8", f"{dimension}+1")
            yield ArraySpec(f"{name}.bytes", "<u1", f"{name}.bytes")


SPECS = tuple(_specs())

OFFSETS = {
    "kind_sku_offsets": "skus",
    "edge_offsets": "edges",
    "edge_statement_offsets": "statements",
    "backward_offsets": "backwards",
    "rationale_edge_offsets": "edges",
    "shared_offsets": "shared",
    "row_offsets": "rows",
    "posting_offsets": "postings",
    **{spec.name: f"{spec.name.removesuffix('.offsets')}.bytes" for spec in SPECS if ".offsets" in spec.name},
}
"""Offsets array to the dimension that its last entry must equal."""


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


@dataclass(frozen=True, slots=True)
class Intake:
    """Where the rows given to the compiler went: none disappears.

    Attributes:
        n_accepted: Accepted rows that came in.
        refused: Reason to the number of accepted rows that were not compiled.
        kinds_without_relations: Kinds of the catalog that are in no edge.
    """

    n_accepted: int
    refused: Mapping[str, int]
    kinds_without_relations: int


@dataclass(frozen=True, slots=True)
class CompiledGraph:
    """A graph in memory, ready to be published."""

    sections: Sections
    intake: Intake

    @property
    def n_edges(self) -> int:
        return len(self.sections.edge_target)

    @property
    def n_skus(self) -> int:
        return len(self.sections.sku_kind)
