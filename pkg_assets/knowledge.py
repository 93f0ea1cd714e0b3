"""What several assets ask for: the phrase index, the evidence about all relations, the random sample."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from pkgraph.tables import (
    CO_PURCHASE,
    JUDGE_RESPONSES,
    JUDGE_VERDICTS,
    KINDS,
    LLM_RESPONSES,
    MAPPED_RELATIONS,
    UNMAPPED_PRODUCTS,
)
from resources.artifacts import INDEX, Artifacts
from resources.table_store import TableStore

if TYPE_CHECKING:
    from pkgraph.acceptance import Promises
    from pkgraph.acceptance.drift import Drift
    from pkgraph.acceptance.judgement import Judgement
    from pkgraph.labels import CalibrationSet
    from pkgraph.mapping import KindIndex
    from pkgraph.settings import Settings


def kind_index_of(artifacts: Artifacts) -> KindIndex:
    """The fitted index, kept until its file changes: loading fits it again, 0.4 s for 3 800 kinds.

    Raises:
        dg.Failure: It was never made.
    """
    path = artifacts.path(INDEX)
    if not path.exists():
        raise dg.Failure("kind_index was never made. Materialize it first.", allow_retries=False)
    return _loaded(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _loaded(path: Path, written_ns: int) -> KindIndex:  # noqa: ARG001 - a newer file is another key
    from pkgraph.mapping import KindIndex

    return KindIndex.load(path)


def all_evidence(tables: TableStore, categories: list[str]) -> pl.DataFrame:
    """Table `relation_evidence` of all these categories, from what the store holds now.

    Support and agreement are counted over the whole shop, so the evidence of one category is a part of this.
    It is kept until a file changes: gathering takes 0.3 s, and a build judges 46 categories by the same.
    """
    parts = (MAPPED_RELATIONS, UNMAPPED_PRODUCTS, JUDGE_VERDICTS)
    cut = [tables.path(t.name, key) for t in parts for key in categories]
    whole = [tables.path(t.name) for t in (CO_PURCHASE, KINDS)]
    state = tuple(
        (path, path.stat().st_mtime_ns, path.stat().st_size) for path in [*cut, *whole] if path.exists()
    )
    return _gathered(tables.home, tuple(categories), state)


@lru_cache(maxsize=1)
def _gathered(
    home: str,
    categories: tuple[str, ...],
    state: tuple[tuple[Path, int, int], ...],  # noqa: ARG001 - changed files are another key
) -> pl.DataFrame:
    from pkgraph.evidence import gather_evidence

    tables = TableStore(home=home)
    mapped = tables.read_all(MAPPED_RELATIONS, categories)
    unmapped = tables.read_all(UNMAPPED_PRODUCTS, categories)
    return gather_evidence(
        mapped,
        mapped,
        unmapped_part=unmapped,
        all_unmapped=unmapped,
        co_purchase=tables.read(CO_PURCHASE.name),
        kinds=tables.read(KINDS.name),
        verdicts=tables.read_all(JUDGE_VERDICTS, categories),
    )


def calibration_of(settings: Settings, tables: TableStore, categories: list[str]) -> CalibrationSet:
    """The shop's random sample, held against the pairs that are there now; empty where it has none."""
    from pkgraph.labels import CalibrationSet, join_calibration, read_calibration_labels, read_frame

    labels, frame = settings.labels.calibration, settings.labels.calibration_frame
    if not labels or not frame:
        return CalibrationSet.none()
    read = read_calibration_labels(Path(labels))
    return join_calibration(
        read.labels,
        read_frame(Path(frame)),
        tables.read_all(MAPPED_RELATIONS, categories),
        tuning_draws=settings.labels.tuning_draws,
    )


def promises_of(settings: Settings) -> Promises:
    """What the settings want certified."""
    from pkgraph.acceptance import Promise, Promises

    gate = settings.gate
    by_type = {str(name): Promise(one.alpha, one.delta) for name, one in gate.by_type.items()}
    return Promises(Promise(gate.alpha, gate.delta), by_type)


def drift_of_scored(
    tables: TableStore, categories: list[str], scored: pl.DataFrame, judgement: Judgement
) -> Drift | None:
    """The drift test of one category; None where nothing is certified, or nothing is outside the frame."""
    from pkgraph.acceptance.drift import drift_of_category

    if judgement.policy.certificate is None or scored["is_covered"].all():
        return None
    mapped = tables.read_all(MAPPED_RELATIONS, categories)
    return drift_of_category(
        scored, all_evidence(tables, categories), mapped, judgement.policy.covered, seed=_SEED
    )


_SEED = 0


def price_of(tables: TableStore, category_key: str, accepted: pl.DataFrame) -> tuple[float, float | None]:
    """What asking about a category has cost, US dollars, and what an accepted relation of it did.

    Args:
        tables: Where the answers about the category are.
        category_key: The category.
        accepted: Its ACCEPTED_RELATIONS; a statement that means several kinds counts once, and where there
            is none, there is no price.
    """
    asked = [tables.read(table.name, category_key) for table in (LLM_RESPONSES, JUDGE_RESPONSES)]
    usd = sum(float(frame["cost_usd"].sum()) for frame in asked if frame is not None)
    n = accepted.select("relation_id", "response_id").n_unique()
    return usd, usd / n if n else None
