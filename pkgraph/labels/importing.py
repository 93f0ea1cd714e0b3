"""Rows of a label file become labels of this shop's relations, or are refused with a reason."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.labels.formats import MAX_ROWS, Row
from pkgraph.labels.reading import MIN_PROMPT_CHARS, statement_key
from pkgraph.labels.store import Label, Pair
from pkgraph.model import content_key
from pkgraph.tables import REJECTED_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MAX_CHARS = 300
_MAX_DIGITS = 9
_TRUTH = {"1": True, "0": False}
_READ = (
    "relation_id", "prompt_id", "model", "position", "statement", "target_kind_id", "holds", "fit", "reason",
    "annotator", "source", "drawn", "draw", "created_at", "key", "sequence", "undoes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shelf:
    """What this shop's models stated, ready to be found by what a label names it by.

    Attributes:
        pairs: relation_id to the pair without a kind.
        kinds: relation_id to the kinds its phrase was resolved to.
        places: Start of the prompt_id, model and position to what was stated there; several samples of a
            model may have stated something there.
    """

    pairs: Mapping[str, Pair]
    kinds: Mapping[str, frozenset[str]]
    places: Mapping[tuple[str, str, int], tuple[Pair, ...]]

    @classmethod
    def of(cls, relations: pl.DataFrame, mapped: pl.DataFrame, draws: pl.DataFrame) -> Shelf:
        """All of the tables `relations` and `mapped_relations`, and what `audit_draws` drew and is gone."""
        once = relations.unique("relation_id", keep="first", maintain_order=True)
        columns = ("relation_id", "prompt_id", "model", "position")
        texts = ("relation_type", "rationale", "product", "explanation")
        pairs = {}
        places: dict[tuple[str, str, int], list[Pair]] = defaultdict(list)
        for row in once.select(*columns, *texts).iter_rows():
            relation_id, prompt_id, model, position, *said = row
            pair = Pair(relation_id, prompt_id, model, position, statement_key(*said))
            pairs[pair.relation_id] = pair
            places[pair.prompt_id[:MIN_PROMPT_CHARS], pair.model, pair.position].append(pair)
        for row in draws.select(*columns, "statement").iter_rows():
            pairs.setdefault(row[0], Pair(*row))
        kinds: dict[str, set[str]] = defaultdict(set)
        for table in (mapped, draws):
            for relation_id, kind in table.select("relation_id", "target_kind_id").iter_rows():
                kinds[relation_id].add(kind)
        frozen = {key: frozenset(found) for key, found in kinds.items()}
        return cls(pairs, frozen, {place: tuple(found) for place, found in places.items()})


@dataclass(frozen=True, slots=True)
class Import:
    """What became of the rows of a file.

    Attributes:
        labels: To be added to the store.
        rejected: Table `rejected_labels`.
        n_rows: Rows delivered: labels, rejected and passed over.
        passed_over: Reason to the number of rows that say nothing: not judged, taken back.
    """

    labels: tuple[Label, ...]
    rejected: pl.DataFrame
    n_rows: int
    passed_over: Mapping[str, int] = field(default_factory=dict)


class _Refused(Exception):
    """One word on why a row is no label; never leaves this module."""


def labels_from(
    rows: Iterable[tuple[int, Row | None]], shelf: Shelf, *, annotator: str, source: str, now: str
) -> Import:
    """The labels in the rows of a file.

    A row without a time of its own is known by what it says: read again, it is not a new label.

    Args:
        rows: As `read_rows` gives them.
        shelf: The relations of the shop.
        annotator: Who labelled, where a row does not say.
        source: In which role, where a row does not say.
        now: ISO 8601, for rows that have no time.
    """
    labels: list[Label] = []
    bad: list[dict[str, object]] = []
    open_rows = taken_back = 0
    every = list(rows)
    undone = {row["undoes"] for _, row in every if row and row.get("undoes")}
    seen: set[tuple[Pair, str]] = set()
    for number, row in every:
        if row is not None and not row.get("holds"):
            open_rows += 1
        elif row is not None and row.get("sequence") in undone:
            taken_back += 1
        else:
            try:
                if len(labels) + len(bad) >= MAX_ROWS:
                    raise _Refused("too_many_rows")  # noqa: TRY301
                label = _label(row, shelf, {"annotator": annotator, "source": source, "created_at": now})
                _note(label, row or {}, seen)
                labels.append(label)
            except _Refused as refusal:
                bad.append({"row": number, "reason": str(refusal), "detail": str(row)[:200]})
    passed = {"not_judged": open_rows, "taken_back": taken_back}
    # A row of Label Studio is a task, and several of its annotations may be bad.
    rejected = pl.DataFrame(bad, schema=REJECTED_LABELS.schema)
    return Import(
        tuple(labels),
        REJECTED_LABELS.conform(rejected),
        len(every),
        {reason: n for reason, n in passed.items() if n},
    )


def _note(label: Label, row: Row, seen: set[tuple[Pair, str]]) -> None:
    who = (label.pair, label.annotator)
    if not row.get("created_at") and who in seen:
        raise _Refused("duplicate_label")
    seen.add(who)


def _label(row: Row | None, shelf: Shelf, unsaid: Row) -> Label:
    if row is None:
        raise _Refused("unreadable")
    texts = {name: row.get(name, "") for name in _READ}
    if any(len(text) > _MAX_CHARS for text in texts.values()):
        raise _Refused("too_long")
    if texts["holds"] not in _TRUTH:
        raise _Refused("holds_is_neither_0_nor_1")
    said = texts | {name: texts[name] or text for name, text in unsaid.items()}
    pair = _pair(texts, shelf)
    label = Label(
        pair=pair,
        holds=_TRUTH[texts["holds"]],
        annotator=said["annotator"],
        created_at=said["created_at"],
        fit=_number(texts["fit"], "wrong_fit"),
        reason=texts["reason"] or None,
        source=said["source"],
        calibration_draw=_number(texts["draw"], "wrong_draw") if _is_calibration(texts) else None,
        key=texts["key"] or ("" if texts["created_at"] else _key(pair, said)),
    )
    if label.fault:
        raise _Refused(label.fault)
    return label


def _is_calibration(texts: Row) -> bool:
    """A place in a random order; that of an audit is the store's own to say."""
    return bool(texts["draw"]) and texts["drawn"] in {"", "calibration"}


def _key(pair: Pair, said: Row) -> str:
    verdict = [said[name] for name in ("holds", "fit", "reason", "annotator", "source", "draw")]
    what = (pair.relation_id, pair.statement, pair.target_kind_id or "")
    return content_key("row", *what, *verdict, length=64)


def _number(text: str, fault: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise _Refused(fault)
    return int(text)


def _pair(texts: Row, shelf: Shelf) -> Pair:
    pair = _stated(texts, shelf)
    target = texts["target_kind_id"] or None
    if target is not None and target not in shelf.kinds.get(pair.relation_id, frozenset()):
        raise _Refused("unknown_target")
    return Pair(pair.relation_id, pair.prompt_id, pair.model, pair.position, pair.statement, target)


def _stated(texts: Row, shelf: Shelf) -> Pair:
    """What a row speaks of: by relation_id, or by prompt, model and position."""
    known = shelf.pairs.get(texts["relation_id"])
    there = (known,) if known else _at(texts, shelf)
    if not there:
        raise _Refused("unknown_relation")
    same = [pair for pair in there if texts["statement"] in {"", pair.statement}]
    if not same:
        raise _Refused("statement_changed")
    # Several samples of one model can stand at one place: only a label that names its statement fits then.
    if len(same) > 1 and not texts["statement"]:
        raise _Refused("ambiguous_relation")
    return min(same, key=lambda pair: pair.relation_id)


def _at(texts: Row, shelf: Shelf) -> tuple[Pair, ...]:
    prompt = texts["prompt_id"]
    position = _number(texts["position"], "wrong_position")
    if len(prompt) < MIN_PROMPT_CHARS or position is None:
        return ()
    found = shelf.places.get((prompt[:MIN_PROMPT_CHARS], texts["model"], position), ())
    return tuple(pair for pair in found if pair.prompt_id.startswith(prompt))
