"""Nothing is lost between answers and relations: the rules of the stage, counted on the tables alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.relations.reading import EMPTY_LIST

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Stage:
    """The three tables that must agree."""

    responses: pl.DataFrame
    relations: pl.DataFrame
    unreadable: pl.DataFrame

    def outcomes(self) -> pl.DataFrame:
        """Columns response_id and position (null: the whole answer), a row for each relation and refusal."""
        columns = ["response_id", pl.col("position").cast(pl.Int32)]
        return pl.concat([self.relations.select(columns), self.unreadable.select(columns)])


def _lost(stage: Stage) -> int:
    return stage.responses.join(stage.outcomes(), on="response_id", how="anti").height


def _unasked(stage: Stage) -> int:
    return stage.outcomes().join(stage.responses, on="response_id", how="anti").height


def _both(stage: Stage) -> int:
    whole = pl.col("position").is_null()
    per_answer = stage.outcomes().group_by("response_id").agg(n_whole=whole.sum(), n=pl.len())
    return per_answer.filter((pl.col("n_whole") > 0) & (pl.col("n") > 1)).height


def _gaps(stage: Stage) -> int:
    positions = stage.outcomes().filter(pl.col("position").is_not_null())
    per_answer = positions.group_by("response_id").agg(
        n=pl.col("position").n_unique(), top=pl.col("position").max(), low=pl.col("position").min()
    )
    return per_answer.filter((pl.col("n") != pl.col("top") + 1) | (pl.col("low") < 0)).height


def _twice(stage: Stage) -> int:
    positions = stage.outcomes().filter(pl.col("position").is_not_null())
    return positions.height - positions.n_unique()


# Name -> what holds, and how many offenders there are.
RULES: dict[str, tuple[str, Callable[[Stage], int]]] = {
    "every_answer_is_read_or_refused": ("Each answer has a relation or a refusal.", _lost),
    "nothing_is_read_that_was_not_answered": ("Each relation and refusal belongs to an answer.", _unasked),
    "no_answer_is_both_read_and_refused": ("A refusal of a whole answer is all it left.", _both),
    "every_statement_is_a_relation_or_refused": (
        "The positions of an answer run from 0 without a gap.",
        _gaps,
    ),
    "no_statement_is_counted_twice": ("A position of an answer is either a relation or refused.", _twice),
}


def broken_rules(
    responses: pl.DataFrame, relations: pl.DataFrame, unreadable: pl.DataFrame
) -> dict[str, int]:
    """Offenders by rule, broken rules only."""
    stage = Stage(responses, relations, unreadable)
    counts = {name: count(stage) for name, (_, count) in RULES.items()}
    return {name: count for name, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class Balance:
    """answers = read + unreadable; statements = relations + refused.

    Attributes:
        n_read: Answers that could be read, the empty ones included.
        n_empty: Answers that were read and name nothing.
        n_refused: Rows of refused statements; all that stand beyond the cap are one.
    """

    n_answers: int
    n_read: int
    n_empty: int
    n_unreadable: int
    n_relations: int
    n_refused: int


def balance(responses: pl.DataFrame, relations: pl.DataFrame, unreadable: pl.DataFrame) -> Balance:
    """The counts of a stage for its metadata."""
    whole = unreadable.filter(pl.col("position").is_null())
    n_empty = whole.filter(pl.col("reason") == EMPTY_LIST).height
    n_unreadable = whole.height - n_empty
    return Balance(
        n_answers=responses.height,
        n_read=responses.height - n_unreadable,
        n_empty=n_empty,
        n_unreadable=n_unreadable,
        n_relations=relations.height,
        n_refused=unreadable.height - whole.height,
    )
