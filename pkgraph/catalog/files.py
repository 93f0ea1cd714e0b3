"""Files of a shop by path or URL become raw rows: line number, the mapped texts, and a fault where there is one."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl


def read_rows(path: str, format_: str | None, columns: Mapping[str, str], *, what: str) -> pl.DataFrame:
    raise NotImplementedError
