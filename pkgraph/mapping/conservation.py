"""Nothing is lost between relations and mapped relations: the rules of the stage, counted on its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class MappingStage:
    """The three tables that must agree."""

    relations: pl.DataFrame
    mapped: pl.DataFrame
    unmapped: pl.DataFrame

    def outcomes(self) -> pl.DataFrame:
        return pl.concat([self.mapped.select("relation_id"), self.unmapped.select("relation_id")])


def _lost(stage: MappingStage) -> int:
    return stage.relations.join(stage.outcomes(), on="relation_id", how="anti").height


def _unstated(stage: MappingStage) -> int:
    return stage.outcomes().join(stage.relations, on="relation_id", how="anti").height


def _both(stage: MappingStage) -> int:
    return stage.unmapped.join(stage.mapped, on="relation_id", how="semi").height


def _selves(stage: MappingStage) -> int:
    return stage.mapped.filter(pl.col("source_kind_id") == pl.col("target_kind_id")).height


# Name -> what holds, and how many offenders there are.
RULES: dict[str, tuple[str, Callable[[MappingStage], int]]] = {
    "every_relation_is_mapped_or_refused": ("Each relation has a kind or a refusal.", _lost),
    "nothing_is_mapped_that_was_not_stated": ("Each mapped or refused relation was stated.", _unstated),
    "no_relation_is_both_mapped_and_refused": ("A refused relation has no kind.", _both),
    "no_kind_is_mapped_to_itself": ("The source kind is never a target of its own relation.", _selves),
}
