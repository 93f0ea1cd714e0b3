"""The signals by name and by origin; what each one is stands in the table `relation_evidence`."""

from __future__ import annotations

from pkgraph.tables import RELATION_EVIDENCE

SIGNALS: tuple[str, ...] = tuple(
    name for name in RELATION_EVIDENCE.columns if name not in RELATION_EVIDENCE.key
)

GROUPS: dict[str, tuple[str, ...]] = {
    "mapping": ("match_score", "match_margin", "n_targets"),
    "statement": (
        "stated_confidence",
        "confidence_standing",
        "is_ingredient",
        "is_accessory",
        "is_occasion",
        "is_audience",
        "is_substitute",
        "is_about_purpose",
        "n_product_words",
        "n_rationale_words",
        "product_specificity",
        "rationale_specificity",
    ),
    "answer": (
        "position",
        "answer_size",
        "answer_confidence",
        "is_repaired",
        "repeats_product",
        "repeats_rationale",
        "leaks_example",
    ),
    "agreement": ("models_agree", "samples_agree", "is_reversed"),
    "judge": ("judge_holds",),
    "rationale": ("rationale_target_support", "rationale_degree", "target_degree"),
    "typing": ("type_prior", "target_pmi"),
    "text": (
        "product_in_explanation",
        "source_in_explanation",
        "rationale_in_explanation",
        "source_product_similarity",
        "rationale_product_similarity",
        "explanation_words",
    ),
    "shelf": ("is_same_category", "is_same_department", "target_popularity_log"),
    "baskets": ("lift_low_log", "lift_log"),
}
"""Where a signal comes from; the ablations leave out a group at a time."""

MODEL_STYLE: tuple[str, ...] = ("answer_size", "answer_confidence")
"""Signals that tell models apart by their manners more than they speak for a statement."""
