"""Lines of a text file with their numbers; a row that went wrong gives back the lines it swallowed."""

from __future__ import annotations

import io
from collections import deque
from typing import IO

from pkgraph.errors import CatalogError

# The csv module refuses fields of more than 131 072 characters; a line longer than this is no product.
MAX_LINE_CHARS = 200_000
# A quoted description may span lines; an unclosed quote would swallow the file.
MAX_LINES_PER_ROW = 100


class RowTooLong(ValueError):
    """The row has a line, or more lines, than any row of a catalog has."""


class Lines:
    """Iterator of lines, to be told where a row starts.

    Attributes:
        number: Line last given, from 1.
        first: First line of the current row, from 1.
    """

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._text = _decoded(stream, name)
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self.number = 0

    def __iter__(self) -> Lines:
        return self

    @property
    def first(self) -> int:
        return self.number - len(self._taken) + 1

    @property
    def spans_lines(self) -> bool:
        return len(self._taken) > 1

    @property
    def shown(self) -> str:
        return self._taken[0].rstrip("\n") if self._taken else ""

    def start_row(self) -> None:
        self._taken.clear()

    def end_row_at_its_first_line(self) -> None:
        """Whatever else the row swallowed is read again, as rows of their own."""
        self._again.extendleft(reversed(self._taken[1:]))
        self.number -= len(self._taken) - 1
        del self._taken[1:]

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._text.readline(MAX_LINE_CHARS)
        if not line:
            raise StopIteration
        self.number += 1
        self._taken.append(line)
        if len(line) == MAX_LINE_CHARS and not line.endswith("\n"):
            self._skip_the_rest()
            raise RowTooLong(f"more than {MAX_LINE_CHARS} characters in a line")
        if len(self._taken) > MAX_LINES_PER_ROW:
            raise RowTooLong(f"a quote that stays open for {MAX_LINES_PER_ROW} lines")
        return line

    def _skip_the_rest(self) -> None:
        while (rest := self._text.readline(MAX_LINE_CHARS)) and not rest.endswith("\n"):
            pass


def _decoded(stream: IO[bytes], name: str) -> io.TextIOWrapper:
    head = stream.peek(2)[:2] if isinstance(stream, io.BufferedReader) else b""
    if head in (b"\xff\xfe", b"\xfe\xff"):
        raise CatalogError(f"{name} is UTF-16.", remedy="Save it as UTF-8.")
    # Bytes that are not UTF-8 become lone surrogates, by which the row that holds them is known.
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape")


def is_unicode(text: str) -> bool:
    """No byte of it was anything but UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
