"""What two snapshots differ in, told with reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pkgraph.snapshot import Difference, Snapshot, compare, publish
from pkgraph.snapshot.compile import compile_graph
from tests.published import CREATED_AT, content
from tests.shop import SHOP, STATEMENTS, Told, accepted, products

INPUTS = {"answers": 6, "classifier": "c1", "catalog": "k1", "model_names": ["model-a"]}


def snapshot(
    root: Path, told: list[Told] | pl.DataFrame = STATEMENTS, shop: Any = SHOP, **inputs: Any
) -> Snapshot:
    rows = told if isinstance(told, pl.DataFrame) else accepted(told)
    published = publish(
        root,
        compile_graph(products(shop), rows),
        inputs={**INPUTS, **inputs},
        judge=content,
        created_at=CREATED_AT,
    )
    return Snapshot.open(published.path)


def without(*kinds: str) -> Any:
    return {kind: what for kind, what in SHOP.items() if kind not in kinds}


def one(changes: tuple[Any, ...]) -> tuple[str | None, str, str]:
    (change,) = changes
    return change.source, change.target, change.reason


def test_a_snapshot_does_not_differ_from_itself(tmp_path: Path) -> None:
    found = compare(snapshot(tmp_path), snapshot(tmp_path))

    assert found.is_empty
    assert (found.products, found.inputs, found.sku_loss) == ((), (), 0.0)


def test_other_inputs_with_the_same_relations_are_named_and_nothing_else(tmp_path: Path) -> None:
    found = compare(snapshot(tmp_path), snapshot(tmp_path, answers=7))

    assert found.is_empty
    assert found.inputs == ("answers",)


def test_a_kind_that_left_takes_its_products_and_its_relations_along(tmp_path: Path) -> None:
    found = compare(snapshot(tmp_path), snapshot(tmp_path, shop=without("vases"), catalog="k2"))

    assert (found.skus_in, found.skus_out) == ((), ("v1",))
    assert (found.kinds_in, found.kinds_out) == ((), ("vases",))
    assert found.sku_loss == pytest.approx(1 / 10)
    assert one(found.relations_out) == ("carnations", "vases", "no_target")
    assert (found.relations_out[0].before, found.relations_out[0].after) == (0.8, None)
    assert found.relations_in == ()


def test_a_source_that_left_is_the_reason_even_where_its_target_left_too(tmp_path: Path) -> None:
    gone = without("carnations", "vases")
    found = compare(snapshot(tmp_path), snapshot(tmp_path, shop=gone, catalog="k2"))

    reasons = {(change.source, change.target): change.reason for change in found.relations_out}
    assert reasons == {
        ("carnations", "vases"): "no_source",
        ("carnations", "greeting cards"): "no_source",
        ("carnations", "tulips"): "no_source",
        (None, "carnations"): "no_target",
    }


def test_backwards_the_same_kinds_and_relations_come_in(tmp_path: Path) -> None:
    smaller = snapshot(tmp_path, shop=without("vases"), catalog="k2")
    found = compare(smaller, snapshot(tmp_path))

    assert (found.skus_in, found.kinds_in) == (("v1",), ("vases",))
    assert one(found.relations_in) == ("carnations", "vases", "no_target")


def test_a_relation_that_was_judged_otherwise_says_so(tmp_path: Path) -> None:
    found = compare(snapshot(tmp_path), snapshot(tmp_path, STATEMENTS[:-1], classifier="c2"))
    assert one(found.relations_out) == (None, "candles", "judged_anew")


def test_a_question_that_was_answered_anew_says_so(tmp_path: Path) -> None:
    rows = accepted(STATEMENTS)
    is_vase = pl.col("product") == "vases"
    answer = [
        pl.lit(f"answer-b{end}").alias(f"{of}_id") for of, end in (("response", ""), ("relation", "-0"))
    ]
    replaced = pl.concat([rows.filter(~is_vase), accepted([_candles()]).with_columns(answer)])
    found = compare(snapshot(tmp_path), snapshot(tmp_path, replaced, answers=7))

    assert one(found.relations_out) == ("carnations", "vases", "answered_anew")
    assert one(found.relations_in) == ("carnations", "candles", "answered_anew")


def _candles() -> Told:
    return ("carnations", "complement", "romantic evening", "candles", 0.75, "Candles and flowers.")


def test_a_model_that_is_not_asked_any_more_takes_what_it_alone_said(tmp_path: Path) -> None:
    both = pl.concat([accepted(STATEMENTS[:-1]), accepted(STATEMENTS[-1:], model="model-b")])
    before = snapshot(tmp_path, both, model_names=["model-a", "model-b"])
    found = compare(before, snapshot(tmp_path, STATEMENTS[:-1], models="m2"))

    assert one(found.relations_out) == (None, "candles", "no_model")


def test_another_probability_is_a_change_and_no_coming_and_going(tmp_path: Path) -> None:
    surer = [*STATEMENTS[:1], (*STATEMENTS[1][:4], 0.85, STATEMENTS[1][5]), *STATEMENTS[2:]]
    found = compare(snapshot(tmp_path), snapshot(tmp_path, surer, classifier="c2"))

    (change,) = found.relations_changed
    assert (change.source, change.target, change.before, change.after) == ("carnations", "vases", 0.8, 0.85)
    assert (found.relations_in, found.relations_out) == ((), ())


def test_the_most_changed_products_come_first_and_count_what_they_gained_and_lost(tmp_path: Path) -> None:
    told = [row for row in STATEMENTS if row[3] not in {"vases", "tulips"}] + [_candles()]
    found = compare(snapshot(tmp_path), snapshot(tmp_path, told, answers=7))

    first = found.products[0]
    assert (first.sku, first.gained, first.lost) == ("f2", 1, 2)  # the best seller of carnations
    assert first.change == pytest.approx(0.75 + 0.8 + 0.7)
    assert {product.sku for product in found.products} == {"f2", "g1", "v1", "t1"}


def test_from_nothing_and_to_nothing_in_common_everything_comes_and_goes(tmp_path: Path) -> None:
    left = {"soap": ("bath", [("s1", "soap", 0.1)]), "towels": ("bath", [("w1", "towel", 0.1)])}
    rows = accepted([_candles()]).with_columns(
        source_kind_id=pl.lit(products(left)["kind_id"][0]),
        target_kind_id=pl.lit(products(left)["kind_id"][1]),
    )
    found: Difference = compare(snapshot(tmp_path), snapshot(tmp_path, rows, left, answers=7))

    assert (len(found.relations_out), len(found.relations_in)) == (6, 1)
    assert found.sku_loss == 1.0
