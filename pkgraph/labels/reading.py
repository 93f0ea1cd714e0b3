"""Labels of relations are read from TSV; a line that cannot be read costs that line and is listed.

    prompt_id      model                      position  statement     holds  reason       annotator
    fa54cde06cdf   recorded-frontier-2026-11  4         0b1c9f1d2e3a  0      not_typical  A

`prompt_id` may be cut, at 12 characters or later. `statement` is optional: the key of what was judged, so
that a label is void where the model has been asked again and says something else at that place.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pkgraph.errors import InputError
from pkgraph.model import content_key
from pkgraph.tables import REJECTED_LABELS, RELATION_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIN_PROMPT_CHARS = 12
_NEEDED = ("prompt_id", "model", "position", "holds", "annotator")
_MAX_CHARS = 200
_MAX_LINES = 1_000_000
_WORD = re.compile(r"[^\W_]+")
_HOLDS = {"1": True, "0": False}


@dataclass(frozen=True, slots=True)
class LabelDelivery:
    """What became of the lines of a label file.

    Attributes:
        labels: Table `relation_labels`.
        rejected: Table `rejected_labels`.
        n_lines: Lines delivered; always `labels.height + rejected.height`.
    """

    labels: pl.DataFrame
    rejected: pl.DataFrame
    n_lines: int


def statement_key(relation_type: str, rationale: str, product: str, explanation: str) -> str:
    """Key of what a reviewer judged: equal words, equal key.

    Case and punctuation do not count, so that a parser that cleans texts better voids no label.
    """
    texts = (unicodedata.normalize("NFKC", text).casefold() for text in (rationale, product, explanation))
    return content_key("statement", relation_type, *(" ".join(_WORD.findall(text)) for text in texts))


def read_relation_labels(path: Path) -> LabelDelivery:
    """The labels of a file.

    Raises:
        InputError: The file is missing, is not UTF-8, or lacks a column. Nothing was read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"The labels {path} cannot be read: {error}.") from error
    reader = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(
            f"The labels {path} lack the columns {', '.join(missing)}.",
            remedy=f"Write a TSV with the columns {', '.join(_NEEDED)}.",
        )
    good, bad = _sorted_out(reader)
    return LabelDelivery(
        RELATION_LABELS.conform(pl.DataFrame(good, schema=RELATION_LABELS.schema)),
        REJECTED_LABELS.conform(pl.DataFrame(bad, schema=REJECTED_LABELS.schema)),
        len(good) + len(bad),
    )


def _sorted_out(reader: csv.DictReader[str]) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    good: list[dict[str, object]] = []
    bad: list[dict[str, object]] = []
    seen: set[tuple[object, ...]] = set()
    for number, label, own_fault in _lines(reader):
        key = tuple(label.get(name) for name in RELATION_LABELS.key)
        fault = own_fault or ("duplicate_label" if key in seen else None)
        if fault is None:
            seen.add(key)
            good.append(label)
        else:
            bad.append({"row": number, "reason": fault, "detail": str(label)[:_MAX_CHARS]})
    return good, bad


def _lines(reader: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, object], str | None]]:
    """Line number (the header is 1), what stands there, and what is wrong with it."""
    for row in reader:
        if reader.line_num > _MAX_LINES:
            yield reader.line_num, {}, "too_many_lines"
            return
        label, fault = _label(row)
        yield reader.line_num, label, fault


def _label(row: dict[str, str]) -> tuple[dict[str, object], str | None]:
    # A short line leaves None, a long one a list under the key None.
    texts = {name: value.strip() for name, value in row.items() if isinstance(value, str)}
    if len(texts) != len(row) or any(len(value) > _MAX_CHARS for value in texts.values()):
        return dict(texts), "wrong_number_of_fields" if len(texts) != len(row) else "too_long"
    label: dict[str, object] = {
        "prompt_id": texts["prompt_id"],
        "model": texts["model"],
        "position": texts["position"],
        "statement": texts.get("statement") or None,
        "holds": _HOLDS.get(texts["holds"]),
        "reason": texts.get("reason") or None,
        "annotator": texts["annotator"],
        "target_kind_id": None,
        "fit": None,
        "teaches": True,
    }
    if len(texts["prompt_id"]) < MIN_PROMPT_CHARS or not texts["model"]:
        return label, "unknown_relation_name"
    if not (texts["position"].isascii() and texts["position"].isdigit() and len(texts["position"]) <= 4):  # noqa: PLR2004
        return label, "wrong_position"
    if label["holds"] is None:
        return {**label, "holds": texts["holds"]}, "holds_is_neither_0_nor_1"
    if not texts["annotator"]:
        return label, "no_annotator"
    return {**label, "position": int(texts["position"])}, None
