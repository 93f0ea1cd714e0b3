"""Labels are read, held against relations and agreed upon; none is dropped silently."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.errors import InputError
from pkgraph.labels import LabelDelivery, cohens_kappa, join_labels, read_relation_labels, statement_key
from tests.gate_data import GOOD, mapped, relation

DEMO = Path(__file__).parents[2] / "demo" / "relation_labels.tsv"
HEAD = "prompt_id\tmodel\tposition\tstatement\tholds\treason\tannotator"


@pytest.fixture
def shop() -> pl.DataFrame:
    return mapped(relation("tea", "sugar", 0), relation("tea", "milk", 1))


def read(tmp_path: Path, *lines: str) -> LabelDelivery:
    path = tmp_path / "labels.tsv"
    path.write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    return read_relation_labels(path)


def line(
    row: dict[str, object], holds: object = 1, annotator: str = "A", statement: str = "", reason: str = ""
) -> str:
    prompt = str(row["prompt_id"])[:12]
    return f"{prompt}\t{row['model']}\t{row['position']}\t{statement}\t{holds}\t{reason}\t{annotator}"


def key(row: dict[str, object]) -> str:
    return statement_key(
        *(str(row[name]) for name in ("relation_type", "rationale", "product", "explanation"))
    )


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("short\tm\t0\t\t1\t\tA", "unknown_relation_name"),
        ("aaaaaaaaaaaa\t\t0\t\t1\t\tA", "unknown_relation_name"),
        ("aaaaaaaaaaaa\tm\t-1\t\t1\t\tA", "wrong_position"),
        ("aaaaaaaaaaaa\tm\t²\t\t1\t\tA", "wrong_position"),
        ("aaaaaaaaaaaa\tm\t0\t\tmaybe\t\tA", "holds_is_neither_0_nor_1"),
        ("aaaaaaaaaaaa\tm\t0\t\t1\t\t", "no_annotator"),
        ("aaaaaaaaaaaa\tm\t0\t\t1", "wrong_number_of_fields"),
        ("aaaaaaaaaaaa\tm\t0\t\t1\t\tA\tmore", "wrong_number_of_fields"),
        (f"aaaaaaaaaaaa\t{'m' * 300}\t0\t\t1\t\tA", "too_long"),
    ],
)
def test_a_bad_line_costs_that_line_and_is_listed(tmp_path: Path, bad: str, reason: str) -> None:
    good = "bbbbbbbbbbbb\tm\t0\t\t1\t\tA"

    delivery = read(tmp_path, bad, good)

    assert delivery.labels.height == 1
    assert delivery.rejected.select("row", "reason").rows() == [(2, reason)]
    assert delivery.n_lines == 2


def test_a_second_label_of_one_annotator_is_refused(tmp_path: Path, shop: pl.DataFrame) -> None:
    row = relation("tea", "sugar", 0)

    delivery = read(tmp_path, line(row, 1), line(row, 0), line(row, 0, annotator="B"))

    assert delivery.labels.select("annotator", "holds").rows() == [("A", True), ("B", False)]
    assert delivery.rejected["reason"].to_list() == ["duplicate_label"]


def test_a_file_without_a_needed_column_names_it(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("relation\tholds\n", encoding="utf-8")

    with pytest.raises(InputError, match="prompt_id, model, position, annotator"):
        read_relation_labels(path)


def test_a_missing_file_is_an_error_the_user_can_act_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.tsv"):
        read_relation_labels(tmp_path / "none.tsv")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=8))
def test_every_line_is_a_label_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("labels") / "labels.tsv"
    path.write_bytes("\n".join([HEAD, *texts]).encode("utf-8", "replace"))

    delivery = read_relation_labels(path)

    assert delivery.n_lines == delivery.labels.height + delivery.rejected.height


def test_a_label_finds_its_relation_by_prompt_model_and_place(tmp_path: Path, shop: pl.DataFrame) -> None:
    row = relation("tea", "milk", 1)

    joined = join_labels(read(tmp_path, line(row, 0, reason="vague")).labels, shop)

    assert joined.labelled.select("relation_id", "holds", "reason").rows() == [
        (row["relation_id"], False, "vague")
    ]


def test_where_annotators_differ_the_relation_does_not_hold(tmp_path: Path, shop: pl.DataFrame) -> None:
    one, two = relation("tea", "sugar", 0), relation("tea", "milk", 1)
    lines = [line(one, 1), line(one, 0, annotator="B"), line(two, 1), line(two, 1, annotator="B")]

    joined = join_labels(read(tmp_path, *lines).labels, shop)

    verdicts = dict(joined.labelled.select("relation_id", "holds").iter_rows())
    assert verdicts == {one["relation_id"]: False, two["relation_id"]: True}
    assert (joined.n_conflicting, joined.agreement.n, joined.agreement.share) == (1, 2, 0.5)


def test_a_label_of_other_wording_is_void_and_counted(tmp_path: Path, shop: pl.DataFrame) -> None:
    row = relation("tea", "sugar", 0)
    changed = key(row | {"explanation": "Something else."})

    joined = join_labels(read(tmp_path, line(row, statement=changed)).labels, shop)

    assert joined.labelled.is_empty()
    assert joined.unused == {"statement_changed": 1}


def test_case_and_punctuation_do_not_void_a_label(tmp_path: Path, shop: pl.DataFrame) -> None:
    row = relation("tea", "sugar", 0)
    cleaned = key(row | {"explanation": str(row["explanation"]).upper().rstrip(".")})

    joined = join_labels(read(tmp_path, line(row, statement=cleaned)).labels, shop)

    assert joined.labelled.height == 1


def test_labels_of_unknown_and_of_several_relations_are_counted(tmp_path: Path) -> None:
    row = relation("tea", "sugar", 0)
    two_samples = mapped(row, relation("tea", "honey", 0, sample=1))
    unknown = relation("coffee", "milk", 0)

    joined = join_labels(read(tmp_path, line(row), line(unknown)).labels, two_samples)

    assert joined.unused == {"unknown_relation": 1, "ambiguous_relation": 1}
    assert joined.n_labels == 2


def test_kinds_of_one_statement_make_one_labelled_relation(tmp_path: Path) -> None:
    row = relation("tea", "sugar", 0)
    shop = mapped(row, row | {"target_kind_id": "another", "target_kind": "brown sugar"})

    assert join_labels(read(tmp_path, line(row)).labels, shop).labelled.height == 1


def test_kappa_is_agreement_beyond_chance() -> None:
    assert cohens_kappa([(True, True), (False, False)]) == 1.0
    assert cohens_kappa([(True, False), (False, True)]) == -1.0
    assert cohens_kappa([(True, True), (True, False), (False, True), (False, False)]) == 0.0
    assert cohens_kappa([]) is None
    assert cohens_kappa([(True, True)]) is None


def test_every_label_of_the_demo_is_read() -> None:
    delivery = read_relation_labels(DEMO)

    assert (delivery.n_lines, delivery.rejected.height) == (1606, 0)
    assert delivery.labels["model"].n_unique() == 2
    assert GOOD not in set(delivery.labels["model"])
