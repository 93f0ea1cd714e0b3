"""What was written in this format stays readable, also by a reader made from the description alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgraph.recommend import Graph
from pkgraph.snapshot import verify
from pkgraph.snapshot.format import CARDS, FORMAT_VERSION, SPECS
from tests.kept_snapshot import GOLDEN, golden_graph
from tests.published import publish_shop
from tests.random_graph import random_graph
from tests.snapshot_reader import Reader, weight_of

FOLDER = GOLDEN / f"format-{FORMAT_VERSION}"
KEPT = {1: "eae3a5b1875b", 2: "dc016f421105"}
"""Id of the kept snapshot of every version; one that is not read any more would be named here."""


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(FOLDER)


def test_every_version_has_its_kept_snapshot() -> None:
    assert list(KEPT) == list(range(1, FORMAT_VERSION + 1))


@pytest.mark.parametrize("version", KEPT)
def test_the_kept_snapshots_verify_and_answer(version: int) -> None:
    folder = GOLDEN / f"format-{version}"
    manifest = verify(folder)
    assert (manifest.snapshot_id, manifest.format_version) == (KEPT[version], version)
    answer = Graph.open(folder).recommend(["f1"])
    assert [item.sku for item in answer.items] == ["c2", "v1", "t1", "k1"]
    assert answer.items[0].path.explanation == 'A "card" goes with flowers – said better.'


def test_the_compiler_still_writes_the_kept_bytes(tmp_path: Path) -> None:
    """Where this fails, the format changed: a new version is due, and its own kept snapshot."""
    written = publish_shop(tmp_path, golden_graph()).path
    assert {path.name for path in written.iterdir()} == {path.name for path in FOLDER.iterdir()}
    for path in FOLDER.iterdir():
        assert (written / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_second_reader_finds_every_array_and_gives_the_same_answers(reader: Reader) -> None:
    assert set(reader.arrays) == {spec.name for spec in SPECS}
    graph = Graph.open(FOLDER)
    for sku in ("f1", "f2", "c1", "k2", "t1", "v1", "b1"):
        ours = graph.recommend([sku], max_per_phrase=10).items
        found = [(i.sku, i.score, i.path.explanation, i.path.relation_id) for i in ours]
        assert found == reader.recommend(sku), sku
    assert reader.row_of("nowhere") is None


def test_the_second_reader_reads_the_former_format_and_cards_as_described(reader: Reader) -> None:
    former = Reader(GOLDEN / "format-1")
    assert set(reader.arrays) - set(former.arrays) == set(CARDS)
    assert former.recommend("f1") == reader.recommend("f1")
    for sku in range(len(reader["sku_kind"])):
        names = (reader.text("sku_ids", sku), reader.text("sku_titles", sku))
        expected = (*names, reader["sku_price"][sku], reader["sku_kind"][sku])
        assert repr(reader.sku_card(sku)) == repr(expected)  # nan is nan
    for kind in range(reader.n_kinds):
        skus, rows = reader.owned("kind_sku_offsets", kind), reader.owned("row_offsets", kind)
        best = reader["kind_skus"][skus.start]
        place = (reader["kind_category"][kind], best, skus, rows)
        assert reader.kind_card(kind) == (reader.text("kind_titles", kind), *place)
    for rationale in range(len(reader["rationale_order"])):
        texts = tuple(reader.text(name, rationale) for name in ("rationale_texts", "rationale_ids"))
        assert reader.rationale_card(rationale) == texts
    for edge in range(len(reader["edge_target"])):
        statement = reader["edge_statement_offsets"][edge]
        assert reader.edge_card(edge) == (
            reader.text("edge_explanations", edge),
            reader["edge_rationale"][edge],
            reader["edge_phrase"][edge],
            reader["statement_response"][statement],
            reader["statement_position"][statement],
            reader["edge_target"][edge],
            round(reader["edge_probability"][edge] * 1e6),
            reader["edge_type"][edge],
        )


def test_the_second_reader_derives_the_weights_and_rows_that_are_stored(
    reader: Reader, tmp_path: Path
) -> None:
    big = Reader(publish_shop(tmp_path, random_graph(7)).path)
    for each in (reader, big):
        shares = each["edge_probability"]
        assert [weight_of(share) for share in shares] == each["edge_weight"]
        assert [weight_of(share / 2) for share in shares] == each["edge_inferred_weight"]
        n_nodes = each.n_kinds + len(each["rationale_order"])
        assert n_nodes > 4
        for node in range(n_nodes):
            assert each.merged(node)[:32] == each.stored_rows(node), node
