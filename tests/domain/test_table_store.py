"""Tables and artifacts are replaced whole: a reader sees the old one or the new one."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from pkgraph.tables import PRODUCTS
from resources.artifacts import Artifacts
from resources.table_store import TableStore
from tests.shop import products

OLD, NEW = pl.DataFrame({"n": [1, 2]}), pl.DataFrame({"n": [3]})


@pytest.fixture
def store(tmp_path: Path) -> TableStore:
    return TableStore(home=str(tmp_path))


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_table_and_its_partitions_are_kept_apart(store: TableStore) -> None:
    store.write("prompts", OLD)
    store.write("prompts", NEW, "pasta")
    whole, part = store.read("prompts"), store.read("prompts", "pasta")

    assert whole is not None
    assert part is not None
    assert whole.equals(OLD)
    assert part.equals(NEW)


def test_a_table_that_was_never_written_is_none(store: TableStore) -> None:
    store.write("prompts", OLD)

    assert store.read("relations") is None
    assert store.read("prompts", "pasta") is None


def test_a_partition_that_was_never_written_has_no_rows(store: TableStore) -> None:
    shop = products()
    store.write("products", shop, "flowers")

    assert store.read_all(PRODUCTS, ["flowers", "never"]).height == shop.height
    assert store.read_all(PRODUCTS, []).schema == PRODUCTS.empty().schema


def test_a_write_that_fails_half_way_leaves_the_old_table_alone(
    store: TableStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("prompts", OLD)
    before = files_in(tmp_path)

    def half_a_write(_: pl.DataFrame, path: Path) -> None:
        path.write_bytes(b"PAR1 and no more")
        raise OSError("disk full")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", half_a_write)
    with pytest.raises(OSError, match="disk full"):
        store.write("prompts", NEW)

    kept = store.read("prompts")
    assert kept is not None
    assert kept.equals(OLD)
    assert files_in(tmp_path) == before


def test_an_artifact_is_not_seen_before_it_is_whole(tmp_path: Path) -> None:
    artifacts = Artifacts(home=str(tmp_path))
    with artifacts.replacing("kind_index.json") as path:
        path.write_text("old")
    with artifacts.replacing("kind_index.json") as path:
        path.write_text("new")
        assert artifacts.read("kind_index.json") == "old"

    assert artifacts.read("kind_index.json") == "new"
    assert files_in(tmp_path) == ["kind_index.json"]


def _fail_half_way(artifacts: Artifacts) -> None:
    with artifacts.replacing("kind_index.json") as path:
        path.write_text("n")
        raise ValueError("half")


def test_an_artifact_that_fails_half_way_leaves_the_old_one_alone(tmp_path: Path) -> None:
    artifacts = Artifacts(home=str(tmp_path))
    with artifacts.replacing("kind_index.json") as path:
        path.write_text("old")
    with pytest.raises(ValueError, match="half"):
        _fail_half_way(artifacts)

    assert artifacts.read("kind_index.json") == "old"
    assert files_in(tmp_path) == ["kind_index.json"]


def test_an_artifact_that_was_never_made_is_a_failure_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(dg.Failure, match=r"judgement\.json was never made") as caught:
        Artifacts(home=str(tmp_path)).read("judgement.json")

    assert not caught.value.allow_retries
