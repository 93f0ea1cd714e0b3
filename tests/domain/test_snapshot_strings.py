"""A table of texts gives them back, one by one and all in a row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgraph.snapshot import texts as tables
from pkgraph.snapshot.layout import Strings


@given(st.lists(st.text(max_size=6)))
def test_what_is_asked_row_by_row_and_what_comes_in_a_row_are_the_same(texts: list[str]) -> None:
    table = Strings.of([text.encode(errors="replace").decode() for text in texts])

    assert list(table) == [table[row] for row in range(len(table))]
    assert len(list(table)) == len(texts)


@pytest.mark.parametrize("block", [1, 2, 3, 7])
def test_a_table_of_several_blocks_comes_whole(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(tables, "_BLOCK", block)
    texts = ["", "a", "äß", "", "日本", "b" * 9, ""]

    assert list(Strings.of(texts)) == texts
