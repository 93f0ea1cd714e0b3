"""What the UI shows of untrusted tables, and what tells one table from another."""

from __future__ import annotations

import polars as pl
import pytest

from pkg_assets.reporting import counts, fingerprint, markdown_table, sample_rows

HOSTILE = [
    "<script>alert(1)</script>",
    "![x](http://127.0.0.1/steal)",
    "[click](javascript:alert(1))",
    "a | b | c",
    "`code` **bold** # title",
    "&lt;img src=x onerror=alert(1)&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_of_untrusted_text_holds_no_markup(text: str) -> None:
    row = markdown_table(("column",), [[text]]).splitlines()[-1]

    shown = row.removeprefix("| ").removesuffix(" |")
    assert not set(shown) & set("<>[]()`*|!")
    assert "&lt;" not in shown


def test_equal_rows_have_one_fingerprint_and_any_changed_cell_another() -> None:
    frame = pl.DataFrame({"a": ["x", "y"], "b": [1.0, None], "c": [["p"], []]})

    assert fingerprint(frame) == fingerprint(frame.clone())
    assert fingerprint(frame) != fingerprint(frame.with_columns(a=pl.Series(["x", "z"])))
    assert fingerprint(frame) != fingerprint(frame.with_columns(b=pl.Series([1.0, 0.0])))
    assert fingerprint(frame) != fingerprint(frame.reverse())
    assert fingerprint(frame) != fingerprint(frame.rename({"a": "d"}))


def test_a_sample_is_short_and_its_text_is_cut() -> None:
    sample = sample_rows(pl.DataFrame({"text": ["x" * 500] * 100, "n": range(100)}), 8)

    assert len(sample.records) == 8
    assert all(len(str(record.data["text"])) == 120 for record in sample.records)


def test_counts_stand_most_frequent_first_ties_by_value() -> None:
    frame = pl.DataFrame({"reason": ["b", "a", "b", "c", "a"]})

    assert list(counts(frame, "reason").items()) == [("a", 2), ("b", 2), ("c", 1)]


def test_a_list_is_told_in_words_and_a_number_in_five_digits() -> None:
    frame = pl.DataFrame({"reasons": [["below_threshold", "reviewer_says_no"], []], "share": [2 / 3, 1.0]})
    cells = [record.data for record in sample_rows(frame).records]

    assert cells == [
        {"reasons": "below_threshold, reviewer_says_no", "share": 0.66667},
        {"reasons": "", "share": 1.0},
    ]
