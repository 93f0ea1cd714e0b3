"""Of all that was ever said, what stands: the last word of each reviewer, and what the random audit came to.

Rules where reviewers differ: each counts once, by the last word; where a reviewer or an auditor has judged, a
judge (a language model) is not heard; what is left must agree, or the verdict is no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pkgraph.labels.reading import MIN_PROMPT_CHARS
from pkgraph.tables import AUDIT_LABELS, RELATION_LABELS, STORED_LABELS

if TYPE_CHECKING:
    from pkgraph.labels.store import LabelStore

_STATEMENT = ["relation_id", "statement"]
PAIR = [*_STATEMENT, "target_kind_id"]


def standing_labels(history: pl.DataFrame) -> pl.DataFrame:
    """The rows of `stored_labels` that stand: not undone, not superseded, no judge's beside a person's.

    Args:
        history: Table `stored_labels`.
    """
    undone = history["undoes"].drop_nulls().implode()
    said = history.filter(pl.col("undoes").is_null() & ~pl.col("sequence").is_in(undone))
    # A statement holds or does not, whichever of its kinds was judged last.
    word = pl.col("holds").last().over(*_STATEMENT, "annotator")
    last = (
        said.sort("sequence")
        .with_columns(holds=word)
        .unique([*PAIR, "annotator"], keep="last", maintain_order=True)
    )
    is_person = pl.col("source") != "judge"
    return STORED_LABELS.conform(last.filter(is_person | ~is_person.any().over(_STATEMENT)))


def pair_verdicts(standing: pl.DataFrame) -> pl.DataFrame:
    """One row a judged pair: PAIR, holds, fit, is_right, n_labels, is_conflicting.

    A pair is right if all say that the statement holds and the kind fits (2) or is acceptable (1); where it
    holds and nobody judged the fit, `is_right` is null.

    Args:
        standing: As `standing_labels` gives them.
    """
    is_fit = pl.col("fit") > 0
    return standing.group_by(PAIR, maintain_order=True).agg(
        holds=pl.col("holds").all(),
        fit=pl.col("fit").min(),
        is_right=pl.col("holds").all() & (pl.col("fit").min() > 0),
        n_labels=pl.len(),
        is_conflicting=(pl.col("holds").n_unique() > 1) | (is_fit.drop_nulls().n_unique() > 1),
    )


def draws_under(draws: pl.DataFrame, sample: str) -> pl.DataFrame:
    """The draws that speak of this sample's certificate; one from before it was noted speaks of any.

    Args:
        draws: Table `audit_draws`.
        sample: Key of the verdicts that certified.
    """
    return draws.filter((pl.col("sample") == sample) | pl.col("sample").is_null())


def audit_labels(store: LabelStore, sample: str) -> pl.DataFrame:
    """Table `audit_labels`: the random audit in the order of drawing, up to the first that nobody judged.

    What was drawn under another sample's certificate speaks of that one: it neither counts nor is waited for.

    A random order may be cut anywhere, but not thinned out: a draw that is passed over would be a choice.
    So what stands behind an unjudged draw has to wait. A pair that is drawn again counts again.
    """
    verdicts = pair_verdicts(standing_labels(store.history())).filter(pl.col("is_right").is_not_null())
    joined = draws_under(store.draws(), sample).join(verdicts, on=PAIR, how="left", maintain_order="left")
    is_before_the_first_gap = pl.col("is_right").is_not_null().cum_min().cast(pl.Boolean)
    return AUDIT_LABELS.conform(joined.filter(is_before_the_first_gap).rename({"created_at": "drawn_at"}))


def with_stored(labels: pl.DataFrame, store: LabelStore) -> pl.DataFrame:
    """The labels of a file and those of the store, as one table `relation_labels`.

    Where an annotator judged a relation in both, the store's label is the later one and counts. Whatever was
    drawn at random, for an audit or a calibration, refuses but does not teach: it measures.

    Args:
        labels: Table `relation_labels` of the file.
        store: The store.
    """
    drawn = pl.col("relation_id").is_in(store.draws()["relation_id"].implode())
    stored = standing_labels(store.history()).with_columns(teaches=(pl.col("drawn") == "active") & ~drawn)
    start = pl.col("prompt_id").str.slice(0, MIN_PROMPT_CHARS).alias("start")
    key = ["start", "model", "position", "annotator"]
    only_filed = labels.with_columns(start).join(stored.with_columns(start), on=key, how="anti")
    return RELATION_LABELS.conform(
        pl.concat([RELATION_LABELS.conform(only_filed), RELATION_LABELS.conform(stored)])
    )
