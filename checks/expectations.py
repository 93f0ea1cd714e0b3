"""Great Expectations over a table: the suite follows from the table's description, the outcome is plain data.

A suite that evaluated nothing has failed, and so has an empty table: Great Expectations itself passes both.
NaN is neither null nor out of range to it, so every bounded column is also checked to be finite here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from pkgraph.model import GateReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from pkgraph.tables import Column, Table


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one expectation.

    Attributes:
        expectation: "match_score: values are between 0 and 1".
        n_rows: How many rows it looked at.
        n_unexpected: How many of them break it.
        sample: Up to five offenders, as text.
    """

    expectation: str
    n_rows: int
    n_unexpected: int
    sample: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.n_unexpected == 0


def own_part(table: Table, judged_before: Table) -> Table:
    """The table with its key and the columns it adds to one judged before: 0.05 s less a category."""
    added = {n: c for n, c in table.columns.items() if n in table.key or n not in judged_before.columns}
    return replace(table, columns=added)


_SUITES: dict[str, list[Any]] = {}
"""Suites by the whole description of their table: making one costs 25 ms, and a build asks a category."""


def expectations_of(table: Table) -> list[Any]:
    """The suite of a table: rows, key, nulls, ranges, sets."""
    key = repr(table)
    if key not in _SUITES:
        _SUITES[key] = _suite_of(table)
    return _SUITES[key]


def _suite_of(table: Table) -> list[Any]:
    import great_expectations.expectations as gxe

    suite: list[Any] = [gxe.ExpectTableRowCountToBeBetween(min_value=1)]
    if len(table.key) == 1:
        suite.append(gxe.ExpectColumnValuesToBeUnique(column=table.key[0]))
    else:
        suite.append(gxe.ExpectCompoundColumnsToBeUnique(column_list=list(table.key)))
    for name, column in table.columns.items():
        suite.extend(_expectations_of_column(name, column, is_key=name in table.key))
    return suite


def _expectations_of_column(name: str, column: Column, *, is_key: bool) -> list[Any]:
    import great_expectations.expectations as gxe

    is_bounded = column.low is not None or column.high is not None
    found: list[Any] = []
    # A bounded column is asked for nulls together with NaN, below: 10 ms saved a column and category.
    if not column.nullable and (is_key or column.one_of):
        found.append(gxe.ExpectColumnValuesToNotBeNull(column=name))
    if is_bounded:
        found.append(
            gxe.ExpectColumnValuesToBeBetween(column=name, min_value=column.low, max_value=column.high)
        )
    if column.one_of:
        found.append(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=[str(v) for v in column.one_of]))
    return found


@cache
def _batch_definition() -> Any:
    """One ephemeral context a process; making one costs 10 ms, importing the package 4-9 s."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("tables").add_dataframe_asset("table")
    return asset.add_batch_definition_whole_dataframe("whole")


def validate(frame: pl.DataFrame, table: Table, *, may_be_empty: bool = False) -> list[Outcome]:
    """Every expectation of the table's suite over the frame.

    Args:
        frame: What to judge.
        table: Its description.
        may_be_empty: For tables of refusals, of which none is a good day.
    """
    if may_be_empty and frame.is_empty():
        return [Outcome("table: may be empty, and is", n_rows=1, n_unexpected=0)]
    missing = [name for name in table.columns if name not in frame.columns]
    if missing:
        return [Outcome(f"{name}: the column exists", frame.height, max(frame.height, 1)) for name in missing]
    return [*_run(expectations_of(table), frame), *_finite(frame, table)]


def _run(suite: Sequence[Any], frame: pl.DataFrame) -> list[Outcome]:
    import great_expectations as gx
    import pandas as pd

    needed = sorted({column for expectation in suite for column in _columns(expectation)})
    # Column by column: DataFrame.to_pandas needs pyarrow, which is not part of the pipeline.
    pandas_frame = pd.DataFrame({name: frame[name].to_list() for name in needed}, index=range(frame.height))
    result = (
        _batch_definition()
        .get_batch({"dataframe": pandas_frame})
        .validate(
            gx.ExpectationSuite(name="suite", expectations=list(suite)),
            result_format={"result_format": "SUMMARY", "partial_unexpected_count": 5},
        )
    )
    return [_outcome(one, frame.height) for one in result.results]


def _columns(expectation: Any) -> list[str]:
    columns = getattr(expectation, "column_list", None) or [getattr(expectation, "column", None)]
    return [column for column in columns if column]


def _outcome(one: Any, n_rows: int) -> Outcome:
    name = one.expectation_config.type.removeprefix("expect_").removeprefix("column_values_")
    kwargs = one.expectation_config.kwargs
    column = kwargs.get("column") or ", ".join(kwargs.get("column_list", ())) or "table"
    detail = ", ".join(
        f"{k} {v}" for k, v in kwargs.items() if k in {"min_value", "max_value"} and v is not None
    )
    passed = bool(one.success)
    unexpected = one.result.get("unexpected_count")
    return Outcome(
        expectation=f"{column}: {name.replace('_', ' ')}{f' ({detail})' if detail else ''}",
        n_rows=n_rows,
        n_unexpected=0 if passed else max(1, unexpected or 0),
        sample=tuple(str(value)[:80] for value in one.result.get("partial_unexpected_list", ())[:5]),
    )


def ranges(frame: pl.DataFrame, table: Table) -> list[Outcome]:
    """Ranges, nulls and finiteness of a wide table, counted in Polars; an empty table may be empty.

    For the 34 signals of the evidence, where a suite of 70 expectations costs half a second a category.
    """
    found = _finite(frame, table)
    for name, column in table.columns.items():
        value = frame[name]
        if not column.nullable and not column.dtype.is_float():  # of a number, _finite asks it
            found.append(_counted(f"{name}: to not be null", frame, value.is_null()))
        if column.low is not None:
            found.append(_counted(f"{name}: at least {column.low:g}", frame, value < column.low))
        if column.high is not None:
            found.append(_counted(f"{name}: at most {column.high:g}", frame, value > column.high))
    return found


def _counted(expectation: str, frame: pl.DataFrame, offends: pl.Series) -> Outcome:
    return Outcome(expectation, frame.height, int(offends.sum() or 0))


def _finite(frame: pl.DataFrame, table: Table) -> list[Outcome]:
    found = []
    for name, column in table.columns.items():
        if column.dtype.is_float():
            bad = frame.filter(~frame[name].is_finite().fill_null(value=column.nullable))
            known = "finite" if column.nullable else "known and finite"
            found.append(Outcome(f"{name}: to be {known}", frame.height, bad.height))
    return found


def report(outcomes: Sequence[Outcome]) -> GateReport:
    """The outcomes as a gate's report: it is open only if something was evaluated and nothing is broken."""
    return GateReport(
        evaluated={one.expectation: one.n_rows for one in outcomes},
        broken={one.expectation: one.n_unexpected for one in outcomes if not one.passed},
    )
