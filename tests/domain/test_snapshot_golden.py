"""What was written in this format stays readable, also by a reader made from the description alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgraph.recommend import Graph
from pkgraph.snapshot import verify
from pkgraph.snapshot.compile import compile_graph
from pkgraph.snapshot.format import CARDS, FORMAT_VERSION, SPECS
from tests.kept_snapshot import GOLDEN, golden_graph
from tests.published import publish_shop
from tests.random_graph import random_graph
from tests.shop import Shop, accepted, products
from tests.snapshot_reader import Reader, read_commit, weight_of, words_of

FOLDER = GOLDEN / f"format-{FORMAT_VERSION}"
KEPT = {1: "eae3a5b1875b", 2: "dc016f421105", 3: "9bffd9e2fbf4"}
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


def test_the_second_reader_reads_the_former_formats_too(reader: Reader) -> None:
    for version in KEPT:
        former = Reader(GOLDEN / f"format-{version}")
        shared = set(reader.arrays) & set(former.arrays) - set(CARDS)
        assert shared == set(reader.arrays) - set(CARDS)
        assert repr([former[name] for name in shared]) == repr(
            [reader[name] for name in shared]
        )  # nan is nan
        assert former.recommend("f1") == reader.recommend("f1")


def test_the_second_reader_reads_cards_as_described(reader: Reader) -> None:
    for sku in range(len(reader["sku_kind"])):
        names = (reader.text("sku_ids", sku), reader.text("sku_titles", sku))
        expected = (*names, reader["sku_price"][sku], reader["sku_kind"][sku])
        assert repr(reader.sku_card(sku)) == repr(expected)  # nan is nan
    for kind in range(reader.n_kinds):
        skus, rows = reader.owned("kind_sku_offsets", kind), reader.owned("row_offsets", kind)
        best = reader["kind_skus"][skus.start]
        place = (reader["kind_category"][kind], best, skus, rows)
        assert reader.kind_card(kind) == (reader.text("kind_titles", kind), *place)
    for row, target in enumerate(reader["row_target"]):
        others = tuple(reader[name][row] for name in ("row_weight", "row_edge", "row_via"))
        assert reader.row_card(row) == (target, *others)
    for edge in range(len(reader["edge_target"])):
        statement = reader["edge_statement_offsets"][edge]
        assert reader.edge_card(edge) == (
            reader.text("edge_explanations", edge),
            reader.text("rationale_texts", reader["edge_rationale"][edge]),
            reader.text("rationale_ids", reader["edge_rationale"][edge]),
            reader.text("response_ids", reader["statement_response"][statement]),
            reader["statement_position"][statement],
            reader["edge_phrase"][edge],
            reader["edge_target"][edge],
            round(reader["edge_probability"][edge] * 1e6),
            reader["edge_type"][edge],
            reader["edge_probability"][edge],
            0,
        )


@pytest.fixture(scope="module")
def readers(reader: Reader, tmp_path_factory: pytest.TempPathFactory) -> list[Reader]:
    """The kept snapshot, a random graph, and one purpose that serves more kinds than are joined pairwise."""
    wide = [(None, "occasion", "a feast", f"dish {n}", 0.5 + n % 7 / 20, "It is eaten.") for n in range(70)]
    shop: Shop = {f"dish {n}": ("dishes", [(f"d{n}", f"Dish {n}", 0.1)]) for n in range(70)}
    graphs = (random_graph(7), compile_graph(products(shop), accepted(wide, shop=shop)))
    roots = [tmp_path_factory.mktemp("read") for _ in graphs]
    pairs = zip(roots, graphs, strict=True)
    return [reader, *(Reader(publish_shop(root, graph).path) for root, graph in pairs)]


def test_the_second_reader_derives_the_weights_and_rows_that_are_stored(readers: list[Reader]) -> None:
    for each in readers:
        shares = each["edge_probability"]
        assert [weight_of(share) for share in shares] == each["edge_weight"]
        assert [weight_of(share / 2) for share in shares] == each["edge_inferred_weight"]
        pairs = zip(each["shared_via"], each["shared_edge"], strict=True)
        assert [weight_of(shares[via] * shares[edge] / 2) for via, edge in pairs] == each["shared_weight"]
        assert each.n_kinds + each.n_rationales > 4
        for node in range(each.n_kinds + each.n_rationales):
            assert each.merged(node)[:32] == each.stored_rows(node), node


def test_the_second_reader_derives_every_list_that_is_stored(readers: list[Reader]) -> None:
    for each in readers:
        lists = each.lists_of_edges()
        for name, place in (("backward", "backward_edges"), ("rationale_edge", "rationale_edges")):
            for item, expected in enumerate(lists[name]):
                stored = [each[place][i] for i in each.owned(f"{name}_offsets", item)]
                assert stored == expected, (name, item)
        assert [list(each.owned("edge_offsets", i)) for i in range(each.n_kinds + 1)] == lists["edge"]
        for kind, expected in enumerate(each.shared_pairs()):
            owned = each.owned("shared_offsets", kind)
            assert [(each["shared_via"][i], each["shared_edge"][i]) for i in owned] == expected, kind
        names = ("edge_source", "edge_target", "edge_type", "edge_rationale")
        keys = [(key[0] < 0, *key) for key in zip(*(each[name] for name in names), strict=True)]
        assert keys == sorted(set(keys))
        skus = sorted(range(each.n_skus), key=lambda row: (-each["sku_popularity"][row], row))
        for kind in range(each.n_kinds):
            stored = [each["kind_skus"][i] for i in each.owned("kind_sku_offsets", kind)]
            assert stored == [row for row in skus if each["sku_kind"][row] == kind]
        served = [len(each.merged(each.n_kinds + row)) for row in range(each.n_rationales)]
        assert served == each["rationale_n_kinds"]
        texts = [each.text("rationale_texts", row) for row in range(each.n_rationales)]
        assert each["rationale_order"] == sorted(range(len(texts)), key=lambda r: (-served[r], texts[r]))
    assert max(len(each["shared_edge"]) for each in readers) == 64 * 63


def test_the_second_reader_derives_the_words_and_where_they_stand(readers: list[Reader]) -> None:
    for each in readers:
        found: dict[str, list[int]] = {}
        for document, text in enumerate(each.documents()):
            for word in words_of(text):
                found.setdefault(word, []).append(document)
        words = sorted(found, key=str.encode)
        assert [each.text("words", row) for row in range(len(each["posting_offsets"]) - 1)] == words
        for row, word in enumerate(words):
            stored = [each["posting_documents"][i] for i in each.owned("posting_offsets", row)]
            assert stored == found[word], word


def test_tables_of_texts_stand_in_the_order_of_their_bytes(readers: list[Reader]) -> None:
    unordered = {"sku_titles", "kind_titles", "rationale_texts", "edge_explanations"}
    for each in readers:
        tables = {name.partition(".")[0] for name in each.arrays if name.endswith(".bytes")} - unordered
        assert len(tables) == 11
        for name in tables:
            texts = [each.text(name, row).encode() for row in range(len(each.arrays[f"{name}.offsets"]) - 1)]
            assert texts == sorted(set(texts)), name


def test_the_second_reader_reads_commits(tmp_path: Path) -> None:
    published = [publish_shop(tmp_path), publish_shop(tmp_path, version="2")]
    for number, record in enumerate(published, start=1):
        commit, folder = read_commit(tmp_path, number)
        assert (commit["action"], commit["parent"]) == ("publish", number - 1 or None)
        assert commit["gate"]["evaluated"]["a_graph_has_edges"] == 1
        assert commit["gate"]["broken"] == {}
        assert folder == record.path
        assert Reader(folder).recommend("f1")
