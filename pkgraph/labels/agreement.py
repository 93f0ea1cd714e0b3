"""Labels meet the relations they are about; where annotators differ, the relation does not hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.labels.reading import MIN_PROMPT_CHARS, statement_key
from pkgraph.tables import LABELLED_RELATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far annotators agree on what more than one of them judged.

    Attributes:
        n: Pairs of labels of different annotators on one relation.
        share: Share of these pairs that agree, 0-1; None without pairs.
        kappa: Cohen's kappa over them, at most 1; None where it is not defined.
    """

    n: int
    share: float | None
    kappa: float | None


@dataclass(frozen=True, slots=True)
class JoinedLabels:
    """What is known of the relations from their reviewers.

    Attributes:
        labelled: Table `labelled_relations`.
        agreement: Over all models.
        agreement_by_model: The same for each model.
        n_labels: Labels that came in; each is heard in a row of `labelled` or counted in `unused`.
        unused: Reason to the number of labels that belong to no relation.
        n_conflicting: Relations on which annotators differ; they count as not holding.
    """

    labelled: pl.DataFrame
    agreement: Agreement
    n_labels: int
    n_conflicting: int
    unused: Mapping[str, int] = field(default_factory=dict)
    agreement_by_model: Mapping[str, Agreement] = field(default_factory=dict)


def cohens_kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """Agreement beyond chance; None without pairs, or where both annotators gave one answer throughout.

    [(True, True), (False, False)] -> 1.0
    """
    if not pairs:
        return None
    n = len(pairs)
    first = sum(a for a, _ in pairs) / n
    second = sum(b for _, b in pairs) / n
    chance = first * second + (1 - first) * (1 - second)
    observed = sum(a == b for a, b in pairs) / n
    return None if chance == 1 else (observed - chance) / (1 - chance)


def join_labels(labels: pl.DataFrame, relations: pl.DataFrame) -> JoinedLabels:
    """The verdict of the reviewers on each relation that has one.

    All annotators of a relation must say that it holds: a relation they differ on does not.

    Args:
        labels: Table `relation_labels`.
        relations: Table `relations`, or `mapped_relations`; of the latter each relation counts once.
    """
    every, unused = _found(labels, _named(relations))
    found = _one_an_annotator(every)
    labelled = (
        found.group_by("relation_id")
        .agg(
            pl.col("source", "model").first(),
            holds=pl.col("holds").all(),
            reason=pl.col("reason").drop_nulls().sort().first(),
            n_labels=pl.len(),
            is_conflicting=pl.col("holds").n_unique() > 1,
            teaches=pl.col("teaches").all(),
            wrong_target_ids=pl.col("wrong_target_ids")
            .list.explode(keep_nulls=False, empty_as_null=False)
            .unique()
            .sort(),
        )
        .with_columns(reason=pl.when("holds").then(None).otherwise("reason"))
    )
    return JoinedLabels(
        labelled=LABELLED_RELATIONS.conform(labelled),
        agreement=_agreement(found),
        n_labels=labels.height,
        n_conflicting=int(labelled["is_conflicting"].sum()),
        unused=unused,
        agreement_by_model={
            str(model): _agreement(part)
            for (model,), part in sorted(found.group_by("model"), key=lambda p: str(p[0]))
        },
    )


def _one_an_annotator(found: pl.DataFrame) -> pl.DataFrame:
    """Whoever judged several kinds of a relation says one thing of the statement."""
    wrong = pl.col("target_kind_id").filter(pl.col("fit") == 0)
    one = found.group_by("relation_id", "annotator").agg(
        pl.col("source", "model").first(),
        pl.col("holds", "teaches").all(),
        reason=pl.col("reason").drop_nulls().sort().first(),
        wrong_target_ids=wrong,
    )
    return one.sort("relation_id", "annotator")


def _named(relations: pl.DataFrame) -> pl.DataFrame:
    """Each relation once, with what a label names it by, and the source that groups it."""
    once = relations.unique("relation_id", keep="first", maintain_order=True)
    texts = ("relation_type", "rationale", "product", "explanation")
    keys = [statement_key(*row) for row in once.select(texts).iter_rows()]
    return once.select(
        "relation_id",
        "model",
        "position",
        full_id="prompt_id",
        start=pl.col("prompt_id").str.slice(0, MIN_PROMPT_CHARS),
        said=pl.Series(keys, dtype=pl.String),
        # What a prompt was about, whichever model answered: labels never stand on both sides of a split.
        source=pl.coalesce("source_kind_id", pl.concat_str(pl.lit("purpose:"), "rationale_id")),
    )


def _found(labels: pl.DataFrame, named: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    numbered = labels.with_row_index("label").with_columns(
        start=pl.col("prompt_id").str.slice(0, MIN_PROMPT_CHARS)
    )
    joined = numbered.join(named, on=["start", "model", "position"], how="left")
    is_there = pl.col("relation_id").is_not_null() & pl.col("full_id").str.starts_with(pl.col("prompt_id"))
    is_same = pl.col("statement").is_null() | (pl.col("statement") == pl.col("said"))
    there = joined.filter(is_there)
    same = there.filter(is_same)
    # Several samples of one model can stand at one place: only a label that names its statement fits then.
    n_fits = pl.col("relation_id").n_unique().over("label")
    found = same.filter((n_fits == 1) | pl.col("statement").is_not_null())
    n_there, n_same = there["label"].n_unique(), same["label"].n_unique()
    unused = {
        "unknown_relation": labels.height - n_there,
        "statement_changed": n_there - n_same,
        "ambiguous_relation": n_same - found["label"].n_unique(),
    }
    found = found.unique("label", keep="first", maintain_order=True).sort("relation_id", "annotator")
    return found, {reason: n for reason, n in unused.items() if n}


def agreement_of(labels: pl.DataFrame) -> Agreement:
    """How far every two annotators of a relation agree on whether it holds.

    Args:
        labels: Columns relation_id, annotator, holds; an annotator who judged several kinds counts once.
    """
    once = labels.group_by("relation_id", "annotator").agg(pl.col("holds").all())
    return _agreement(once)


def pairwise(shared: pl.DataFrame, key: list[str], verdict: str) -> list[tuple[bool, bool]]:
    """The verdicts of every two annotators on what both judged."""
    ordered = shared.sort(*key, "annotator")
    return [
        pair
        for _, part in ordered.group_by(key, maintain_order=True)
        for pair in combinations(part[verdict].to_list(), 2)
    ]


def _agreement(found: pl.DataFrame) -> Agreement:
    pairs = pairwise(found.filter(pl.len().over("relation_id") > 1), ["relation_id"], "holds")
    share = sum(a == b for a, b in pairs) / len(pairs) if pairs else None
    return Agreement(len(pairs), share, cohens_kappa(pairs))
