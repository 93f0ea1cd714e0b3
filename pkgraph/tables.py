"""Every table of the pipeline, described once: IO, checks, the UI and the docs read it from here."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pkgraph.model import RelationType


@dataclass(frozen=True, slots=True)
class Column:
    """A column and what its values may be.

    Attributes:
        low: Smallest value allowed, inclusive.
        high: Largest value allowed, inclusive.
        one_of: All values allowed.
    """

    dtype: pl.DataType | type[pl.DataType]
    description: str
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    one_of: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A named table with its columns in order."""

    name: str
    description: str
    columns: dict[str, Column]
    key: tuple[str, ...]

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema({name: column.dtype for name, column in self.columns.items()})

    def empty(self) -> pl.DataFrame:
        return pl.DataFrame(schema=self.schema)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with exactly this table's columns, in order and cast, sorted by key."""
        return frame.select(pl.col(name).cast(c.dtype) for name, c in self.columns.items()).sort(self.key)


_SOURCE = {
    "source_kind_id": Column(
        pl.String, "Kind the prompt was about; null where it was about a purpose", nullable=True
    ),
    "source_kind": Column(pl.String, "Title of that kind", nullable=True),
    "source_category": Column(pl.String, "Title of that kind's category", nullable=True),
}
_STATEMENT = {
    "relation_id": Column(pl.String, "Key of the statement: response_id-position"),
    "response_id": Column(pl.String, "Answer it was read from"),
    "prompt_id": Column(pl.String, "Prompt that was answered"),
    "model": Column(pl.String, "Model that stated it"),
    "sample": Column(pl.Int32, "Which independent sample of that model, from 0"),
    "position": Column(pl.Int32, "Place in the answer's list, from 0"),
    **_SOURCE,
    "relation_type": Column(pl.String, "How source and product belong together", one_of=tuple(RelationType)),
    "rationale": Column(pl.String, "The purpose both share, normalised, 2-5 words"),
    "rationale_id": Column(pl.String, "Key of the rationale"),
    "product": Column(pl.String, "The product phrase, as the model put it"),
    "explanation": Column(pl.String, "One sentence a shopper would agree with"),
    "stated_confidence": Column(pl.Float64, "How sure the model says it is, share 0-1", low=0, high=1),
    "is_repaired": Column(pl.Boolean, "The answer was not strict JSON and had to be repaired"),
}
_TARGET = {
    "target_kind_id": Column(pl.String, "Kind of the shop that the phrase was resolved to"),
    "target_kind": Column(pl.String, "Title of that kind"),
    "target_category": Column(pl.String, "Title of that kind's category"),
    "match_score": Column(
        pl.Float64, "Calibrated probability that the kind fits the phrase, 0-1", low=0, high=1
    ),
    "match_margin": Column(
        pl.Float64, "match_score minus that of the best kind left out, -1 to 1", low=-1, high=1
    ),
    "match_rank": Column(pl.Int32, "Place among the kinds the phrase was resolved to, from 0"),
    "n_targets": Column(pl.Int32, "How many kinds the phrase was resolved to"),
}

PRODUCTS = Table(
    "products",
    "The shop's clean products.",
    {
        "sku": Column(pl.String, "The shop's id, as text"),
        "title": Column(pl.String, "What the shelf says"),
        "kind_id": Column(pl.String, "Key of the kind"),
        "kind": Column(pl.String, "What a shopper calls it"),
        "category": Column(pl.String, "Title of the category"),
        "category_key": Column(pl.String, "Partition key of the category"),
        "department": Column(pl.String, "Department above the category", nullable=True),
        "brand": Column(pl.String, "Brand", nullable=True),
        "price": Column(pl.Float64, "Price in the shop's currency, >= 0", nullable=True, low=0),
        "popularity": Column(
            pl.Float64, "Share of baskets that hold it, 0-1; 0 where no baskets are known", low=0, high=1
        ),
    },
    key=("sku",),
)
REJECTED_PRODUCTS = Table(
    "rejected_products",
    "Rows of the catalog that were refused, with the reason.",
    {
        "row": Column(pl.Int64, "Line of the source, from 1; a header counts"),
        "sku": Column(pl.String, "The id, where it could be read", nullable=True),
        "reason": Column(pl.String, "One word a reason: missing_category, duplicate_sku, ..."),
        "detail": Column(pl.String, "What was found, cut at 200 characters"),
    },
    key=("row", "reason"),
)
PROMPTS = Table(
    "prompts",
    "Rendered messages, one prompt a kind and template.",
    {
        "prompt_id": Column(pl.String, "SHA-256 of the messages"),
        "template": Column(pl.String, "Name and version: companions.v1"),
        **_SOURCE,
        "rationale": Column(
            pl.String, "Purpose asked about; null where the prompt is about a kind", nullable=True
        ),
        "messages": Column(pl.String, "The messages as JSON, exactly as sent"),
        "input_tokens": Column(pl.Int64, "Estimated tokens of the messages"),
    },
    key=("prompt_id",),
)
LLM_RESPONSES = Table(
    "llm_responses",
    "Every answer verbatim, as the ledger has it; a prompt without an answer is a row too.",
    {
        "response_id": Column(pl.String, "Key of the attempt"),
        "prompt_id": Column(pl.String, "Prompt that was answered"),
        "template": Column(pl.String, "Template of the prompt"),
        **_SOURCE,
        "rationale": Column(pl.String, "Purpose asked about", nullable=True),
        "model": Column(pl.String, "Model that answered"),
        "parameters": Column(pl.String, "Sampling parameters as canonical JSON"),
        "sample": Column(pl.Int32, "Which independent sample, from 0"),
        "attempt": Column(pl.Int32, "Which attempt at this sample, from 0"),
        "status": Column(
            pl.String, "What became of the question", one_of=("answered", "unanswered", "failed")
        ),
        "text": Column(pl.String, "The answer, verbatim", nullable=True),
        "finish_reason": Column(pl.String, "As the provider says", nullable=True),
        "input_tokens": Column(pl.Int64, "Tokens billed for the prompt", nullable=True),
        "output_tokens": Column(pl.Int64, "Tokens billed for the answer", nullable=True),
        "cost_usd": Column(pl.Float64, "US dollars", nullable=True),
        "latency_s": Column(pl.Float64, "Wall seconds of the attempt", nullable=True),
        "detail": Column(pl.String, "Why there is no answer", nullable=True),
    },
    key=("response_id",),
)
RELATIONS = Table("relations", "Typed statements of the models.", _STATEMENT, key=("relation_id",))
UNREADABLE_RESPONSES = Table(
    "unreadable_responses",
    "Answers, or single statements of an answer, that could not be read, with the reason.",
    {
        "response_id": Column(pl.String, "Answer concerned"),
        "prompt_id": Column(pl.String, "Prompt that was answered"),
        "model": Column(pl.String, "Model that answered"),
        "position": Column(
            pl.Int32, "Statement concerned, from 0; null where it is the whole answer", nullable=True
        ),
        "reason": Column(pl.String, "One word a reason: no_answer, not_json, unknown_relation_type, ..."),
        "detail": Column(pl.String, "What was found, cut at 200 characters"),
    },
    key=("response_id", "position"),
)
MAPPED_RELATIONS = Table(
    "mapped_relations",
    "Statements whose product phrase was resolved to kinds of the shop, a row a kind.",
    {**_STATEMENT, **_TARGET},
    key=("relation_id", "target_kind_id"),
)
UNMAPPED_PRODUCTS = Table(
    "unmapped_products",
    "What the models recommend and the shop does not sell, as far as the mapping can tell.",
    {
        **_STATEMENT,
        "reason": Column(pl.String, "no_candidate, below_threshold, names_its_source"),
        "best_kind_id": Column(pl.String, "The nearest kind that was not good enough", nullable=True),
        "best_kind": Column(pl.String, "Title of that kind", nullable=True),
        "best_score": Column(pl.Float64, "Its calibrated probability, 0-1", nullable=True),
    },
    key=("relation_id",),
)
ACCEPTED_RELATIONS = Table(
    "accepted_relations",
    "What passed the gate, and nothing else.",
    {
        **_STATEMENT,
        **_TARGET,
        "probability": Column(pl.Float64, "Probability that statement and mapping hold, 0-1", low=0, high=1),
    },
    key=("relation_id", "target_kind_id"),
)
