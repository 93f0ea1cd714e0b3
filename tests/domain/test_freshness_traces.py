"""What a step was made from and what it made, held against what is there now."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgraph.freshness.traces import MISSING, NEVER, Trace, code_key, file_key, why_again

LAST = Trace({"answers": "a", "kinds": "k"}, {"relations": "r"})
AS_IT_WAS = ({"answers": "a", "kinds": "k"}, {"relations": "r"})


def test_a_step_with_the_same_inputs_and_outputs_is_not_made_again() -> None:
    assert why_again(LAST, *AS_IT_WAS) == ()


def test_a_step_that_was_never_made_is_made() -> None:
    assert why_again(None, *AS_IT_WAS) == (NEVER,)


@pytest.mark.parametrize(
    ("inputs", "outputs", "why"),
    [
        ({"answers": "b", "kinds": "k"}, {"relations": "r"}, ("answers",)),
        ({"answers": "b", "kinds": "l"}, {"relations": "r"}, ("answers", "kinds")),
        ({"answers": "a", "kinds": "k", "labels": "x"}, {"relations": "r"}, ("labels",)),
        ({"answers": "a"}, {"relations": "r"}, ("kinds",)),
        (AS_IT_WAS[0], {"relations": "s"}, ("relations is not what it made",)),
        (AS_IT_WAS[0], {"relations": MISSING}, ("relations is not what it made",)),
        (AS_IT_WAS[0], {}, ("relations is not what it made",)),
        (AS_IT_WAS[0], {"relations": "r", "prompts": "p"}, ("prompts is not what it made",)),
    ],
)
def test_each_difference_is_named(
    inputs: dict[str, str], outputs: dict[str, str], why: tuple[str, ...]
) -> None:
    assert why_again(LAST, inputs, outputs) == why


def test_what_was_missing_when_it_was_made_and_still_is_is_made_again() -> None:
    assert why_again(Trace({}, {"relations": MISSING}), {}, {"relations": MISSING}) != ()


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_a_trace_is_read_as_it_was_written(inputs: dict[str, str], outputs: dict[str, str]) -> None:
    assert Trace.from_json(Trace(inputs, outputs).to_json()) == Trace(inputs, outputs)


@given(st.text() | st.recursive(st.none(), st.lists).map(str))
def test_any_other_text_is_no_trace_and_no_error(text: str) -> None:
    assert Trace.from_json(text) is None


def test_a_file_of_the_same_size_and_times_but_other_bytes_has_another_key(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(b"one")
    before, fact = file_key(path), path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(fact.st_atime_ns, fact.st_mtime_ns))

    assert file_key(path) != before
    assert file_key(tmp_path / "nowhere") == MISSING


def test_the_key_of_code_follows_every_file_but_those_left_out(tmp_path: Path) -> None:
    for name in ("library/a.py", "library/data.tsv", "library/cli/b.py", "library/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")

    def key() -> str:
        return code_key(tmp_path, ["library"], without=["library/cli"])

    before = key()
    (tmp_path / "library" / "cli" / "b.py").write_text("2")
    (tmp_path / "library" / "a.pyc").write_text("2")
    assert key() == before
    (tmp_path / "library" / "data.tsv").write_text("2")
    assert key() != before
    (tmp_path / "library" / "data.tsv").rename(tmp_path / "library" / "other.tsv")
    assert key() != before
