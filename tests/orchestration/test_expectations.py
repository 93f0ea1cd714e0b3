"""The suite of a table: each kind of expectation has a counterexample that breaks it alone."""

from __future__ import annotations

import warnings

import polars as pl
import pytest

from checks.expectations import Outcome, ranges, report, validate
from pkgraph.model import GateReport
from pkgraph.tables import Column, Table

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its import warns of what it imports itself
    import great_expectations.expectations  # noqa: F401

NOTES = Table(
    "notes",
    "A table with one of everything.",
    {
        "id": Column(pl.String, "Key"),
        "share": Column(pl.Float64, "Between", low=0, high=1),
        "maybe": Column(pl.Float64, "Between, or null", nullable=True, low=0),
        "free": Column(pl.Float64, "Any number", nullable=True),
        "word": Column(pl.String, "One of two", one_of=("yes", "no")),
    },
    key=("id",),
)
PAIRS = Table(
    "pairs", "A compound key.", {"a": Column(pl.String, "One"), "b": Column(pl.Int32, "Two")}, key=("a", "b")
)
GOOD = {
    "id": ["a", "b", "c"],
    "share": [0.0, 0.5, 1.0],
    "maybe": [None, 0.0, 7.0],
    "free": [None, -3.0, 3.0],
    "word": ["yes", "no", "no"],
}


def frame(**changes: list[object]) -> pl.DataFrame:
    return pl.DataFrame({**GOOD, **changes}, schema=NOTES.schema)


def broken(outcomes: list[Outcome]) -> dict[str, int]:
    return {one.expectation: one.n_unexpected for one in outcomes if not one.passed}


SHARE, MAYBE = "share: to be between (min_value 0.0, max_value 1.0)", "maybe: to be between (min_value 0.0)"
BREAKING: dict[str, tuple[pl.DataFrame, dict[str, int]]] = {
    "unique": (frame(id=["a", "a", "c"]), {"id: to be unique": 2}),
    "key not null": (frame(id=["a", "b", None]), {"id: to not be null": 1}),
    "bounded not null": (frame(share=[0.1, None, 1.0]), {"share: to be known and finite": 1}),
    "too small": (frame(share=[-0.01, 0.5, 1.0]), {SHARE: 1}),
    "too large": (frame(share=[0.0, 1.01, 2.0]), {SHARE: 2}),
    "nullable too small": (frame(maybe=[None, -1.0, 7.0]), {MAYBE: 1}),
    "not in the set": (frame(word=["yes", "no", "perhaps"]), {"word: to be in set": 1}),
    "not a number": (frame(free=[None, float("nan"), 3.0]), {"free: to be finite": 1}),
    "infinite": (frame(free=[float("inf"), float("-inf"), 3.0]), {"free: to be finite": 2}),
    "no such column": (frame().drop("word"), {"word: the column exists": 3}),
}


def test_a_good_table_passes_every_expectation() -> None:
    outcomes = validate(frame(), NOTES)

    assert broken(outcomes) == {}
    assert report(outcomes).is_open
    assert all(one.n_rows == 3 for one in outcomes)


@pytest.mark.parametrize("name", BREAKING)
def test_a_table_that_breaks_an_expectation_breaks_that_one_alone(name: str) -> None:
    bad, expected = BREAKING[name]

    assert broken(validate(bad, NOTES)) == expected


def test_a_compound_key_is_unique_together() -> None:
    good = pl.DataFrame({"a": ["x", "x"], "b": [1, 2]}, schema=PAIRS.schema)
    bad = pl.DataFrame({"a": ["x", "x"], "b": [1, 1]}, schema=PAIRS.schema)

    assert broken(validate(good, PAIRS)) == {}
    assert list(broken(validate(bad, PAIRS)).values()) == [2]


def test_nan_in_a_bounded_column_is_caught() -> None:
    """Great Expectations takes it for neither null nor out of range."""
    found = broken(validate(frame(share=[0.1, float("nan"), 1.0]), NOTES))

    assert found == {"share: to be known and finite": 1}


def test_an_empty_table_never_passes_unless_it_may_be_empty() -> None:
    outcomes = validate(NOTES.empty(), NOTES)

    assert broken(outcomes)
    assert not report(outcomes).is_open
    assert broken(validate(NOTES.empty(), NOTES, may_be_empty=True)) == {}
    assert broken(validate(frame(share=[2.0, 0.5, 1.0]), NOTES, may_be_empty=True))


def test_a_suite_that_evaluated_nothing_never_passes() -> None:
    assert not report([]).is_open
    assert not report([Outcome("looked at nothing", 0, 0)]).is_open
    assert not GateReport().is_open


def test_an_offender_is_shown() -> None:
    (bad,) = [one for one in validate(frame(word=["yes", "no", "perhaps"]), NOTES) if not one.passed]

    assert bad.sample == ("perhaps",)


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("share", [-0.5, 0.5, 1.0], "share: at least 0"),
        ("share", [0.5, 0.5, 1.5], "share: at most 1"),
        ("share", [0.5, None, 1.0], "share: to be known and finite"),
        ("maybe", [None, -1.0, 1.0], "maybe: at least 0"),
        ("free", [None, float("nan"), 1.0], "free: to be finite"),
        ("id", ["a", None, "c"], "id: to not be null"),
    ],
)
def test_a_wide_table_is_judged_by_the_same_promises(
    column: str, values: list[object], sentence: str
) -> None:
    assert broken(ranges(frame(), NOTES)) == {}
    assert broken(ranges(frame(**{column: values}), NOTES)) == {sentence: 1}
