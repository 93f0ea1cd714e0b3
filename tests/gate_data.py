"""A made-up shop for the tests of evidence, classifier and gate: small, and true or false on purpose."""

from __future__ import annotations

import numpy as np
import polars as pl

from pkgraph.model import content_key, kind_id, rationale_id
from pkgraph.tables import LABELLED_RELATIONS, MAPPED_RELATIONS, RELATION_EVIDENCE

GOOD, BAD = "good-model", "bad-model"


def relation(
    source: str | None = "tea", target: str = "sugar", position: int = 0, **changes: object
) -> dict[str, object]:
    """A row of `mapped_relations`; source None is a prompt about a purpose."""
    model, sample = str(changes.get("model", GOOD)), changes.get("sample", 0)
    rationale = str(changes.get("rationale", "afternoon tea"))
    response = content_key(str(source), model, str(sample), rationale if source is None else "")
    row: dict[str, object] = {
        "relation_id": f"{response}-{position}",
        "response_id": response,
        "prompt_id": content_key("prompt", str(source), length=64),
        "model": model,
        "sample": sample,
        "position": position,
        "source_kind_id": kind_id("food", source) if source else None,
        "source_kind": source,
        "source_category": "food" if source else None,
        "relation_type": "complement",
        "rationale": rationale,
        "rationale_id": rationale_id(rationale),
        "product": target,
        "explanation": f"A cup of tea takes {target}.",
        "stated_confidence": 0.8,
        "is_repaired": False,
        "target_kind_id": kind_id("food", target),
        "target_kind": target,
        "target_category": "food",
        "match_score": 0.9,
        "match_margin": 0.5,
        "match_rank": 0,
        "n_targets": 1,
    }
    return row | changes


def mapped(*rows: dict[str, object]) -> pl.DataFrame:
    return MAPPED_RELATIONS.conform(pl.DataFrame(list(rows), schema=MAPPED_RELATIONS.schema))


def answers(n_sources: int, seed: int, per_answer: int = 4) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Statements of two models and all their labels: one mostly right, one mostly wrong, vague words wrong.

    The tables `mapped_relations` and `labelled_relations`.
    """
    random = np.random.default_rng(seed)
    rows, labels = [], []
    for number in range(n_sources):
        for model, base in ((GOOD, 0.9), (BAD, 0.15)):
            for position in range(per_answer):
                is_vague = random.random() < 0.3
                holds = bool(random.random() < (base * 0.3 if is_vague else base))
                row = relation(
                    f"source {number}",
                    f"target {random.integers(40)} {position}",
                    position,
                    model=model,
                    explanation="It is a household basic." if is_vague else "One goes into the other.",
                    stated_confidence=float(np.round(random.uniform(0.3, 1.0), 2)),
                )
                rows.append(row)
                labels.append(label(row, holds=holds))
    return mapped(*rows), LABELLED_RELATIONS.conform(pl.DataFrame(labels, schema=LABELLED_RELATIONS.schema))


def label(row: dict[str, object], *, holds: bool) -> dict[str, object]:
    """A row of `labelled_relations` about a relation."""
    return {
        "relation_id": row["relation_id"],
        "model": row["model"],
        "source": row["source_kind_id"],
        "holds": holds,
        "reason": None if holds else "vague",
        "n_labels": 1,
        "is_conflicting": False,
        "teaches": True,
        "wrong_target_ids": [],
    }


def no_evidence() -> pl.DataFrame:
    return RELATION_EVIDENCE.empty()
