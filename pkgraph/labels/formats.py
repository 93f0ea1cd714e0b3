"""Labels and pairs to be labelled as files: TSV, CSV, JSONL, and the JSON of Label Studio.

A row is a mapping of column names to texts, whatever the format; "" and a missing column are the same.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

from pkgraph.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

Row = dict[str, str]

MAX_BYTES = 64 << 20
MAX_ROWS = 1_000_000
FORMATS = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".json": "label-studio"}
JUDGED = ("holds", "fit", "reason", "annotator")
"""What a reviewer fills in; in Label Studio, names of its controls."""

LABEL_CONFIG = """\
<View>
  <Text name="statement" value="$text"/>
  <Choices name="holds" toName="statement" required="true">
    <Choice value="yes"/><Choice value="no"/>
  </Choices>
  <Choices name="fit" toName="statement">
    <Choice value="2" hint="what was asked for"/><Choice value="1" hint="acceptable"/><Choice value="0"/>
  </Choices>
  <TextArea name="reason" toName="statement" maxSubmissions="1" placeholder="not_typical"/>
  <TextArea name="annotator" toName="statement" maxSubmissions="1" placeholder="your name"/>
</View>
"""
"""The labelling interface that exported tasks are made for."""

# What no control of the interface stands for; it travels beside the result, where Label Studio drops it.
_BESIDE = ("source", "key")
_OF_A_VERDICT = {*JUDGED, *_BESIDE, "created_at"}
_TRUTHS = {"yes": "1", "no": "0", "true": "1", "false": "0"}
# What a spreadsheet would take for a formula.
_FORMULA = re.compile(r"^[=+\-@\t\r]")


def format_of(path: Path) -> str:
    """The format a file's name stands for.

    Raises:
        InputError: Its ending is none of `FORMATS`.
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise InputError(
            f"{path} is in no known format.", remedy=f"Name it {', '.join('*' + end for end in FORMATS)}."
        )
    return found


def read_rows(path: Path) -> Iterator[tuple[int, Row | None]]:
    """Each row with its number, from 1; None where it cannot be read. A header is row 1.

    Raises:
        InputError: The file is missing, too large, not UTF-8, or in no known format. Nothing was read.
    """
    kind = format_of(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"The labels {path} are more than {MAX_BYTES >> 20} MiB.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"The labels {path} cannot be read: {error}.") from error
    if kind == "label-studio":
        return _from_label_studio(text, path)
    return _from_jsonl(text) if kind == "jsonl" else _from_lines(text, kind)


def _from_lines(text: str, kind: str) -> Iterator[tuple[int, Row | None]]:
    if kind == "tsv":
        reader = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.DictReader(io.StringIO(text, newline=""))
    for row in reader:
        # A short line leaves None, a long one a list under the key None.
        is_whole = all(isinstance(value, str) for value in row.values())
        yield reader.line_num, {k: _unguarded(v.strip()) for k, v in row.items()} if is_whole else None


def _unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text


def _from_jsonl(text: str) -> Iterator[tuple[int, Row | None]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield number, _texts(json.loads(line))
            except (ValueError, RecursionError):
                yield number, None


def _texts(data: object) -> Row | None:
    """An object's values as texts; what is neither text, whole number, truth nor null is left out."""
    if not isinstance(data, dict):
        return None
    found = {}
    for name, value in data.items():
        if isinstance(value, bool):
            found[name] = "1" if value else "0"
        elif isinstance(value, str | int):
            found[name] = str(value).strip()
    return found


def _from_label_studio(text: str, path: Path) -> Iterator[tuple[int, Row | None]]:
    try:
        tasks = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The labels {path} are no JSON: {error}.") from error
    if not isinstance(tasks, list):
        raise InputError(f"The labels {path} are no list of Label Studio tasks.")
    for number, task in enumerate(tasks, start=1):
        data = _texts(task.get("data")) if isinstance(task, dict) else None
        annotations = task.get("annotations", []) if isinstance(task, dict) else None
        if data is None or not isinstance(annotations, list):
            yield number, None
            continue
        for annotation in annotations:
            if not (isinstance(annotation, dict) and annotation.get("was_cancelled")):
                yield number, _from_annotation(data, annotation)


def _from_annotation(data: Row, annotation: object) -> Row | None:
    results = annotation.get("result") if isinstance(annotation, dict) else None
    if not isinstance(annotation, dict) or not isinstance(results, list):
        return None
    # Verdicts in the data of a task would be suggestions, not what this annotator chose.
    row = {name: text for name, text in data.items() if name not in JUDGED}
    for result in results:
        value = result.get("value") if isinstance(result, dict) else None
        chosen = (value.get("choices") or value.get("text")) if isinstance(value, dict) else None
        first = chosen[0] if isinstance(chosen, list) and chosen else chosen
        if isinstance(first, str) and result.get("from_name") in JUDGED:
            row[result["from_name"]] = _TRUTHS.get(first.strip(), first.strip())
    row.setdefault("annotator", _who(annotation.get("completed_by")))
    beside = _texts(annotation.get("pkgraph")) or {}
    row |= {name: beside[name] for name in _BESIDE if name in beside}
    made = annotation.get("created_at")
    return row | ({"created_at": made} if isinstance(made, str) else {})


def _who(completed_by: object) -> str:
    if isinstance(completed_by, dict):
        return str(completed_by.get("email") or completed_by.get("id") or "")
    return f"label-studio-{completed_by}" if isinstance(completed_by, int) else ""


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> int:
    """Write rows, one a judged or open pair; returns how many.

    A file for Label Studio has a task a pair, with the text to judge under `text`, an annotation a verdict.
    """
    kind = format_of(path)
    every = [{name: _text(row.get(name)) for name in columns} for row in rows]
    if kind == "jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in every)
    elif kind == "label-studio":
        text = json.dumps(_tasks(every), ensure_ascii=False, indent=1)
    else:
        text = _lines(kind, columns, every)
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error
    return len(every)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else str(value)


def _lines(kind: str, columns: Sequence[str], rows: list[Row]) -> str:
    out = io.StringIO(newline="")
    if kind == "tsv":
        # No quotes in this format: what would break a line becomes a space.
        for cells in ([*columns], *([row[name] for name in columns] for row in rows)):
            out.write("\t".join(" ".join(_guarded(cell).split()) for cell in cells) + "\n")
        return out.getvalue()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _guarded(cell) for name, cell in row.items()} for row in rows)
    return out.getvalue()


def _guarded(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _tasks(rows: list[Row]) -> list[dict[str, Any]]:
    tasks: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        data = {name: text for name, text in row.items() if name not in _OF_A_VERDICT}
        pair = tuple(row.get(name, "") for name in ("relation_id", "statement", "target_kind_id"))
        task = tasks.setdefault(pair, {"data": data, "annotations": []})
        if row.get("holds"):
            task["annotations"].append(_annotation(row))
    return list(tasks.values())


def _annotation(row: Row) -> dict[str, Any]:
    said = {"holds": "yes" if row["holds"] == "1" else "no", "fit": row.get("fit", "")}
    results = [_result(name, "choices", text) for name, text in said.items() if text]
    results += [_result(name, "textarea", row[name]) for name in ("reason", "annotator") if row.get(name)]
    beside = {name: row[name] for name in _BESIDE if row.get(name)}
    return {"result": results, "created_at": row.get("created_at", ""), "pkgraph": beside}


def _result(name: str, kind: str, text: str) -> dict[str, Any]:
    value = {"choices": [text]} if kind == "choices" else {"text": [text]}
    return {"from_name": name, "to_name": "statement", "type": kind, "value": value}
