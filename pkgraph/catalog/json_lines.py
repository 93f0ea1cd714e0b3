"""JSON Lines: an object a line; numbers keep the very digits they were written with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO

from pkgraph.catalog.lines import Lines, RowTooLong, is_unicode
from pkgraph.catalog.rows import RawRow, faulty, require_columns

# Keys shown in the error that says which columns are missing.
_MAX_KEYS = 1_000


def _parsed(line: str) -> object:
    # Ids stay as written: 1e5 is no 100000.0, and no integer is too long to be text.
    return json.loads(line, parse_int=str, parse_float=str, parse_constant=str)


def _row(line: str, number: int, names: list[str], seen: dict[str, None]) -> RawRow:
    if not is_unicode(line):
        return faulty(number, "wrong_encoding", line, len(names))
    try:
        found = _parsed(line)
    except (ValueError, RecursionError) as error:
        return faulty(number, "not_json", f"{error}: {line[:100]}", len(names))
    if not isinstance(found, dict):
        return faulty(number, "not_an_object", line, len(names))
    if len(seen) < _MAX_KEYS:
        seen.update(dict.fromkeys(found))
    values = tuple([found.get(name) for name in names])
    odd = [name for name, value in zip(names, values, strict=True) if not isinstance(value, str | None)]
    if odd:
        return faulty(number, "not_text", f"{', '.join(odd)}: {line[:100]}", len(names))
    if not is_unicode("".join([value for value in values if value])):  # "\ud800" is JSON, but no text
        return faulty(number, "wrong_encoding", line, len(names))
    return number, None, None, values


def json_rows(stream: IO[bytes], columns: Mapping[str, str], name: str) -> Iterator[RawRow]:
    """Rows of a file of JSON Lines; blank lines are none.

    Raises:
        CatalogError: A mapped column occurs in no row.
    """
    lines, names = Lines(stream, name), list(columns.values())
    seen: dict[str, None] = {}
    some = False
    while True:
        lines.start_row()
        try:
            line = next(lines)
        except StopIteration:
            break
        except RowTooLong as error:
            yield faulty(lines.first, "line_too_long", f"{error}: {lines.shown[:100]}", len(names))
            continue
        if line.strip():
            some = True
            yield _row(line, lines.first, names, seen)
    if some and seen:
        require_columns(columns, seen, name)
