"""CSV and its relatives: the delimiter is the one under which the header holds the mapped columns."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO

from pkgraph.catalog.lines import Lines, RowTooLong, is_unicode
from pkgraph.catalog.rows import RawRow, faulty, require_columns
from pkgraph.errors import CatalogError

_DELIMITERS = (",", ";", "\t", "|")


def _header(lines: Lines, columns: Mapping[str, str], name: str) -> tuple[str, list[str]]:
    """Delimiter and column names of the first line that is not blank."""
    line = next((line for line in lines if line.strip()), "")
    if not is_unicode(line):
        raise CatalogError(f"The header of {name} is not UTF-8.", remedy="Save the file as UTF-8.")
    wanted = set(columns.values())
    readings = [(d, [c.strip() for c in next(csv.reader([line], delimiter=d), [])]) for d in _DELIMITERS]
    delimiter, found = max(readings, key=lambda reading: len(wanted & set(reading[1])))
    require_columns(columns, found, name)
    twice = sorted(column for column, n in Counter(found).items() if n > 1 and column in wanted)
    if twice:
        raise CatalogError(f"{name} has more than one column {', '.join(twice)}.", remedy="Rename one.")
    return delimiter, found


def _split(lines: Lines, delimiter: str) -> Iterator[tuple[list[str], str | None, str]]:
    """Rows as fields; where that fails, a fault and its detail."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.start_row()
        try:
            yield next(reader), None, ""
        except StopIteration:
            return
        except RowTooLong as error:
            fault = "bad_quoting" if lines.spans_lines else "line_too_long"
            lines.end_row_at_its_first_line()
            yield [], fault, f"{error}: {lines.shown[:100]}"
        except csv.Error as error:
            lines.end_row_at_its_first_line()
            yield [], "bad_quoting", f"{error}: {lines.shown[:100]}"


def delimited_rows(stream: IO[bytes], columns: Mapping[str, str], name: str) -> Iterator[RawRow]:
    """Rows of a delimited file; blank lines are none.

    Raises:
        CatalogError: Mapped columns are missing or named twice, or the header cannot be read.
    """
    lines = Lines(stream, name)
    try:
        delimiter, header = _header(lines, columns, name)
    except (RowTooLong, csv.Error) as error:
        raise CatalogError(f"The header of {name} cannot be read: {error}.") from error
    places = [header.index(column) for column in columns.values()]
    n_fields, n_values = len(header), len(places)
    for fields, fault, detail in _split(lines, delimiter):
        if fault is not None:
            yield faulty(lines.first, fault, detail, n_values)
        elif len(fields) == n_fields and is_unicode("".join(fields)):
            yield lines.first, None, None, tuple([fields[place] for place in places])
        elif len(fields) == n_fields:
            yield faulty(lines.first, "wrong_encoding", lines.shown, n_values)
        elif fields:
            lines.end_row_at_its_first_line()
            found = f"{len(fields)} fields, the header has {n_fields}: {lines.shown[:100]}"
            yield faulty(lines.first, "ragged_row", found, n_values)
