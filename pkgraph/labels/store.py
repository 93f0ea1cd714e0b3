"""The label store: every verdict of every reviewer, in the order they came, never changed.

A later label of one reviewer on one pair supersedes the former; undoing is a row too, and brings the former
back. Which labels belong to the random audit follows from what the store itself drew: no file can say so.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import polars as pl
import sqlalchemy as sa

from pkgraph.errors import InputError
from pkgraph.labels.store_tables import DRAWS, LABELS, make_tables
from pkgraph.llm.ledger_tables import engine_for, translated
from pkgraph.model import content_key
from pkgraph.tables import AUDIT_DRAWS, STORED_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

SOURCES = ("reviewer", "judge", "audit")
"""Who labels: a person in the daily work, a language model, a person who audits."""

REASON_CODES: dict[str, str] = {
    "misread": "The source's label was read wrongly.",
    "not_sold": "No large supermarket sells the product.",
    "not_typical": "Most shoppers would not agree.",
    "wrong_relation": "They belong together, but not in this way.",
    "false_text": "Rationale or explanation is not true.",
    "vague": "It says nothing particular.",
    "wrong_kind": "The kind is not what the phrase asks for.",
}
"""The rubric's reasons; files may bring other codes of the same form."""

MAX_FIT = 2
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
# No spreadsheet takes such a name for a formula, no terminal for a command.
_NAME = re.compile(r"\w[\w .@-]{0,79}")
_KEY = re.compile(r"[\x21-\x7e]{1,64}")


@dataclass(frozen=True, slots=True)
class Pair:
    """What is judged: a statement, or a statement with one of its kinds.

    Attributes:
        statement: Key of the wording, as `statement_key` makes it.
        target_kind_id: The kind its phrase was resolved to; None where only the statement is judged.
    """

    relation_id: str
    prompt_id: str
    model: str
    position: int
    statement: str
    target_kind_id: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """A verdict, before it is stored.

    Attributes:
        holds: The statement holds.
        fit: The kind is what the phrase asks for 2, acceptable 1, wrong 0; only where the pair has a kind.
        reason: Code of why not, see `REASON_CODES`.
        annotator: Who says so.
        source: One of `SOURCES`.
        created_at: When, ISO 8601 with its offset; information only, the store's sequence is the order.
        calibration_draw: Its place in a calibration sample, where it is of one: such a label teaches nothing.
        key: The same key is stored once, whatever comes with it later; "": made from the label.
    """

    pair: Pair
    holds: bool
    annotator: str
    created_at: str
    fit: int | None = None
    reason: str | None = None
    source: str = "reviewer"
    calibration_draw: int | None = None
    key: str = ""

    @property
    def fault(self) -> str | None:
        """One word on what is wrong with it; None where nothing is."""
        has_kind = self.pair.target_kind_id is not None
        faults = {
            "wrong_annotator": not _NAME.fullmatch(self.annotator),
            "wrong_source": self.source not in SOURCES,
            "wrong_reason": self.reason is not None and not _CODE.fullmatch(self.reason),
            "wrong_fit": self.fit is not None and not (has_kind and 0 <= self.fit <= MAX_FIT),
            "wrong_time": not _is_moment(self.created_at),
            "wrong_draw": self.calibration_draw is not None and self.calibration_draw < 0,
            "wrong_key": bool(self.key) and not _KEY.fullmatch(self.key),
        }
        return next((name for name, is_there in faults.items() if is_there), None)


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Added:
    """What became of labels that were handed in.

    Attributes:
        sequences: The row of each, in their order; of a known one, the row it already had.
        n_new: Rows that were written.
    """

    sequences: tuple[int, ...]
    n_new: int


class LabelStore:
    """The labels of one shop, safe for several threads and processes at once."""

    def __init__(self, engine: sa.Engine, path: Path) -> None:
        self._engine = engine
        self._path = path
        # Threads of one process queue here: SQLite's own waiting is a sleep that starves the unlucky.
        self._writing = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> LabelStore:
        """The store in a SQLite file; a new one is made where there is none.

        Raises:
            LedgerError: It cannot be opened.
        """
        with translated(f"The label store {path}"):
            store = cls(engine_for(path), path)
        with store._writes() as connection:
            make_tables(connection)
        return store

    @contextmanager
    def _writes(self) -> Iterator[sa.Connection]:
        engine = self._engine.execution_options(pkgraph_writes=True)
        with translated(f"The label store {self._path}"), self._writing, engine.begin() as connection:
            yield connection

    def add(self, labels: Sequence[Label]) -> Added:
        """Keep labels for good; they are on disk when this returns, all of them or none.

        Raises:
            InputError: One of them is not what a label must be. None was stored.
        """
        for label in labels:
            if label.fault:
                raise InputError(f"The label of {label.pair.relation_id} has a {label.fault}.")
        with self._writes() as connection:
            drawn = dict(_drawn(connection))
            kept = [self._keep(connection, _row(label, drawn)) for label in labels]
        return Added(tuple(sequence for sequence, _ in kept), sum(is_new for _, is_new in kept))

    @staticmethod
    def _keep(connection: sa.Connection, row: dict[str, Any]) -> tuple[int, bool]:
        known = connection.scalar(sa.select(LABELS.c.sequence).where(LABELS.c.key == row["key"]))
        if known is not None:
            return known, False
        written = connection.execute(LABELS.insert().values(row).returning(LABELS.c.sequence))
        return written.scalar_one(), True

    def undo(self, sequence: int, *, annotator: str, created_at: str) -> int:
        """Take a label back; the reviewer's former one on this pair stands again. Returns the new row.

        Raises:
            InputError: There is no such label, it is another reviewer's, or it was undone before.
        """
        with self._writes() as connection:
            asked = sa.select(LABELS).where(LABELS.c.sequence == sequence)
            row = connection.execute(asked).mappings().first()
            known = connection.scalar(sa.select(LABELS.c.sequence).where(LABELS.c.undoes == sequence))
            is_own = row is not None and row["undoes"] is None and row["annotator"] == annotator
            if row is None or not is_own or known is not None:
                raise InputError(
                    f"There is no label {sequence} of {annotator} that could be undone.",
                    remedy="See the history: `pkgraph labels export --history FILE`.",
                )
            changed = {"holds": None, "fit": None, "reason": None, "undoes": sequence}
            undone = {**row, **changed, "created_at": created_at, "key": f"undo-{sequence}"}
            del undone["sequence"]
            return self._keep(connection, undone)[0]

    def history(self, relation_id: str | None = None) -> pl.DataFrame:
        """Table `stored_labels`: every row, or those about one relation, in the order they came."""
        query = sa.select(LABELS).order_by(LABELS.c.sequence)
        if relation_id is not None:
            query = query.where(LABELS.c.relation_id == relation_id)
        return self._frame(query, STORED_LABELS.schema)

    def draws(self) -> pl.DataFrame:
        """Table `audit_draws`, in the order of drawing."""
        return self._frame(sa.select(DRAWS).order_by(DRAWS.c.draw), AUDIT_DRAWS.schema)

    def _frame(self, query: sa.Select[Any], schema: pl.Schema) -> pl.DataFrame:
        with translated(f"The label store {self._path}"), self._engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return pl.DataFrame(rows, schema=schema, infer_schema_length=None)

    def record_draws(
        self,
        pairs: Sequence[tuple[Pair, Mapping[str, str | None]]],
        *,
        population: str,
        n_population: int,
        seed: int,
        created_at: str,
        sample: str,
    ) -> None:
        """Note pairs that were just drawn at random, in their order, before anybody sees them.

        Args:
            pairs: Each with a kind, and with the words to judge; a pair may be drawn again.
            population: Key of what they were drawn from.
            n_population: How many pairs that is, each equally likely.
            seed: Of the random generator, so that the draw can be repeated.
            created_at: When.
            sample: Key of the sample whose certificate is in force, "" without one.
        """
        with self._writes() as connection:
            first = connection.scalar(sa.select(sa.func.count()).select_from(DRAWS)) or 0
            shared = {
                "population": population,
                "n_population": n_population,
                "seed": str(seed),
                "created_at": created_at,
                "sample": sample,
            }
            rows = [
                {**asdict(pair), **shared, "words": _json(words), "draw": number, "key": f"draw-{number}"}
                for number, (pair, words) in enumerate(pairs, start=first)
            ]
            if rows:
                connection.execute(DRAWS.insert(), rows)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _drawn(connection: sa.Connection) -> Iterator[tuple[tuple[str, str, str | None], int]]:
    """Pair and wording to its first draw."""
    columns = (DRAWS.c.relation_id, DRAWS.c.statement, DRAWS.c.target_kind_id, sa.func.min(DRAWS.c.draw))
    for relation_id, statement, target, draw in connection.execute(
        sa.select(*columns).group_by(*columns[:3])
    ):
        yield (relation_id, statement, target), draw


def _row(label: Label, drawn: dict[tuple[str, str, str | None], int]) -> dict[str, Any]:
    pair = label.pair
    draw = drawn.get((pair.relation_id, pair.statement, pair.target_kind_id))
    if draw is not None:
        how = "audit"
    else:
        how, draw = ("active" if label.calibration_draw is None else "calibration"), label.calibration_draw
    said = {
        **asdict(pair),
        "holds": label.holds,
        "fit": label.fit,
        "reason": label.reason,
        "annotator": label.annotator,
        "source": label.source,
        "created_at": label.created_at,
    }
    key = label.key or content_key("label", *map(str, said.values()), length=64)
    return {**said, "drawn": how, "draw": draw, "undoes": None, "key": key}


def _json(words: Mapping[str, str | None]) -> str:
    return json.dumps(words, ensure_ascii=False, sort_keys=True)
