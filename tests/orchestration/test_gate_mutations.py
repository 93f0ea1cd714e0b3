"""More ways to get a bad graph out, by somebody who may write any file; `test_gate_bypass` has the others.

Every one is refused, or changes nothing that is published.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pkgraph.snapshot import snapshots
from tests.orchestration.building import judge_twice, materialize
from tests.orchestration.conftest import Shop

Edit = Callable[[pl.DataFrame], pl.DataFrame]

OVERRIDE = {"published_graph": {"config": {"accept_uncertified": "first build"}}}
NAN, INFINITE = float("nan"), float("inf")


def part(home: Path, table: str, category: str = "pasta") -> Path:
    (path,) = (home / "tables" / table).glob(f"{category}-*.parquet")
    return path


def edited(path: Path, edit: Edit) -> None:
    edit(pl.read_parquet(path)).write_parquet(path)


def committed(home: Path) -> list[str]:
    return [record.snapshot_id for record in snapshots(home / "graph")]


def every_row(column: str, value: object) -> Edit:
    return lambda frame: frame.with_columns(pl.lit(value, dtype=frame.schema[column]).alias(column))


def judge_pasta(home: Path) -> tuple[bool, bool]:
    """Whether the category was accepted again, and whether what it accepted before is still there."""
    path = part(home, "accepted_relations")
    before = path.read_bytes()
    ran = materialize(home, "accepted_relations", partition=path.stem)
    return ran.is_success, path.read_bytes() == before


SCORES: dict[str, Edit] = {
    "an infinite probability": every_row("probability", INFINITE),
    "a probability a hair above 1": every_row("holds_probability", 1.0000001),
    "a negative probability": every_row("probability", -0.5),
    "a match that is no number": every_row("match_score", NAN),
    "a reason nobody knows": every_row("reasons", ["bad_mood"]),
    "every row twice": lambda frame: pl.concat([frame, frame]),
    "a column less": lambda frame: frame.drop("classifier"),
    "two probabilities of one statement": lambda frame: pl.concat(
        [
            frame,
            frame.head(1).with_columns(
                target_kind_id=pl.lit("another"), holds_probability=pl.col("holds_probability") - 0.001
            ),
        ]
    ),
}


@pytest.mark.parametrize("name", SCORES)
def test_mutated_scores_are_not_accepted(name: str, home: Path) -> None:
    edited(part(home, "scored_relations"), SCORES[name])

    assert judge_pasta(home) == (False, True)


def no_scores(home: Path) -> None:
    part(home, "scored_relations").unlink()


def no_judgement(home: Path) -> None:
    (home / "models" / "judgement.json").unlink()


def another_classifier(home: Path) -> None:
    path = home / "models" / "judgement.json"
    document = json.loads(path.read_text())
    document["classifier"]["members"][0]["bias"] += 5
    path.write_text(json.dumps(document))


class Canary:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('the canary sang')",))


def a_pickle(home: Path) -> None:
    (home / "models" / "judgement.json").write_bytes(pickle.dumps(Canary()))


def half_a_file(home: Path) -> None:
    path = home / "models" / "judgement.json"
    path.write_text(path.read_text()[:500])


JUDGEMENTS = (no_scores, no_judgement, another_classifier, a_pickle, half_a_file)


@pytest.mark.parametrize("mutate", JUDGEMENTS)
def test_without_the_judgement_that_scored_nothing_is_accepted(
    mutate: Callable[[Path], None], home: Path
) -> None:
    mutate(home)

    assert judge_pasta(home) == (False, True)


def test_without_any_check_the_gate_is_shut_all_the_same(home: Path) -> None:
    """Somebody deleted every asset check of the project: they show the gate, they are not it."""
    edited(part(home, "mapped_relations"), every_row("match_score", 1.5))
    path = part(home, "accepted_relations")
    before = path.read_bytes()
    assets = ("relation_evidence", "scored_relations", "accepted_relations")
    ran = materialize(home, *assets, partition=path.stem, has_checks=False)

    assert not ran.is_success
    assert "accepted_relations" not in ran.metadata
    assert path.read_bytes() == before


def test_executing_again_from_failure_accepts_nothing(home: Path) -> None:
    edited(part(home, "mapped_relations"), every_row("match_score", 1.5))
    path = part(home, "accepted_relations")
    before = path.read_bytes()
    ran = judge_twice(home, path.stem)

    assert (ran.first, ran.again) == (False, False)
    assert "accepted_relations" not in ran.materialized
    assert path.read_bytes() == before


def of_another_category(home: Path) -> None:
    shutil.copyfile(part(home, "accepted_relations", "sauces"), part(home, "accepted_relations"))


def of_an_earlier_day(home: Path) -> None:
    """A relation was refused since; the file from before is put back."""
    path = part(home, "accepted_relations")
    old = path.read_bytes()
    is_first = pl.int_range(pl.len()) == pl.col("is_accepted").arg_max()
    refused = pl.when(is_first).then(pl.lit(["reviewer_says_no"])).otherwise("reasons")
    accepted = pl.col("is_accepted") & ~is_first
    edited(
        part(home, "scored_relations"),
        lambda frame: frame.with_columns(reasons=refused, is_accepted=accepted),
    )
    assert materialize(home, "accepted_relations", partition=path.stem).is_success
    assert path.read_bytes() != old
    path.write_bytes(old)


def every_row_twice(home: Path) -> None:
    edited(part(home, "accepted_relations"), lambda frame: pl.concat([frame, frame]))


def of_another_kind(home: Path) -> None:
    edited(
        part(home, "accepted_relations"), lambda frame: frame.with_columns(target_kind_id="source_kind_id")
    )


def with_a_nan(home: Path) -> None:
    edited(part(home, "accepted_relations"), every_row("probability", NAN))


ACCEPTED = (of_another_category, of_an_earlier_day, every_row_twice, of_another_kind, with_a_nan)


@pytest.mark.parametrize("mutate", ACCEPTED)
def test_an_acceptance_that_was_replaced_is_not_published(
    mutate: Callable[[Path], None], shop: Shop, home: Path
) -> None:
    mutate(home)
    ran = materialize(home, "published_graph", ops=OVERRIDE)

    assert not ran.is_success
    assert "not those that passed the gate" in ran.reason
    assert committed(home) == [shop.built.snapshot_id]


def test_a_stray_acceptance_of_no_category_stays_out(shop: Shop, home: Path) -> None:
    stray = part(home, "accepted_relations")
    invented = pl.read_parquet(stray).with_columns(explanation=pl.lit("Buy this."))
    invented.write_parquet(stray.with_name("bargains-00000000.parquet"))
    ran = materialize(home, "published_graph", ops=OVERRIDE)

    assert ran.is_success, ran.reason
    assert committed(home) == [shop.built.snapshot_id]


@pytest.mark.parametrize("reason", ["", "   ", None])
def test_an_override_that_gives_no_reason_is_none(reason: str | None, shop: Shop, home: Path) -> None:
    ran = materialize(
        home, "published_graph", ops={"published_graph": {"config": {"accept_uncertified": reason}}}
    )

    assert not ran.is_success
    assert "no valid certificate" in ran.reason
    assert committed(home) == [shop.built.snapshot_id]


def emptied(table: str) -> Callable[[Path], None]:
    def empty(home: Path) -> None:
        edited(home / "tables" / f"{table}.parquet", lambda frame: frame.clear())

    return empty


@pytest.mark.parametrize("mutate", [emptied("products"), no_judgement], ids=["no products", "no judgement"])
def test_a_graph_of_a_shop_that_lost_its_tables_is_not_published(
    mutate: Callable[[Path], None], shop: Shop, home: Path
) -> None:
    mutate(home)
    ran = materialize(home, "published_graph", ops=OVERRIDE)

    assert not ran.is_success
    assert committed(home) == [shop.built.snapshot_id]
