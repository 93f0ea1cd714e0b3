"""The label store beside the tables of one home: what the commands and the reviewers' page both do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.errors import InputError
from pkgraph.labels.agreement import Agreement, agreement_of
from pkgraph.labels.importing import Import, Shelf, labels_from
from pkgraph.labels.queue import (
    QUEUE_COLUMNS,
    draw_audit,
    most_informative,
    open_audits,
    pairs_of,
    queue_of,
    with_statement,
    with_text,
)
from pkgraph.labels.standing import audit_labels, draws_under, pair_verdicts, standing_labels
from pkgraph.stored import read_table
from pkgraph.tables import ACCEPTED_RELATIONS, KINDS, MAPPED_RELATIONS, RELATIONS, SCORED_RELATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pkgraph.home import Home
    from pkgraph.labels.formats import Row
    from pkgraph.labels.store import Added, LabelStore


@dataclass(frozen=True, slots=True)
class Stats:
    """What a label store holds.

    Attributes:
        n_rows: Rows ever written.
        n_standing: Labels that stand.
        n_pairs: Pairs, or statements without a kind, that they are about.
        by: Columns source, drawn, n, n_wrong (does not hold, or the kind does not fit).
        by_reason: Columns reason, n.
        conflicts: Pairs on which reviewers differ, as `pair_verdicts` has them.
        agreement: Of every two annotators of a statement, on whether it holds.
        n_draws: Pairs the audit has drawn.
        audited: Table `audit_labels` under the certificate that was drawn under last.
    """

    n_rows: int
    n_standing: int
    n_pairs: int
    by: pl.DataFrame
    by_reason: pl.DataFrame
    conflicts: pl.DataFrame
    agreement: Agreement
    n_draws: int
    audited: pl.DataFrame


def import_rows(
    home: Home,
    store: LabelStore,
    rows: Iterable[tuple[int, Row | None]],
    *,
    annotator: str,
    source: str,
    now: str,
) -> tuple[Import, Added]:
    """Add the labels of a file to the store; see `labels_from`.

    Raises:
        InputError: The shop has no relations yet that labels could be about. None was stored.
    """
    relations = read_table(home, RELATIONS)
    if relations.is_empty():
        raise InputError("The shop has no relations yet to be labelled.", remedy="Run `pkgraph build` first.")
    shelf = Shelf.of(relations, read_table(home, MAPPED_RELATIONS), store.draws())
    found = labels_from(rows, shelf, annotator=annotator, source=source, now=now)
    return found, store.add(found.labels)


def next_to_review(
    home: Home,
    store: LabelStore,
    published: pl.DataFrame,
    *,
    n: int,
    audit_share: float,
    seed: int,
    now: str,
    sample: str,
) -> pl.DataFrame:
    """The queue: `queue_of` the most informative pairs and of the random audit, which is drawn on as needed.

    Args:
        home: The home of the shop.
        store: Its labels; new draws are written into it.
        published: relation_id and target_kind_id of what is published.
        n: How many pairs at most.
        audit_share: Share 0-1 of them that is drawn at random.
        seed: Of new draws.
        now: When they are drawn, ISO 8601.
        sample: Key of the sample that certified what is published; "" where it is uncertified.
    """
    standing = standing_labels(store.history())
    n_audits = round(n * audit_share)
    audits = _audits(home, store, published, standing, n=n_audits, seed=seed, now=now, sample=sample)
    # The audit may have drawn what would be chosen; another pair takes its place among the chosen.
    chosen = most_informative(
        read_table(home, SCORED_RELATIONS), read_table(home, KINDS), standing, n=n + audits.height
    ).join(audits, on=["relation_id", "target_kind_id"], how="anti", maintain_order="left")
    return queue_of(chosen.head(n - audits.height), audits).select(*QUEUE_COLUMNS, "is_audit")


def _audits(
    home: Home,
    store: LabelStore,
    published: pl.DataFrame,
    standing: pl.DataFrame,
    *,
    n: int,
    seed: int,
    now: str,
    sample: str,
) -> pl.DataFrame:
    """The first n pairs of the audit that wait for a verdict."""
    key = ["relation_id", "target_kind_id"]
    waiting = open_audits(draws_under(store.draws(), sample), standing)
    if waiting.height < n:
        accepted = read_table(home, ACCEPTED_RELATIONS)
        accepted = accepted.join(published.select(key).unique(), on=key, how="semi")
        drawn, population = draw_audit(with_statement(accepted), n=n - waiting.height, seed=seed)
        store.record_draws(
            list(pairs_of(drawn)),
            population=population,
            n_population=accepted.height,
            seed=seed,
            created_at=now,
            sample=sample,
        )
        waiting = open_audits(draws_under(store.draws(), sample), standing)
    return waiting.head(n)


def stats(store: LabelStore) -> Stats:
    """What the store holds, how far reviewers agree, and what the random audit came to."""
    history = store.history()
    standing = standing_labels(history)
    is_wrong = ~pl.col("holds") | (pl.col("fit") == 0).fill_null(value=False)
    verdicts = pair_verdicts(standing)
    reasons = standing.drop_nulls("reason").group_by("reason").agg(n=pl.len())
    draws = store.draws()
    latest = draws["sample"][-1] if draws.height else None
    return Stats(
        n_rows=history.height,
        n_standing=standing.height,
        n_pairs=verdicts.height,
        by=standing.group_by("source", "drawn")
        .agg(n=pl.len(), n_wrong=is_wrong.sum())
        .sort("source", "drawn"),
        by_reason=reasons.sort("n", "reason", descending=[True, False]),
        conflicts=verdicts.filter("is_conflicting"),
        agreement=agreement_of(standing),
        n_draws=draws.height,
        audited=audit_labels(store, latest or ""),
    )


def exported(home: Home, store: LabelStore, *, is_history: bool) -> pl.DataFrame:
    """The labels as rows of a file, with the words that were judged where the shop still has them.

    Args:
        home: The home of the shop.
        store: Its labels.
        is_history: Every row ever written; else those that stand.
    """
    history = store.history()
    rows = history if is_history else standing_labels(history)
    rows = rows if is_history else rows.drop("undoes", "sequence")
    words = with_text(read_table(home, MAPPED_RELATIONS)).select("relation_id", "target_kind_id", "text")
    whole = words.unique("relation_id", keep="first").select("relation_id", said="text")
    joined = rows.join(words, on=["relation_id", "target_kind_id"], how="left", maintain_order="left")
    joined = joined.join(whole, on="relation_id", how="left", maintain_order="left")
    return joined.with_columns(text=pl.coalesce("text", "said")).drop("said")
