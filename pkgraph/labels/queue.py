"""What reviewers should look at next: what is uncertain and seen often, and a share drawn at random.

Only the random share tells how wrong the published graph is. What was chosen because it looked doubtful is
wrong more often than the rest, so it teaches the classifier and never measures it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pkgraph.labels.reading import statement_key
from pkgraph.labels.standing import PAIR, pair_verdicts
from pkgraph.labels.store import Pair
from pkgraph.model import content_key

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_LENGTH = 50
AUDIT_SHARE = 0.2
MAX_PER_SOURCE = 2
"""Statements of one prompt are alike: the third one teaches little that two did not."""

_WORDS = (
    "source_kind", "source_category", "relation_type", "rationale", "product", "explanation", "target_kind",
    "target_category",
)  # fmt: skip
_NAMES = ("relation_id", "prompt_id", "model", "position", "statement", "target_kind_id")
QUEUE_COLUMNS = (*_NAMES, *_WORDS, "text")
"""Of the queue's rows; neither a score nor why a pair is in it: reviewers judge blind."""


def with_statement(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of `mapped_relations` or a table that extends it, with `statement`, the key of the wording."""
    texts = rows.select("relation_type", "rationale", "product", "explanation")
    keys = [statement_key(*row) for row in texts.iter_rows()]
    return rows.with_columns(statement=pl.Series(keys, dtype=pl.String))


def most_informative(
    scored: pl.DataFrame, kinds: pl.DataFrame, standing: pl.DataFrame, *, n: int
) -> pl.DataFrame:
    """The n pairs without a label whose verdict would teach most, most informative first.

    That is 4 p (1 - p), which is 1 for a toss-up and 0 for a certainty, times the traffic: the share of
    baskets that hold the source, for a purpose the target. Where no baskets are known, all traffic is 1.

    Args:
        scored: Table `scored_relations`.
        kinds: Table `kinds`.
        standing: As `standing_labels` gives them.
        n: How many at most.
    """
    rows = with_statement(scored.filter(pl.col("probability").is_not_null()))
    rows = rows.join(standing.select("relation_id", "statement"), on=["relation_id", "statement"], how="anti")
    source = pl.coalesce("source_kind_id", "target_kind_id")
    seen = rows.with_columns(kind_id=source).join(_traffic(kinds), on="kind_id", how="left")
    p = pl.col("probability")
    weighed = seen.with_columns(weight=4 * p * (1 - p) * pl.col("traffic").fill_null(0.0))
    ordered = weighed.sort("weight", "relation_id", "target_kind_id", descending=[True, False, False])
    asked = pl.coalesce("source_kind_id", "rationale_id")
    first = ordered.unique("relation_id", keep="first", maintain_order=True)
    return first.filter(pl.int_range(pl.len()).over(asked) < MAX_PER_SOURCE).head(n).select(_NAMES + _WORDS)


def _traffic(kinds: pl.DataFrame) -> pl.DataFrame:
    """Columns kind_id and traffic, above 0: a kind that nobody bought yet is as rare as the rarest."""
    known = kinds.filter(pl.col("popularity") > 0)["popularity"].min()
    least = known if isinstance(known, float) else 1.0
    return kinds.select("kind_id", traffic=pl.col("popularity").clip(lower_bound=least))


def draw_audit(published: pl.DataFrame, *, n: int, seed: int) -> tuple[pl.DataFrame, str]:
    """Rows, each drawn uniformly at random from all that are published, and the key of that population.

    A pair may be drawn again: then each draw is wrong with exactly the share that is wrong now, whatever was
    drawn before, which is what a bound that holds at any time asks for.

    Args:
        published: Rows of `accepted_relations` that are in the published graph, with `statement`.
        n: How many draws.
        seed: Of the random generator.
    """
    ordered = published.sort("relation_id", "target_kind_id")
    names = (" ".join(row) for row in ordered.select(PAIR).iter_rows())
    population = content_key("population", *names, length=16)
    if ordered.is_empty():
        return ordered, population
    return ordered[np.random.default_rng(seed).integers(ordered.height, size=n)], population


def pairs_of(rows: pl.DataFrame) -> Iterator[tuple[Pair, dict[str, str | None]]]:
    """Each row as a pair and the words that a reviewer reads."""
    for row in rows.select(_NAMES + _WORDS).iter_rows():
        yield Pair(*row[: len(_NAMES)]), dict(zip(_WORDS, row[len(_NAMES) :], strict=True))


def open_audits(draws: pl.DataFrame, standing: pl.DataFrame) -> pl.DataFrame:
    """What the audit waits for, in the order of drawing, a pair once: draw, the names and the words."""
    judged = pair_verdicts(standing).filter(pl.col("is_right").is_not_null())
    waiting = draws.join(judged, on=PAIR, how="anti", maintain_order="left")
    once = waiting.unique(PAIR, keep="first", maintain_order=True)
    words = pl.Struct(dict.fromkeys(_WORDS, pl.String))
    return once.select("draw", *_NAMES, pl.col("words").str.json_decode(words)).unnest("words")


def queue_of(chosen: pl.DataFrame, audits: pl.DataFrame) -> pl.DataFrame:
    """Both in one list, the audits spread evenly, so that their place gives nothing away.

    Args:
        chosen: As `most_informative` gives them.
        audits: Pairs of the audit with their words, in the order of drawing.

    Returns:
        `QUEUE_COLUMNS` and `is_audit`.
    """
    parts = [
        part.select(
            *_NAMES,
            *_WORDS,
            is_audit=pl.lit(value=is_audit),
            at=(pl.int_range(pl.len()) + 0.5) / max(part.height, 1),
        )
        for part, is_audit in ((chosen, False), (audits, True))
    ]
    both = pl.concat(parts).unique(PAIR, keep="last", maintain_order=True)
    return with_text(both.sort("at", "relation_id", "target_kind_id").drop("at"))


def with_text(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with `text`, what a reviewer reads: the statement, and the kind it was resolved to."""
    asked = pl.coalesce(
        pl.format("{} ({})", pl.col("source_kind"), pl.col("source_category")), pl.col("rationale")
    )
    text = pl.format(
        "{} | {}, {} | {}: {} | in the shop: {} ({})",
        asked,
        "relation_type",
        "rationale",
        "product",
        "explanation",
        "target_kind",
        "target_category",
    )
    return rows.with_columns(text=text)
