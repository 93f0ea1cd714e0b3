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
CATALOG = Table("catalog", "The products of one category.", PRODUCTS.columns, key=("sku",))
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
KINDS = Table(
    "kinds",
    "The kinds of the catalog: what the language model is asked about and what phrases are resolved to.",
    {
        "kind_id": Column(pl.String, "Key of the kind"),
        "kind": Column(pl.String, "What a shopper calls it"),
        "category": Column(pl.String, "Title of the category"),
        "category_key": Column(pl.String, "Partition key of the category"),
        "department": Column(pl.String, "Department that most of its products stand in", nullable=True),
        "n_skus": Column(pl.Int64, "Products of this kind", low=1),
        "popularity": Column(
            pl.Float64,
            "Share of baskets that hold any product of it, 0-1; 0 where no baskets are known",
            low=0,
            high=1,
        ),
    },
    key=("kind_id",),
)
BASKET_LINES = Table(
    "basket_lines",
    "What was bought together: one line a basket and product.",
    {
        "basket": Column(pl.String, "The shop's id of the basket or session, as text"),
        "sku": Column(pl.String, "The shop's id of the product, as text; the catalog may lack it"),
        "shopper": Column(pl.String, "Who bought", nullable=True),
        "time": Column(
            pl.Datetime("us"), "When; the shop's clock, or UTC where an offset was given", nullable=True
        ),
    },
    key=("basket", "sku"),
)
REJECTED_BASKET_LINES = Table(
    "rejected_basket_lines",
    "Lines of the baskets that were refused, with the reason.",
    {
        "row": Column(pl.Int64, "Line of the source, from 1; a header counts"),
        "sku": Column(pl.String, "The product, where it could be read", nullable=True),
        "reason": Column(pl.String, "One word a reason: missing_basket, unreadable_time, ..."),
        "detail": Column(pl.String, "What was found, cut at 200 characters"),
    },
    key=("row",),
)
CO_PURCHASE = Table(
    "co_purchase",
    "How often two kinds are bought together, against what their popularity and the basket sizes foretell.",
    {
        "kind_a_id": Column(pl.String, "One kind; sorts before the other"),
        "kind_b_id": Column(pl.String, "The other kind"),
        "n_a": Column(pl.Int64, "Baskets that hold the one", low=1),
        "n_b": Column(pl.Int64, "Baskets that hold the other", low=1),
        "n_both": Column(pl.Int64, "Baskets that hold both", low=0),
        "n_baskets": Column(pl.Int64, "Baskets looked at", low=1),
        "expected": Column(
            pl.Float64, "Baskets that would hold both by chance, corrected for basket size", low=0
        ),
        "lift": Column(pl.Float64, "n_both / expected; 1 is chance", low=0),
        "lift_low": Column(pl.Float64, "Lower end of its 95 % interval", low=0),
        "lift_high": Column(pl.Float64, "Upper end of its 95 % interval", low=0),
    },
    key=("kind_a_id", "kind_b_id"),
)
OFFLINE_METRICS = Table(
    "offline_metrics",
    "How well recommenders complete held-out baskets.",
    {
        "recommender": Column(pl.String, "Who recommended: graph, popularity, co_purchase, ..."),
        "slice": Column(pl.String, "Which cases: all, cold_target, ..."),
        "metric": Column(pl.String, "hit_rate, recall, ndcg, answered, coverage"),
        "k": Column(pl.Int32, "Length of the list looked at", low=1),
        "value": Column(pl.Float64, "Mean over the cases, share 0-1", low=0, high=1),
        "low": Column(pl.Float64, "Lower end of the bootstrap 95 % interval", nullable=True, low=0, high=1),
        "high": Column(pl.Float64, "Upper end of it", nullable=True, low=0, high=1),
        "n_cases": Column(pl.Int64, "Held-out baskets of the slice", low=0),
    },
    key=("recommender", "slice", "metric", "k"),
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
JUDGE_RESPONSES = Table(
    "judge_responses",
    "What a second model answered that was asked to judge the statements, verbatim, as the ledger has it.",
    LLM_RESPONSES.columns,
    key=("response_id",),
)
JUDGE_VERDICTS = Table(
    "judge_verdicts",
    "How likely a second model holds each statement; one that it passed over has no row.",
    {
        "relation_id": Column(pl.String, "Key of the statement"),
        "response_id": Column(pl.String, "The judge's answer"),
        "prompt_id": Column(pl.String, "The prompt that asked for it"),
        "model": Column(pl.String, "Model that judged"),
        "holds": Column(pl.Float64, "How likely it says that the statement holds, share 0-1", low=0, high=1),
    },
    key=("relation_id",),
)
UNREADABLE_VERDICTS = Table(
    "unreadable_verdicts",
    "Answers of the judge, or single verdicts, that could not be read, with the reason.",
    {
        "response_id": Column(pl.String, "Answer concerned"),
        "prompt_id": Column(pl.String, "Prompt that was answered"),
        "model": Column(pl.String, "Model that judged"),
        "position": Column(
            pl.Int32, "Verdict concerned, from 0; null where it is the whole answer", nullable=True
        ),
        "reason": Column(pl.String, "no_answer, too_long, no_verdicts, unknown_id, repeated_id, no_share"),
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
        "classifier": Column(pl.String, "Content hash of the classifier that judged it"),
        "answer": Column(pl.String, "Key of all pairs of its answer"),
        "is_covered": Column(pl.Boolean, "The certificate's exact bound speaks of it"),
    },
    key=("relation_id", "target_kind_id"),
)


def _signal(
    description: str, low: float | None = None, high: float | None = None, *, missing: str | None = None
) -> Column:
    """A signal of the evidence; `missing` says what null means, and without it null does not occur."""
    text = f"{description}; null: {missing}" if missing else description
    return Column(pl.Float64, text, nullable=missing is not None, low=low, high=high)


_NO_TARGET = "the phrase was resolved to nothing"
_NO_KIND = "it was asked about a purpose"
RELATION_EVIDENCE = Table(
    "relation_evidence",
    "The signals about each relation and kind it was resolved to; what is not known is null, never 0.",
    {
        "relation_id": Column(pl.String, "Key of the statement"),
        "target_kind_id": Column(
            pl.String,
            "Kind that the phrase was resolved to; null: none, but a label of it teaches",
            nullable=True,
        ),
        # mapping
        "match_score": _signal(
            "Calibrated probability that the kind fits the phrase", 0, 1, missing=_NO_TARGET
        ),
        "match_margin": _signal(
            "match_score minus that of the best kind left out", -1, 1, missing=_NO_TARGET
        ),
        "n_targets": _signal("Kinds the phrase was resolved to", 1, missing=_NO_TARGET),
        # statement
        "stated_confidence": _signal("How sure the model says it is", 0, 1),
        "confidence_standing": _signal(
            "Share of the answer's other statements it says less of, ties half", 0, 1, missing="the only one"
        ),
        "is_ingredient": _signal("1 for this relation type", 0, 1),
        "is_accessory": _signal("1 for this relation type", 0, 1),
        "is_occasion": _signal("1 for this relation type", 0, 1),
        "is_audience": _signal("1 for this relation type", 0, 1),
        "is_substitute": _signal("1 for this relation type; complement is none of the five", 0, 1),
        "is_about_purpose": _signal("1 where the prompt was about a purpose", 0, 1),
        "n_product_words": _signal("Words of the product phrase", 0),
        "n_rationale_words": _signal("Words of the rationale", 0),
        "product_specificity": _signal("Mean rarity of its words among all product phrases", 0, 1),
        "rationale_specificity": _signal("Mean rarity of its words among all rationales", 0, 1),
        # answer
        "position": _signal("Place in the answer, from 0", 0),
        "answer_size": _signal("Statements of the answer", 1),
        "answer_confidence": _signal("Mean stated confidence of the answer", 0, 1),
        "is_repaired": _signal("1 where the answer was not strict JSON", 0, 1),
        "repeats_product": _signal(
            "Share of the answer's other statements with this product", 0, 1, missing="the only one"
        ),
        "repeats_rationale": _signal(
            "Share of the answer's other statements with this rationale", 0, 1, missing="the only one"
        ),
        "leaks_example": _signal(
            "1 where it repeats the prompt's one-shot example about another product", 0, 1
        ),
        # agreement
        "models_agree": _signal(
            "Share of the other models that name the target for this source",
            0,
            1,
            missing="no other model answered",
        ),
        "samples_agree": _signal(
            "Share of the model's other samples that name the target",
            0,
            1,
            missing="there is no other sample",
        ),
        "is_reversed": _signal(
            "1 where the target's own answer names the source", 0, 1, missing="the target was not asked about"
        ),
        # judge
        "judge_holds": _signal(
            "How likely another model, asked to judge, says that the statement holds",
            0,
            1,
            missing="no judge was asked, or it did not say",
        ),
        # rationale
        "rationale_target_support": _signal(
            "Other sources that name this target for this rationale", 0, missing=_NO_TARGET
        ),
        "rationale_degree": _signal("Other sources that give this rationale", 0),
        "target_degree": _signal("Other sources that name this target", 0, missing=_NO_TARGET),
        # typing
        "type_prior": _signal(
            "Share of other sources' statements between the two categories that have this relation type, "
            "shrunk to its share among all",
            0,
            1,
            missing="no other source links the two categories",
        ),
        "target_pmi": _signal(
            "log2 of how often other sources of the category name the target, against chance",
            -10,
            10,
            missing=f"{_NO_TARGET}, or no other source names it",
        ),
        # text
        "product_in_explanation": _signal("Share of the product's words that the explanation uses", 0, 1),
        "source_in_explanation": _signal("Share of the source's words that the explanation uses", 0, 1),
        "rationale_in_explanation": _signal("Share of the rationale's words that the explanation uses", 0, 1),
        "source_product_similarity": _signal("Overlap of their character trigrams", 0, 1),
        "rationale_product_similarity": _signal("Overlap of their character trigrams", 0, 1),
        "explanation_words": _signal("Words of the explanation", 0),
        # shelf
        "is_same_category": _signal(
            "1 where source and target stand in one category", 0, 1, missing=_NO_KIND
        ),
        "is_same_department": _signal(
            "1 where source and target stand in one department",
            0,
            1,
            missing=f"{_NO_KIND}, or no departments",
        ),
        "target_popularity_log": _signal(
            "log10 of the share of baskets with the target", -12, 0, missing="no basket holds it"
        ),
        # baskets
        "lift_low_log": _signal(
            "log2 of the lower end of the co-purchase lift",
            -4,
            10,
            missing="too few baskets, or no source kind",
        ),
        "lift_log": _signal(
            "log2 of the co-purchase lift", -4, 10, missing="too few baskets, or no source kind"
        ),
    },
    key=("relation_id", "target_kind_id"),
)
RELATION_LABELS = Table(
    "relation_labels",
    "What reviewers said of relations, a row a reviewer and relation.",
    {
        "prompt_id": Column(pl.String, "Prompt of the relation, or at least its first 12 characters"),
        "model": Column(pl.String, "Model that stated it"),
        "position": Column(pl.Int32, "Place in the answer's list, from 0", low=0),
        "statement": Column(pl.String, "Key of the wording that was judged; null: not noted", nullable=True),
        "holds": Column(pl.Boolean, "The reviewer says that it holds"),
        "reason": Column(pl.String, "Why not: misread, not_typical, wrong_relation, ...", nullable=True),
        "annotator": Column(pl.String, "Who said so"),
        "target_kind_id": Column(
            pl.String, "Kind that was judged with it; null: the statement alone", nullable=True
        ),
        "fit": Column(
            pl.Int32,
            "The kind is what the phrase asks for 2, acceptable 1, wrong 0",
            nullable=True,
            low=0,
            high=2,
        ),
        "teaches": Column(pl.Boolean, "The classifier may learn from it: it was chosen, not drawn"),
    },
    key=("prompt_id", "model", "position", "annotator", "target_kind_id"),
)
_JUDGED_PAIR = {
    "relation_id": Column(pl.String, "Key of the statement"),
    "prompt_id": Column(pl.String, "Prompt of the relation"),
    "model": Column(pl.String, "Model that stated it"),
    "position": Column(pl.Int32, "Place in the answer's list, from 0", low=0),
    "statement": Column(pl.String, "Key of the wording that was judged"),
    "target_kind_id": Column(
        pl.String, "Kind that was judged with it; null: the statement alone", nullable=True
    ),
}
STORED_LABELS = Table(
    "stored_labels",
    "The rows of the label store in the order they came; none is ever changed.",
    {
        "sequence": Column(pl.Int64, "Place in the store, from 1", low=1),
        **_JUDGED_PAIR,
        "holds": Column(
            pl.Boolean, "The reviewer says that the statement holds; null: takes a label back", nullable=True
        ),
        "fit": Column(
            pl.Int32,
            "The kind is what the phrase asks for 2, acceptable 1, wrong 0",
            nullable=True,
            low=0,
            high=2,
        ),
        "reason": Column(pl.String, "Why not: misread, not_typical, wrong_kind, ...", nullable=True),
        "annotator": Column(pl.String, "Who said so"),
        "source": Column(pl.String, "In which role", one_of=("reviewer", "judge", "audit")),
        "drawn": Column(
            pl.String,
            "How the pair was come by: at random from what was published, chosen, at random for calibration",
            one_of=("audit", "active", "calibration"),
        ),
        "draw": Column(pl.Int64, "Place in that random order, from 0", nullable=True, low=0),
        "undoes": Column(pl.Int64, "Row that is taken back", nullable=True, low=1),
        "created_at": Column(pl.String, "When, ISO 8601; the sequence is the order"),
        "key": Column(pl.String, "What is stored with it once is never stored again"),
    },
    key=("sequence",),
)
AUDIT_DRAWS = Table(
    "audit_draws",
    "The random audit: pairs of the published graph in the order they were drawn, judged or not.",
    {
        "draw": Column(pl.Int64, "Place in the stream, from 0", low=0),
        **_JUDGED_PAIR,
        "words": Column(pl.String, "What a reviewer reads, as JSON: the answer may have been replaced since"),
        "population": Column(pl.String, "Key of the pairs it was drawn from"),
        "n_population": Column(pl.Int64, "How many they were, each equally likely", low=1),
        "seed": Column(pl.String, "Of the random generator"),
        "created_at": Column(pl.String, "When it was drawn"),
        "sample": Column(
            pl.String,
            "Sample whose certificate was published then; empty: it was published without one",
            nullable=True,
        ),
    },
    key=("draw",),
)
AUDIT_LABELS = Table(
    "audit_labels",
    "The verdicts on the random audit, up to the first draw that nobody judged.",
    {
        "draw": Column(pl.Int64, "Place in the stream, from 0", low=0),
        "relation_id": Column(pl.String, "Key of the statement"),
        "target_kind_id": Column(pl.String, "Kind that was judged with it"),
        "statement": Column(pl.String, "Key of the wording that was judged"),
        "holds": Column(pl.Boolean, "Every reviewer says that the statement holds"),
        "fit": Column(
            pl.Int32,
            "The kind fits the phrase: the least any reviewer says; null: it does not hold anyway",
            nullable=True,
            low=0,
            high=2,
        ),
        "is_right": Column(pl.Boolean, "It holds, and the kind fits at least acceptably"),
        "n_labels": Column(pl.Int64, "Reviewers who judged it", low=1),
        "drawn_at": Column(pl.String, "When it was drawn"),
    },
    key=("draw",),
)
REJECTED_LABELS = Table(
    "rejected_labels",
    "Lines of the labels that were refused, with the reason.",
    {
        "row": Column(pl.Int64, "Line of the file, from 1; the header is 1"),
        "reason": Column(pl.String, "One word a reason: duplicate_label, wrong_position, ..."),
        "detail": Column(pl.String, "What was found, cut at 200 characters"),
    },
    key=("row",),
)
LABELLED_RELATIONS = Table(
    "labelled_relations",
    "The reviewers' verdict on each relation that has one.",
    {
        "relation_id": Column(pl.String, "Key of the statement"),
        "model": Column(pl.String, "Model that stated it"),
        "source": Column(pl.String, "What the prompt was about; labels are split by it"),
        "holds": Column(pl.Boolean, "Every reviewer says that it holds"),
        "reason": Column(
            pl.String, "Why not, the first of the alphabet where several are given", nullable=True
        ),
        "n_labels": Column(pl.Int64, "How many reviewers judged it", low=1),
        "is_conflicting": Column(pl.Boolean, "They differ"),
        "teaches": Column(pl.Boolean, "The classifier may learn from it: no label of it was drawn at random"),
        "wrong_target_ids": Column(
            pl.List(pl.String), "Kinds that a reviewer said are not what its phrase asks for"
        ),
    },
    key=("relation_id",),
)
CALIBRATION_LABELS = Table(
    "calibration_labels",
    "What annotators said of pairs that were drawn at random.",
    {
        "prompt_id": Column(pl.String, "Prompt of the relation, or at least its first 12 characters"),
        "model": Column(pl.String, "Model that stated it"),
        "position": Column(pl.Int32, "Place in the answer's list, from 0", low=0),
        "statement": Column(pl.String, "Key of the wording that was judged"),
        "target_kind_id": Column(pl.String, "Kind that the phrase was resolved to"),
        "holds": Column(pl.Boolean, "The annotator says that the statement holds"),
        "fit": Column(pl.Int32, "The kind is what was asked for 2, acceptable 1, wrong 0", low=0, high=2),
        "reason": Column(pl.String, "Why not: misread, not_typical, wrong_relation, ...", nullable=True),
        "annotator": Column(pl.String, "Who said so"),
        "draw": Column(pl.Int64, "Place in the random order the pairs were drawn in, from 0", low=0),
    },
    key=("draw", "annotator"),
)
CALIBRATION_FRAME = Table(
    "calibration_frame",
    "The answers whose pairs the calibration sample was drawn from.",
    {
        "prompt_id": Column(pl.String, "Prompt that was answered"),
        "model": Column(pl.String, "Model that answered"),
        "n_pairs": Column(pl.Int64, "Pairs of statement and kind that were read and mapped from it", low=1),
        "answer": Column(pl.String, "Key of these pairs"),
    },
    key=("prompt_id", "model", "answer"),
)
CALIBRATION_PAIRS = Table(
    "calibration_pairs",
    "The verdict on each pair of the random sample that is there now.",
    {
        "relation_id": Column(pl.String, "Key of the statement"),
        "target_kind_id": Column(pl.String, "Kind that the phrase was resolved to"),
        "draw": Column(pl.Int64, "Place in the random order, from 0", low=0),
        "holds": Column(pl.Boolean, "Every annotator says that the statement holds"),
        "fit": Column(pl.Int32, "The kind fits the phrase: the least any annotator says", low=0, high=2),
        "is_right": Column(pl.Boolean, "Every annotator says that it holds and fits at least acceptably"),
        "reason": Column(
            pl.String, "Why not, the first of the alphabet where several are given", nullable=True
        ),
        "n_labels": Column(pl.Int64, "How many annotators judged it", low=1),
        "is_conflicting": Column(pl.Boolean, "They differ"),
        "tunes": Column(pl.Boolean, "It trains and tunes, and does not certify"),
    },
    key=("relation_id", "target_kind_id"),
)
SCORED_RELATIONS = Table(
    "scored_relations",
    "Mapped relations with the probability that they hold and every reason against them; may be bad.",
    {
        **_STATEMENT,
        **_TARGET,
        "holds_probability": Column(
            pl.Float64, "Probability that the statement holds; null: unknown", nullable=True, low=0, high=1
        ),
        "probability": Column(
            pl.Float64,
            "Probability that statement and mapping hold; null: unknown",
            nullable=True,
            low=0,
            high=1,
        ),
        "classifier": Column(pl.String, "Content hash of the classifier that judged it"),
        "answer": Column(pl.String, "Key of all pairs of its answer"),
        "is_covered": Column(pl.Boolean, "The certificate's exact bound speaks of it"),
        "is_accepted": Column(pl.Boolean, "There is no reason against it"),
        "reasons": Column(pl.List(pl.String), "Every reason against it, in the order of the rules"),
    },
    key=("relation_id", "target_kind_id"),
)

STALENESS_REPORT = Table(
    "staleness_report",
    "What is known of each category, how old it is, and what the night does about it.",
    {
        "category_key": Column(pl.String, "Partition key"),
        "category": Column(pl.String, "Title of the category"),
        "state": Column(
            pl.String, "How much of it is distilled", one_of=("distilled", "partly", "not_distilled")
        ),
        "n_skus": Column(pl.Int64, "Products", low=0),
        "n_kinds": Column(pl.Int64, "Kinds", low=0),
        "n_prompts": Column(pl.Int64, "Prompts it takes", low=1),
        "n_answered": Column(pl.Int64, "Prompts with an answer in the ledger", low=0),
        "oldest_answer_at": Column(pl.Datetime("us", "UTC"), "When its oldest answer came", nullable=True),
        "age_days": Column(pl.Float64, "Age of that answer", nullable=True, low=0),
        "open_input_tokens": Column(pl.Int64, "Estimated tokens of the prompts without an answer", low=0),
        "open_output_tokens": Column(pl.Int64, "Estimated tokens of their answers", low=0),
        "age_limit_days": Column(
            pl.Float64, "How old its knowledge may grow; the shortest of its prompts", low=0
        ),
        "n_due": Column(pl.Int64, "Prompts whose answer is missing or older than its limit", low=0),
        "due_input_tokens": Column(pl.Int64, "Estimated tokens of those prompts", low=0),
        "due_output_tokens": Column(pl.Int64, "Estimated tokens of their answers", low=0),
        "due_cost_usd": Column(
            pl.Float64,
            "What asking for them would cost; null where a price is not known",
            nullable=True,
            low=0,
        ),
        "volatility": Column(
            pl.Float64, "Expected share of its statements that a refresh changes, 0-1", low=0, high=1
        ),
        "benefit": Column(pl.Float64, "Share of baskets x mean age of what is due x volatility", low=0),
        "plan": Column(
            pl.String,
            "What the night does with it; why not, where it is due and stays",
            one_of=("fresh", "refresh", "part", "over_budget", "unpriced", "recorded"),
        ),
        "planned_at": Column(
            pl.Datetime("us", "UTC"), "When the schedule chose it; null where none did", nullable=True
        ),
    },
    key=("category_key",),
)

GRAPH_STATEMENTS = Table(
    "graph_statements",
    "What a snapshot holds, a row a statement: read back from its bytes, so that a judge sees what goes out.",
    {
        "relation_id": Column(pl.String, "Statement"),
        "edge": Column(pl.Int64, "Row of the edge it became", low=0),
        "source_kind_id": Column(
            pl.String, "Source kind; null where the source is the rationale", nullable=True
        ),
        "relation_type": Column(pl.String, "Type of the edge", one_of=tuple(RelationType)),
        "rationale": Column(pl.String, "Rationale of the edge"),
        "target_kind_id": Column(pl.String, "Target kind"),
        "explanation": Column(pl.String, "Sentence of the edge"),
        "prompt_id": Column(pl.String, "Prompt that was answered"),
        "model": Column(pl.String, "Model that stated it"),
        "probability": Column(pl.Float64, "Probability that statement and mapping hold", low=0, high=1),
        "edge_probability": Column(pl.Float64, "That of the edge's surest statement", low=0, high=1),
    },
    key=("relation_id", "target_kind_id"),
)
