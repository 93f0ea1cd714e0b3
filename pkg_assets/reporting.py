"""How an asset shows what it made: schema, counts, a few rows, plots; the same for every table."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pkgraph.tables import Table

OWNERS = ["team:pkgraph"]


def column_schema(table: Table) -> dict[str, dg.TableSchema]:
    """The table's description, as the UI's column panel reads it."""
    columns = [
        dg.TableColumn(
            name=name,
            type=str(column.dtype() if isinstance(column.dtype, type) else column.dtype),
            description=column.description,
            constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=table.key == (name,)),
        )
        for name, column in table.columns.items()
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


def table_spec(table: Table, group: str, *, kinds: frozenset[str] = frozenset({"polars"})) -> dict[str, Any]:
    """What every table asset says of itself; the description is the table's own."""
    return {
        "description": table.description,
        "metadata": column_schema(table),
        "group_name": group,
        "owners": OWNERS,
        "kinds": set(kinds),
    }


def table_result(
    table: Table,
    frame: pl.DataFrame,
    *,
    sample: tuple[str, ...] = (),
    version: Callable[[str], str] = str,
    **metadata: Any,
) -> dg.MaterializeResult[pl.DataFrame]:
    """A table as an asset's value, under a version that follows from its content, by default alone."""
    frame = table.conform(frame)
    shown = {
        "dagster/row_count": frame.height,
        **{k: _short(v) if isinstance(v, float) else v for k, v in metadata.items()},
    }
    if sample and not frame.is_empty():
        shown["sample"] = sample_rows(frame.select(sample))
    return dg.MaterializeResult(
        asset_key=table.name,
        value=frame,
        metadata=shown,
        data_version=dg.DataVersion(version(fingerprint(frame))),
    )


def fingerprint(frame: pl.DataFrame) -> str:
    """Key of a frame's content; equal for equal rows in equal order."""
    digest = hashlib.sha256(repr(frame.schema).encode())
    # Polars hashes rows with fixed seeds: 0.07 s for 1.4 M rows, where writing them as text takes seconds.
    digest.update(frame.hash_rows().to_numpy().tobytes())
    return digest.hexdigest()[:16]


def sample_rows(frame: pl.DataFrame, n: int = 8) -> dg.TableMetadataValue:
    """`n` rows spread over the frame; text is cut at 120 characters and shown as text, never as markup."""
    picked = frame.gather_every(max(1, frame.height // n)).head(n)
    records = [dg.TableRecord({k: _cell(v) for k, v in row.items()}) for row in picked.iter_rows(named=True)]
    columns = [dg.TableColumn(name=name) for name in picked.columns]
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(columns=columns))


def _cell(value: object) -> str | int | float | bool:
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return _short(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))[:120]
    return "" if value is None else str(value)[:120]


def _short(value: float) -> float:
    """A number as a page shows it: five digits say all that anyone reads there."""
    return float(f"{value:.5g}")


def counts(frame: pl.DataFrame, column: str) -> dict[str, int]:
    """How many rows a value, most frequent first."""
    counted = frame.group_by(column).len().sort(["len", column], descending=[True, False])
    return {str(value): int(n) for value, n in counted.iter_rows()}


def count_table(values: Mapping[str, int], name: str) -> dg.TableMetadataValue:
    records = [dg.TableRecord({name: key, "n": n}) for key, n in values.items()]
    schema = dg.TableSchema(columns=[dg.TableColumn(name=name), dg.TableColumn(name="n", type="int")])
    return dg.MetadataValue.table(records=records, schema=schema)


def picture(png: bytes, alt: str) -> dg.MarkdownMetadataValue:
    """A PNG as inline Markdown, which the UI shows in a dialog."""
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})")


# What Markdown or HTML would act on: text of catalogs and models is shown, never rendered.
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+!|~&-])")


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of untrusted text; every character that could be markup is escaped."""
    lines = [columns, ["---"] * len(columns), *[[_inert(cell) for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _inert(text: str) -> str:
    flat = " ".join(text.split())[:200]
    return _MARKUP.sub(lambda found: f"&#{ord(found.group())};", flat)
