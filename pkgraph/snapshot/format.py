"""The format of a snapshot, array by array: writer, reader, rules and tests walk this one list.

Opening a snapshot and answering from it with the compiled kernel needs no more than this, so nothing here
needs NumPy. What the arrays mean is said of `pkgraph.snapshot.layout.Sections`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pkgraph.model import RelationType

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT_VERSION = 3
MIN_READER_VERSION = 3
"""A reader of format 2 would look for the cards of that one."""

CARDS = ("sku_cards", "kind_cards", "edge_cards", "row_cards")
"""Sections that repeat others."""

FIRST_WITH_CARDS = 3
"""Snapshots of format 1 have none, those of format 2 others."""

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

SHARED_TYPES = sum(1 << code for code, name in enumerate(RELATION_TYPES) if name in SHARES_A_PURPOSE)
"""SHARES_A_PURPOSE as bits, for the compiled kernel."""

MAX_ROW = 32
"""Merged targets kept a node. A prototype lost 1.7 % of recall@10 at 2 M SKUs; 50 cost 2.3x the bytes."""

MICRO = 1_000_000
"""Shares are kept in cards, and shown, in millionths."""

WEIGHT_SCALE = 4096
"""A weight is round(-ln(1 - share) * WEIGHT_SCALE): adding integers is the noisy-or, bit-equal everywhere."""

MAX_SHARE = 1 - 2**-12
"""Surer than this counts as this, so that one path cannot weigh more than all others together."""


class ArraySpec(NamedTuple):
    """One file of a snapshot.

    Attributes:
        dtype: As NumPy spells it; little-endian.
        dimension: Whose length it has. `x+1` marks offsets in compressed sparse row form: item i owns
            [offsets[i], offsets[i + 1]).
    """

    name: str
    dtype: str
    dimension: str

    @property
    def file_name(self) -> str:
        return f"{self.name}.arr"

    @property
    def width(self) -> int:
        """Bytes of a value."""
        return int(self.dtype[2:])


def _texts(name: str, dimension: str) -> tuple[ArraySpec, ArraySpec]:
    """A table of texts: where each starts, and the bytes of all."""
    return ArraySpec(f"{name}.offsets", "<i8", f"{dimension}+1"), ArraySpec(
        f"{name}.bytes", "<u1", f"{name}.bytes"
    )


SPECS = (
    *_texts("sku_ids", "skus"),
    *_texts("sku_titles", "skus"),
    ArraySpec("sku_kind", "<i4", "skus"),
    ArraySpec("sku_popularity", "<f8", "skus"),
    ArraySpec("sku_price", "<f8", "skus"),
    ArraySpec("sku_brand", "<i4", "skus"),
    ArraySpec("sku_slots", "<u8", "slots"),
    *_texts("brand_names", "brands"),
    *_texts("kind_ids", "kinds"),
    *_texts("kind_titles", "kinds"),
    ArraySpec("kind_category", "<i4", "kinds"),
    ArraySpec("kind_department", "<i4", "kinds"),
    *_texts("category_names", "categories"),
    *_texts("department_names", "departments"),
    ArraySpec("kind_sku_offsets", "<i8", "kinds+1"),
    ArraySpec("kind_skus", "<i4", "skus"),
    *_texts("rationale_ids", "rationales"),
    *_texts("rationale_texts", "rationales"),
    ArraySpec("rationale_n_kinds", "<i4", "rationales"),
    ArraySpec("rationale_is_asked", "<u1", "rationales"),
    ArraySpec("rationale_order", "<i4", "rationales"),
    ArraySpec("edge_offsets", "<i8", "kinds+2"),
    ArraySpec("edge_source", "<i4", "edges"),
    ArraySpec("edge_type", "<u1", "edges"),
    ArraySpec("edge_rationale", "<i4", "edges"),
    ArraySpec("edge_target", "<i4", "edges"),
    ArraySpec("edge_probability", "<f8", "edges"),
    ArraySpec("edge_weight", "<u4", "edges"),
    ArraySpec("edge_inferred_weight", "<u4", "edges"),
    ArraySpec("edge_phrase", "<i4", "edges"),
    *_texts("edge_explanations", "edges"),
    ArraySpec("edge_statement_offsets", "<i8", "edges+1"),
    ArraySpec("statement_response", "<i4", "statements"),
    ArraySpec("statement_position", "<i4", "statements"),
    ArraySpec("statement_phrase", "<i4", "statements"),
    ArraySpec("statement_probability", "<f8", "statements"),
    ArraySpec("statement_stated_confidence", "<f4", "statements"),
    ArraySpec("statement_match_score", "<f4", "statements"),
    *_texts("response_ids", "responses"),
    ArraySpec("response_prompt", "<i4", "responses"),
    ArraySpec("response_model", "<i4", "responses"),
    *_texts("prompt_ids", "prompts"),
    *_texts("model_names", "models"),
    *_texts("phrase_texts", "phrases"),
    ArraySpec("backward_offsets", "<i8", "kinds+1"),
    ArraySpec("backward_edges", "<i4", "backwards"),
    ArraySpec("rationale_edge_offsets", "<i8", "rationales+1"),
    ArraySpec("rationale_edges", "<i4", "edges"),
    ArraySpec("shared_offsets", "<i8", "kinds+1"),
    ArraySpec("shared_edge", "<i4", "shared"),
    ArraySpec("shared_via", "<i4", "shared"),
    ArraySpec("shared_weight", "<u4", "shared"),
    ArraySpec("row_offsets", "<i8", "nodes+1"),
    ArraySpec("row_target", "<i4", "rows"),
    ArraySpec("row_weight", "<u4", "rows"),
    ArraySpec("row_edge", "<i4", "rows"),
    ArraySpec("row_via", "<i4", "rows"),
    ArraySpec("sku_cards", "<u8", "sku_cards"),
    ArraySpec("kind_cards", "<u8", "kind_cards"),
    ArraySpec("edge_cards", "<u8", "edge_cards"),
    ArraySpec("row_cards", "<u8", "row_cards"),
    *_texts("words", "words"),
    ArraySpec("posting_offsets", "<i8", "words+1"),
    ArraySpec("posting_documents", "<i4", "postings"),
)
"""Every array, in the order of the data."""

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


class Intake(NamedTuple):
    """Where the rows given to the compiler went: none disappears.

    Attributes:
        n_accepted: Accepted rows that came in.
        refused: Reason to the number of accepted rows that were not compiled.
        kinds_without_relations: Kinds of the catalog that are in no edge.
    """

    n_accepted: int
    refused: Mapping[str, int]
    kinds_without_relations: int
