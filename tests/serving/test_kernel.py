"""The compiled kernel answers what NumPy answers, byte for byte, and is not brought down by damage."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.errors import SnapshotDamaged
from pkgraph.kernel import kernel
from pkgraph.recommend.answers import Recommendations
from pkgraph.recommend.compiled import JSON, RECORDS, CompiledEngine, engine_for
from pkgraph.recommend.graph import Graph
from pkgraph.recommend.plain import PlainEngine
from pkgraph.recommend.question import N_SCORES, Asked
from pkgraph.recommend.ranking import score_table
from pkgraph.snapshot import CompiledGraph, Manifest, Snapshot
from pkgraph.snapshot.coding import numbered, place_texts, table_for
from pkgraph.snapshot.format import MAX_ROW, WEIGHT_SCALE, Intake
from pkgraph.snapshot.layout import Array, Sections, from_arrays, to_arrays
from pkgraph.snapshot.merging import merge_in_numpy, merge_paths
from tests.published import graph_of
from tests.random_graph import random_graph, random_question

Made = TypeVar("Made")
WORDS = ("tea", "of one length one", "of one length two", "twelve bytes", "thirteen byte")


def snapshot_over(sections: Sections) -> Snapshot:
    manifest = Manifest("0123456789ab", {}, {}, Intake(0, {}, 0), {})
    return Snapshot(Path(), manifest, to_arrays(sections))


def compiled_engine(sections: Sections) -> CompiledEngine:
    found = kernel()
    assert found is not None, "the kernel is not built: run `make setup`"
    return CompiledEngine(found, snapshot_over(sections))


def asked_of(compiled: CompiledGraph, seeds: list[str], options: dict[str, Any]) -> Asked:
    """The question as the engines get it, through the front door."""
    return Graph(snapshot_over(compiled.sections))._asked(seeds, options)  # type: ignore[arg-type]


def test_the_kernel_is_used_where_it_was_built_and_left_alone_where_it_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshot = snapshot_over(graph_of().sections)
    assert type(engine_for(snapshot)) is CompiledEngine
    monkeypatch.setenv("PKGRAPH_NO_KERNEL", "1")
    assert type(engine_for(snapshot)) is PlainEngine


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_kernel_and_numpy_give_one_answer(seed: int) -> None:
    compiled, random = random_graph(seed), np.random.default_rng(seed)
    fast, plain = compiled_engine(compiled.sections), PlainEngine(compiled.sections, "0123456789ab")
    for _ in range(20):
        seeds, options = random_question(random, compiled)
        asked, diversity = asked_of(compiled, seeds, options), options.get("diversity", 0.0)
        assert fast.picks(asked) == plain.picks(asked), options
        assert fast.answer(asked, diversity) == plain.answer(asked, diversity), options
        assert fast.answer_json(asked, diversity) == plain.answer_json(asked, diversity), options


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_kernel_and_numpy_merge_the_same_rows(seed: int) -> None:
    sections = random_graph(seed).sections
    fast, plain = merge_paths(sections), merge_in_numpy(sections)
    for name in type(fast).__slots__:
        assert getattr(fast, name).tobytes() == getattr(plain, name).tobytes(), name


def test_kernel_and_numpy_say_the_same_share_of_every_weight() -> None:
    compiled = kernel()
    assert compiled is not None
    assert compiled.score_table(N_SCORES, WEIGHT_SCALE) == score_table().tobytes()
    for n, scale in ((0, WEIGHT_SCALE), (N_SCORES, 0), (1 << 40, WEIGHT_SCALE)):
        with pytest.raises(ValueError, match="no such table"):
            compiled.score_table(n, scale)


def both(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Made]) -> list[Made]:
    """What is made with the kernel and without."""
    made = []
    for switch in ("", "1"):
        monkeypatch.setenv("PKGRAPH_NO_KERNEL", switch)
        made.append(make())
    return made


def test_kernel_and_numpy_place_the_same_texts_and_none_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pl.Series(["tea", "", "a text that is no inlined one", "crème", "wine"])
    rows = np.array([2, 3, 1, 0, -1], dtype="<i4")

    def place(rows: Array, lengths: list[int]) -> list[str]:
        table = table_for(np.array(lengths))
        place_texts(table, rows, texts)
        return list(table)

    wanted = ["crème", "a text that is no inlined one", "tea", ""]
    assert both(monkeypatch, lambda: place(rows, [6, 29, 3, 0])) == [wanted] * 2
    for misfit in ([6, 29, 4, 0], [6, 29, 3], [6, 28, 3, 0]):

        def refuse(lengths: list[int] = misfit) -> None:
            with pytest.raises(ValueError, match="do not fit"):
                place(rows, lengths)

        both(monkeypatch, refuse)


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(st.lists(st.none() | st.sampled_from(WORDS) | st.text(max_size=20)), min_size=1))
def test_kernel_and_polars_number_the_same_texts(parts: list[list[str | None]]) -> None:
    """In pieces as frames of several files are, with texts that differ behind the twelfth byte alone."""
    pieces = [pl.Series(part, dtype=pl.String) for part in parts]
    column = pl.concat(pieces, rechunk=False)
    with pytest.MonkeyPatch.context() as monkeypatch:
        (texts, rows), (plain, plain_rows) = both(monkeypatch, lambda: numbered(column))
    assert texts.to_list() == plain.to_list() == sorted(set(column.drop_nulls()), key=str.encode)
    assert rows.tolist() == plain_rows.tolist()
    assert [texts[row] if row >= 0 else None for row in rows.tolist()] == column.to_list()


def test_a_table_of_texts_grows_with_what_is_numbered() -> None:
    column = pl.Series([f"{n % 30_000} of many texts" for n in range(70_000)])
    texts, rows = numbered(column)
    assert len(texts) == 30_000
    assert texts.gather(rows).equals(column)


def test_a_stock_that_is_a_function_is_asked_about_each_candidate_once_and_its_errors_pass() -> None:
    compiled = graph_of()
    fast, asked = compiled_engine(compiled.sections), list[str]()

    def in_stock(sku: str) -> bool:
        asked.append(sku)
        return sku != "c2"

    question = asked_of(compiled, ["f1"], {"available": in_stock})
    assert [item.sku for item in fast.answer(question, 0.0).items] == ["c1", "v1", "t1", "k1"]
    assert asked == ["c2", "c1", "v1", "t1", "k1"]
    for broken, error in (
        (lambda sku: 1 // 0, ZeroDivisionError),
        (lambda sku: b"\xff".decode(), UnicodeDecodeError),
    ):
        with pytest.raises(error):
            fast.answer(asked_of(compiled, ["f1"], {"available": broken}), 0.0)


def test_a_list_of_seeds_that_changes_meanwhile_is_answered_as_it_was_given() -> None:
    compiled = graph_of()
    fast, plain = compiled_engine(compiled.sections), PlainEngine(compiled.sections, "0123456789ab")
    seeds, given = [*map(str, range(50)), "f1"], list[str]()

    def emptying(_: str) -> bool:
        given.clear()
        return True

    options = {"k": 3, "available": emptying}
    for diversity in (0.0, 0.5):
        expected = plain.answer(asked_of(compiled, seeds, {"k": 3}), diversity)
        for engine in (fast, plain):
            given[:] = seeds
            assert engine.answer(asked_of(compiled, given, options), diversity) == expected
            assert given == []
    given[:] = seeds
    expected_json = plain.answer_json(asked_of(compiled, seeds, {"k": 3}), 0.0)
    assert fast.answer_json(asked_of(compiled, seeds, options)._replace(skus=given), 0.0) == expected_json


def test_texts_that_run_code_when_they_are_compared_do_no_harm() -> None:
    given: list[str] = []

    class Emptying(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            given.clear()
            return str.__eq__(self, other)

    given += [Emptying(number) for number in range(90)]
    answer = compiled_engine(graph_of().sections).simple(RECORDS, given, 10)
    assert answer is not None
    assert len(answer.unknown_skus) == 90


def test_half_a_character_in_a_seed_or_an_exclusion_names_nothing() -> None:
    compiled = graph_of()
    fast, plain = compiled_engine(compiled.sections), PlainEngine(compiled.sections, "0123456789ab")
    asked = asked_of(compiled, ["\ud800f1", "f1", "\udfff"], {"exclude": ["c2\ud800", "v1"]})
    assert fast.answer(asked, 0.0) == plain.answer(asked, 0.0)
    assert fast.answer(asked, 0.0).unknown_skus == ("\ud800f1", "\udfff")
    assert fast.answer_json(asked, 0.0) == plain.answer_json(asked, 0.0)


def test_a_question_inside_a_question_is_answered() -> None:
    compiled = graph_of()
    fast = compiled_engine(compiled.sections)
    inner, inside = asked_of(compiled, ["k1"], {}), list[bytes]()

    def in_stock(_: str) -> bool:
        inside.append(fast.answer_json(inner, 0.0))
        return True

    outer = asked_of(compiled, ["f1"], {"available": in_stock})
    expected = fast.answer_json(asked_of(compiled, ["f1"], {}), 0.0)
    assert fast.answer_json(outer, 0.0) == expected
    assert set(inside) == {fast.answer_json(inner, 0.0)}


def test_items_are_made_when_they_are_read_and_an_answer_is_whole_however_it_is_used() -> None:
    compiled = graph_of()
    fast, plain = compiled_engine(compiled.sections), PlainEngine(compiled.sections, "0123456789ab")
    seeds = ["f1", "nothing"]
    asked = asked_of(compiled, seeds, {})
    late, expected = fast.answer(asked, 0.0), plain.answer(asked, 0.0)
    seeds.clear()  # what was asked is not what the caller's list says later
    assert pickle.loads(pickle.dumps(late)) == copy.copy(late) == expected  # noqa: S301 - of our own
    assert asdict(fast.answer(asked_of(compiled, ["f1", "nothing"], {}), 0.0)) == asdict(expected)
    assert hash(late) == hash(expected)
    assert late.items is late.items
    with pytest.raises(AttributeError, match="no attribute 'item'"):
        late.item  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="_later"):
        object.__new__(Recommendations).items  # noqa: B018 - one that nobody filled


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_short_way_answers_what_the_long_way_answers(seed: int) -> None:
    compiled, random = random_graph(seed), np.random.default_rng(seed)
    fast = compiled_engine(compiled.sections)
    for _ in range(10):
        seeds, k = random_question(random, compiled)[0], int(random.integers(1, 33))
        asked = asked_of(compiled, seeds, {"k": k})
        assert fast.simple(RECORDS, seeds, k) == fast.answer(asked, 0.0)
        assert fast.simple(JSON, tuple(seeds), k) == fast.answer_json(asked, 0.0)


def test_what_is_no_simple_question_takes_the_long_way_and_is_refused_there() -> None:
    fast = compiled_engine(graph_of().sections)
    others: list[tuple[Any, Any]] = [
        ("f1", 10),
        (["f1"], 0),
        (["f1"], 33),
        (["f1"], 1 << 80),
        (["f1"] * 101, 10),
    ]
    for seeds, k in others:
        assert fast.simple(RECORDS, seeds, k) is None
    with pytest.raises(TypeError, match="a SKU is a text"):
        fast.simple(RECORDS, [1], 10)  # type: ignore[list-item]


def damaged(sections: Sections, random: np.random.Generator) -> Sections:
    """The sections with a few values overwritten: small ones, far ones, negative ones."""
    arrays = {name: array.copy() for name, array in to_arrays(sections).items()}
    filled = [name for name, array in arrays.items() if len(array)]
    for _ in range(random.integers(1, 4)):
        array = arrays[str(random.choice(filled))]
        raw = array.view("<u1").reshape(len(array), -1)
        place = random.integers(len(array))
        raw[place] = random.choice([0, 1, 255, 127, int(random.integers(256))], raw.shape[1])
    return from_arrays(arrays)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_damaged_snapshot_is_an_error_or_an_answer_never_a_crash(seed: int) -> None:
    random = np.random.default_rng(seed)
    compiled = random_graph(int(random.integers(20)))
    for _ in range(10):
        fast = compiled_engine(damaged(compiled.sections, random))
        seeds, options = random_question(random, compiled)
        asked = asked_of(compiled, seeds, {**options, "purpose": None, "diversity": 0.0})
        for answer in (fast.answer, fast.answer_json):
            try:
                repr(answer(asked, 0.0))  # records are made when they are read
            except SnapshotDamaged:
                continue


def test_offsets_that_are_empty_own_nothing() -> None:
    """Behind an array without values other memory stands, here the very offsets that would fit."""
    arrays = to_arrays(graph_of().sections)
    arrays["category_names.offsets"] = arrays["category_names.offsets"][:0]
    with pytest.raises(SnapshotDamaged):
        compiled_engine(from_arrays(arrays)).simple(JSON, ["f1"], 10)


def test_a_row_that_is_longer_than_rows_are_is_damage() -> None:
    """Ten seeds whose rows were 16 million long would take the memory of the machine."""
    sections = graph_of().sections
    arrays = to_arrays(sections)
    arrays["row_cards"] = np.resize(arrays["row_cards"], 2 * 50)
    kinds = arrays["kind_cards"] = arrays["kind_cards"].copy()
    kinds[3::4] = MAX_ROW + 1
    with pytest.raises(SnapshotDamaged):
        compiled_engine(from_arrays(arrays)).simple(RECORDS, ["f1"], 10)
    kinds[3::4] = MAX_ROW
    assert compiled_engine(from_arrays(arrays)).simple(RECORDS, ["f1"], 3) is not None


def test_there_is_no_graph_whose_arrays_were_not_checked() -> None:
    compiled = kernel()
    assert compiled is not None
    with pytest.raises(TypeError, match="arrays"):
        compiled.Graph.__new__(compiled.Graph)


def test_arrays_that_do_not_fit_each_other_are_refused_by_name() -> None:
    sections = graph_of().sections
    arrays = to_arrays(sections)
    for name in ("edge_target", "row_cards", "sku_cards", "kind_cards", "edge_cards"):
        with pytest.raises(SnapshotDamaged, match=name):
            compiled_engine(from_arrays({**arrays, name: arrays[name][:-1].copy()}))
