"""Label files of every format are read and written; what cannot be used is listed with its reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.errors import InputError
from pkgraph.home import Home
from pkgraph.labels.formats import JUDGED, LABEL_CONFIG, read_rows, write_rows
from pkgraph.labels.importing import Import, Shelf, labels_from
from pkgraph.labels.queue import QUEUE_COLUMNS, most_informative, queue_of, with_statement
from pkgraph.labels.reviewing import exported, import_rows
from pkgraph.labels.standing import standing_labels
from pkgraph.labels.store import LabelStore
from pkgraph.tables import AUDIT_DRAWS, KINDS, MAPPED_RELATIONS, RELATIONS, SCORED_RELATIONS
from tests.gate_data import mapped, relation

NOW = "2026-11-25T10:00:00+00:00"
DEMO = Path(__file__).parents[2] / "demo"
ROWS = [relation("tea", "sugar", 0), relation("tea", "milk", 1), relation(None, "honey", 0)]
SHOP = with_statement(mapped(*ROWS))
SHELF = Shelf.of(RELATIONS.conform(SHOP), SHOP, AUDIT_DRAWS.empty())


def row(number: int = 0, **changes: object) -> dict[str, str]:
    """A row of a file about the shop's relation of that number."""
    found = {name: str(ROWS[number][name]) for name in ("prompt_id", "model", "position", "target_kind_id")}
    said = {"holds": "1", "fit": "2", "reason": "", "annotator": "ada"}
    return found | said | {name: str(value) for name, value in changes.items()}


def read(*rows: dict[str, str] | None, annotator: str = "") -> Import:
    return labels_from(enumerate(rows, start=2), SHELF, annotator=annotator, source="reviewer", now=NOW)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    at = Home(tmp_path / "home")
    at.tables.mkdir(parents=True)
    MAPPED_RELATIONS.conform(SHOP).write_parquet(at.tables / "mapped_relations.parquet")
    RELATIONS.conform(SHOP).write_parquet(at.tables / "relations.parquet")
    return at


@pytest.fixture
def store(home: Home) -> Iterator[LabelStore]:
    with LabelStore.open(home.labels) as opened:
        yield opened


def add(home: Home, store: LabelStore, path: Path) -> tuple[int, int]:
    """New labels and refused rows."""
    found, added = import_rows(home, store, read_rows(path), annotator="", source="reviewer", now=NOW)
    return added.n_new, found.rejected.height


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another prompt": ({"prompt_id": "f" * 64}, "unknown_relation"),
    "a prompt cut too short": ({"prompt_id": str(ROWS[0]["prompt_id"])[:11]}, "unknown_relation"),
    "another model": ({"model": "gpt-9"}, "unknown_relation"),
    "a position that is none": ({"position": "first"}, "wrong_position"),
    "other words": ({"statement": "0123456789ab"}, "statement_changed"),
    "a kind it was not resolved to": ({"target_kind_id": "nothing"}, "unknown_target"),
    "an unclear verdict": ({"holds": "maybe"}, "holds_is_neither_0_nor_1"),
    "an unclear fit": ({"fit": "good"}, "wrong_fit"),
    "a fit off the scale": ({"fit": "7"}, "wrong_fit"),
    "nobody": ({"annotator": ""}, "wrong_annotator"),
    "a formula for a name": ({"annotator": "=1+1"}, "wrong_annotator"),
    "an essay": ({"reason": "it is vague " * 40}, "too_long"),
    "an unknown role": ({"source": "oracle"}, "wrong_source"),
    "a time without an offset": ({"created_at": "2026-01-01"}, "wrong_time"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_costs_that_row_and_says_why(name: str) -> None:
    changes, reason = BAD[name]

    found = read(row(**changes), row(1))

    assert [label.pair.position for label in found.labels] == [1]
    assert found.rejected.select("row", "reason").rows() == [(2, reason)]


def test_an_unreadable_row_is_listed() -> None:
    assert read(None, row()).rejected["reason"].to_list() == ["unreadable"]


def test_rows_that_nobody_judged_are_no_fault() -> None:
    found = read(row(holds=""), row(1))

    assert (len(found.labels), found.rejected.height, dict(found.passed_over)) == (1, 0, {"not_judged": 1})


def test_a_second_verdict_of_one_annotator_without_a_time_is_refused() -> None:
    found = read(row(), row(holds=0))

    assert [label.holds for label in found.labels] == [True]
    assert found.rejected["reason"].to_list() == ["duplicate_label"]


def test_a_label_may_name_its_relation_and_leave_the_rest_out() -> None:
    found = read({"relation_id": str(ROWS[2]["relation_id"]), "holds": "1"}, annotator="bob")

    (label,) = found.labels
    assert (label.annotator, label.pair.target_kind_id, label.created_at) == ("bob", None, NOW)


def test_a_place_in_a_random_order_is_a_calibration_draw_and_never_an_audit() -> None:
    found = read(row(draw=3), row(1, draw=4, drawn="audit"))

    assert [label.calibration_draw for label in found.labels] == [3, None]


@pytest.mark.parametrize("ending", ["tsv", "csv", "jsonl", "json"])
def test_what_was_exported_is_known_when_it_is_read_again(
    home: Home, store: LabelStore, tmp_path: Path, ending: str
) -> None:
    first = tmp_path / "first.jsonl"
    write_rows(first, list(row()), [row(), row(0, annotator="bob", fit=0, reason="wrong_kind"), row(1)])
    assert add(home, store, first) == (3, 0)
    path = tmp_path / f"again.{ending}"
    rows = exported(home, store, is_history=False)
    write_rows(path, rows.columns, rows.iter_rows(named=True))

    assert add(home, store, path) == (0, 0)
    with LabelStore.open(tmp_path / "other.sqlite") as other:
        assert add(home, other, path) == (3, 0)
        same = ("relation_id", "target_kind_id", "holds", "fit", "reason", "annotator", "source")
        assert other.history().select(same).rows() == store.history().select(same).rows()


def test_an_undone_label_does_not_come_back_through_a_file(
    home: Home, store: LabelStore, tmp_path: Path
) -> None:
    path = tmp_path / "labels.jsonl"
    write_rows(path, list(row()), [row(), row(1)])
    add(home, store, path)
    store.undo(1, annotator="ada", created_at=NOW)
    history = exported(home, store, is_history=True)
    write_rows(path, history.columns, history.iter_rows(named=True))

    assert add(home, store, path) == (0, 0)
    with LabelStore.open(tmp_path / "other.sqlite") as other:
        assert add(home, other, path) == (1, 0)


def annotation(*results: tuple[str, str, str], **more: object) -> dict[str, object]:
    made = [
        {
            "from_name": name,
            "to_name": "statement",
            "type": kind,
            "value": {"choices" if kind == "choices" else "text": [text]},
        }
        for name, kind, text in results
    ]
    return {"id": 1, "result": made, "completed_by": 7, "was_cancelled": False} | more


def test_an_export_of_label_studio_is_read(tmp_path: Path) -> None:
    yes, no = ("holds", "choices", "yes"), ("holds", "choices", "no")
    task = {"id": 1, "project": 83, "data": row(holds="", annotator=""), "predictions": [annotation(no)]}
    annotations = [
        annotation(yes, ("fit", "choices", "1"), created_at="2026-03-09T22:16:08.728353Z"),
        annotation(no, ("reason", "textarea", "vague"), completed_by={"id": 3, "email": "bob@example.com"}),
        annotation(no, ("annotator", "textarea", "eve")),
        annotation(no, was_cancelled=True),
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task | {"annotations": annotations}]))

    found = labels_from(read_rows(path), SHELF, annotator="", source="reviewer", now=NOW)

    assert [(one.annotator, one.holds, one.fit, one.reason) for one in found.labels] == [
        ("label-studio-7", True, 1, None),
        ("bob@example.com", False, None, "vague"),
        ("eve", False, None, None),
    ]
    assert found.rejected.is_empty()


def test_a_verdict_in_the_data_of_a_task_is_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps([{"data": row(), "annotations": [annotation()]}]))

    found = labels_from(read_rows(path), SHELF, annotator="", source="reviewer", now=NOW)
    assert (found.labels, dict(found.passed_over)) == ((), {"not_judged": 1})


def test_tasks_fit_the_labelling_interface(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    queue = queue_of(SHOP, SHOP.clear()).select(QUEUE_COLUMNS)
    write_rows(path, [*QUEUE_COLUMNS, "holds", "fit"], queue.iter_rows(named=True))
    tasks = json.loads(path.read_text())

    assert [task["annotations"] for task in tasks] == [[], [], []]
    assert all(task["data"]["text"].count("|") == 3 for task in tasks)
    shown = (DEMO.parent / "docs" / "LABELS.md").read_text()
    assert all(line.strip() in shown for line in LABEL_CONFIG.splitlines())
    assert set(re.findall(r' name="(\w+)"', LABEL_CONFIG)) == {"statement", *JUDGED}


def test_an_annotation_names_controls_of_the_interface_and_nothing_else(tmp_path: Path) -> None:
    """Label Studio refuses an annotation with a result of a control that it does not know."""
    path = tmp_path / "tasks.json"
    judged = row(reason="vague", source="audit", key="k", created_at=NOW)
    write_rows(path, list(judged), [judged, judged | {"annotator": "bob", "holds": "0"}])
    [task] = json.loads(path.read_text())
    named = {one["from_name"] for made in task["annotations"] for one in made["result"]}

    assert named == set(JUDGED)
    assert len(task["annotations"]) == 2


@pytest.mark.parametrize(("ending", "sign"), [("csv", "="), ("csv", "@"), ("tsv", "+"), ("tsv", "-")])
def test_no_cell_is_a_formula(tmp_path: Path, ending: str, sign: str) -> None:
    hostile = f'{sign}cmd|"/c calc"!A1'
    path = tmp_path / f"queue.{ending}"
    write_rows(path, ["text"], [{"text": hostile}])

    assert not any(line.lstrip('"').startswith(sign) for line in path.read_text().splitlines())
    assert [found and found["text"] for _, found in read_rows(path)] == [hostile]


def test_a_line_break_in_a_text_breaks_no_row(tmp_path: Path) -> None:
    for ending in ("tsv", "csv", "jsonl", "json"):
        path = tmp_path / f"queue.{ending}"
        write_rows(path, ["relation_id", "holds"], [{"relation_id": 'a\n"b"\t,c', "holds": "1"}])
        assert len(list(read_rows(path))) == 1, ending


@pytest.mark.parametrize("name", ["labels.xlsx", "labels"])
def test_an_unknown_format_names_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"\*\.jsonl"):
        read_rows(tmp_path / name)


def test_a_json_file_that_is_no_list_of_tasks_is_refused(tmp_path: Path) -> None:
    for text in ("{", "{}", "1"):
        (tmp_path / "labels.json").write_text(text)
        with pytest.raises(InputError, match=r"labels\.json"):
            list(read_rows(tmp_path / "labels.json"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["data", "annotations", "result", "value", "from_name", "choices", "holds"]), inner
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(json_values, max_size=4))
def test_whatever_a_file_holds_each_row_is_a_label_or_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    (folder / "a.json").write_text(json.dumps(values))
    (folder / "a.jsonl").write_text("\n".join(json.dumps(value) for value in values))
    for path in folder.iterdir():
        found = labels_from(read_rows(path), SHELF, annotator="ada", source="reviewer", now=NOW)
        n_passed = sum(found.passed_over.values())
        assert found.n_rows == len(found.labels) + found.rejected.height + n_passed


def test_the_labels_of_the_demo_are_in_a_format_that_is_read() -> None:
    rows = list(read_rows(DEMO / "relation_labels.tsv"))

    assert len(rows) == 1606
    assert all(
        one and {"prompt_id", "model", "position", "holds", "annotator"} <= one.keys() for _, one in rows
    )


def scored(**popularity: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Scored pairs of three sources, and the kinds with the share of baskets that hold them."""
    rows = [
        relation(source, f"{target} for {source}", n)
        for source in popularity
        for n, target in enumerate(["a", "b", "c"])
    ]
    more = {"holds_probability": 0.9, "classifier": "x", "is_accepted": True, "reasons": []}
    more |= {"answer": "a", "is_covered": False}
    frame = pl.DataFrame([one | more | {"probability": 0.5 + 0.1 * int(one["position"])} for one in rows])  # type: ignore[call-overload]
    kinds = [
        {
            "kind_id": relation(source)["source_kind_id"],
            "kind": source,
            "category": "food",
            "category_key": "food",
            "department": None,
            "n_skus": 1,
            "popularity": share,
        }
        for source, share in popularity.items()
    ]
    return SCORED_RELATIONS.conform(frame), KINDS.conform(pl.DataFrame(kinds, schema=KINDS.schema))


def test_what_is_uncertain_and_seen_often_comes_first(store: LabelStore) -> None:
    frame, kinds = scored(tea=0.01, bread=0.2, saffron=0.0)
    found = most_informative(frame, kinds, standing_labels(store.history()), n=5)

    # Two of a source at most, nearest to a toss-up first; nobody bought saffron: it weighs as the rarest.
    asked = found.select("source_kind", "position").rows()
    assert asked[:2] == [("bread", 0), ("bread", 1)]
    assert {source for source, _ in asked[2:]} == {"tea", "saffron"}
    assert found.height == 5


def test_what_is_labelled_is_not_asked_again(store: LabelStore) -> None:
    frame, kinds = scored(tea=0.0)
    first = most_informative(frame, kinds, standing_labels(store.history()), n=1)
    shelf = Shelf.of(RELATIONS.conform(frame), frame, AUDIT_DRAWS.empty())
    rows = [(1, {"relation_id": first["relation_id"][0], "holds": "1"})]
    store.add(labels_from(rows, shelf, annotator="ada", source="reviewer", now=NOW).labels)
    second = most_informative(frame, kinds, standing_labels(store.history()), n=9)

    assert first["position"].to_list() == [0]
    assert second["position"].to_list() == [1, 2]


def test_audits_are_spread_through_the_queue_and_look_like_the_rest() -> None:
    rows = with_statement(mapped(*(relation("tea", f"target {n}", n) for n in range(10))))
    found = queue_of(rows.head(8), rows.tail(2))

    assert found.filter("is_audit").height == 2
    assert found["is_audit"].to_list()[:2] == [False, False]
    assert found["is_audit"].arg_max() in {2, 3}
    assert not {"probability", "holds_probability", "is_accepted"} & set(found.columns)
