"""What a reader makes of files that are whole, cut, changed, or from another time."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from pkgraph.errors import SnapshotDamaged, SnapshotMissing
from pkgraph.recommend import Graph
from pkgraph.snapshot import Snapshot, open_published, threads, verify
from pkgraph.snapshot.arrays import HEADER_SIZE
from pkgraph.snapshot.compile import compile_graph
from pkgraph.snapshot.format import SPECS
from pkgraph.snapshot.layout import to_arrays
from pkgraph.snapshot.manifest import MANIFEST_NAME, sealed, unsealed
from tests.kept_snapshot import GOLDEN
from tests.published import graph_of, publish_shop
from tests.shop import accepted, products


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A snapshot whose files may be changed."""
    copy = tmp_path / "copy"
    shutil.copytree(publish_shop(tmp_path / "graph").path, copy)
    for path in copy.iterdir():
        path.chmod(0o644)
    return copy


def test_what_was_written_is_read(tmp_path: Path) -> None:
    compiled = graph_of()
    snapshot = Snapshot.open(publish_shop(tmp_path, compiled).path, verify=True)
    for name, array in to_arrays(compiled.sections).items():
        read = to_arrays(snapshot.sections)[name]
        assert read.tobytes() == array.tobytes(), name
        assert type(read) is np.ndarray
        assert not read.flags.writeable


def test_cards_that_are_made_as_they_are_written_are_those_of_the_whole_graph(tmp_path: Path) -> None:
    bare = compile_graph(products(), accepted(), has_cards=False)
    assert (bare.has_cards, graph_of().has_cards) == (False, True)
    whole, written = (
        publish_shop(tmp_path / name, graph) for name, graph in (("whole", None), ("bare", bare))
    )
    assert written.snapshot_id == whole.snapshot_id
    assert verify(written.path) == verify(whole.path)


def test_many_threads_write_and_find_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = publish_shop(tmp_path / "alone")
    monkeypatch.setattr(threads, "MANY", 0)
    together = publish_shop(tmp_path / "together", compile_graph(products(), accepted(), has_cards=False))
    assert together.snapshot_id == alone.snapshot_id
    damaged = together.path / "edge_explanations.bytes.arr"
    damaged.chmod(0o644)
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(SnapshotDamaged, match=damaged.name):
        verify(together.path)


def test_an_opened_snapshot_is_copied_and_sent_with_its_values(tmp_path: Path) -> None:
    opened = open_published(publish_shop(tmp_path).path.parents[1])
    for other in (copy.copy(opened), copy.deepcopy(opened), pickle.loads(pickle.dumps(opened))):  # noqa: S301 - of our own
        assert other == opened
        assert other.record == opened.record
        for name, array in to_arrays(opened.sections).items():
            assert to_arrays(other.sections)[name].tobytes() == array.tobytes(), name
        assert Graph(other).recommend(["f1"]) == Graph(opened).recommend(["f1"])


def test_files_are_read_only(tmp_path: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in publish_shop(tmp_path).path.iterdir()} == {0o444}


def test_an_array_is_readable_from_the_description_alone(folder: Path) -> None:
    """docs/SNAPSHOT.md: magic, versions, dtype, count, checksum, then the values."""
    raw = (folder / "edge_probability.arr").read_bytes()
    magic, version, reader, dtype, count = struct.unpack_from("<8sHH4x8sQ", raw)
    assert (magic, version, reader, dtype.rstrip(b"\x00"), count) == (b"PKGRAPH\x00", 3, 3, b"<f8", 6)
    assert struct.unpack_from("<I", raw, 60) == (zlib.crc32(raw[:60]),)
    assert sorted(struct.unpack_from("<6d", raw, 64)) == [0.7, 0.8, 0.85, 0.9, 0.9, 0.95]


def test_the_same_graph_has_the_same_bytes_wherever_it_is_published(tmp_path: Path) -> None:
    first, second = publish_shop(tmp_path / "a"), publish_shop(tmp_path / "b")
    assert first.path.name == second.path.name
    for path in first.path.iterdir():
        assert path.read_bytes() == (second.path / path.name).read_bytes()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_cut_file_is_refused_by_name_before_it_is_mapped(spec: object, folder: Path) -> None:
    path = folder / spec.file_name  # type: ignore[attr-defined]
    whole = path.read_bytes()
    cuts = {0, 1, HEADER_SIZE - 1, HEADER_SIZE, HEADER_SIZE + 1, len(whole) - 1} - {len(whole)}
    for size in sorted(cuts):
        path.write_bytes((whole + b"\x00")[:size])
        with pytest.raises(SnapshotDamaged, match=path.name):
            Snapshot.open(folder)
    path.write_bytes(whole + b"\x00")
    with pytest.raises(SnapshotDamaged, match=path.name):
        Snapshot.open(folder)
    path.unlink()
    with pytest.raises(SnapshotDamaged, match=path.name):
        Snapshot.open(folder)


def flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def test_every_flipped_bit_of_the_manifest_is_found_on_opening(folder: Path) -> None:
    path = folder / MANIFEST_NAME
    whole = path.read_bytes()
    for byte in range(0, len(whole), 7):
        path.write_bytes(flipped(whole, 8 * byte + byte % 8))
        with pytest.raises(SnapshotDamaged):
            Snapshot.open(folder)


@pytest.mark.parametrize("name", ["row_weight", "sku_ids.bytes", "backward_offsets"])
def test_every_flipped_bit_of_an_array_is_found_by_verify_which_names_the_file(
    name: str, folder: Path
) -> None:
    path = folder / f"{name}.arr"
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 13):
        path.write_bytes(flipped(whole, bit))
        with pytest.raises(SnapshotDamaged, match=path.name):
            verify(folder)
    path.write_bytes(whole)
    assert verify(folder).counts["edges"] == 6


def test_every_flipped_bit_of_a_header_is_found_on_opening(folder: Path) -> None:
    path = folder / "row_weight.arr"
    whole = path.read_bytes()
    for bit in range(8 * HEADER_SIZE):
        path.write_bytes(flipped(whole, bit))
        with pytest.raises(SnapshotDamaged, match=path.name):
            Snapshot.open(folder)


def test_two_arrays_that_changed_places_are_found(folder: Path) -> None:
    first, second = folder / "sku_popularity.arr", folder / "sku_price.arr"
    swapped = second.read_bytes(), first.read_bytes()
    first.write_bytes(swapped[0])
    second.write_bytes(swapped[1])
    with pytest.raises(SnapshotDamaged, match=r"sku_p\w+\.arr"):
        verify(folder)


def test_a_snapshot_of_a_later_format_says_which_reader_it_needs(folder: Path) -> None:
    data = unsealed(folder / MANIFEST_NAME)
    (folder / MANIFEST_NAME).write_bytes(sealed({**data, "min_reader_version": 4}))
    with pytest.raises(SnapshotDamaged, match="needs a reader of format 4"):
        Snapshot.open(folder)


@pytest.mark.parametrize("version", ["two", None, []])
def test_a_snapshot_of_no_known_format_is_damaged(folder: Path, version: object) -> None:
    data = unsealed(folder / MANIFEST_NAME)
    (folder / MANIFEST_NAME).write_bytes(sealed({**data, "format_version": version}))
    with pytest.raises(SnapshotDamaged, match=MANIFEST_NAME):
        Snapshot.open(folder)


@pytest.mark.parametrize("key", ["min_reader_version", "files", "counts", "intake", "inputs"])
@pytest.mark.parametrize("value", ["text", None, [1], {"edges": "six"}])
def test_a_manifest_that_holds_something_else_is_damaged(key: str, value: object, folder: Path) -> None:
    """Its digest fits: another program wrote it. `inputs` may be any object."""
    data = unsealed(folder / MANIFEST_NAME)
    (folder / MANIFEST_NAME).write_bytes(sealed({**data, key: value}))
    if key == "inputs" and isinstance(value, dict):
        assert Snapshot.open(folder).manifest.certificate is None
        return
    with pytest.raises(SnapshotDamaged, match=MANIFEST_NAME):
        Snapshot.open(folder)


def test_a_former_format_is_read_without_its_cards_and_a_present_one_not(folder: Path) -> None:
    (folder / "edge_cards.arr").unlink()
    with pytest.raises(SnapshotDamaged, match="edge_cards"):
        Snapshot.open(folder)
    data = unsealed(folder / MANIFEST_NAME)
    for former in (1, 2):
        (folder / MANIFEST_NAME).write_bytes(sealed({**data, "format_version": former}))
        assert len(Snapshot.open(folder).sections.edge_cards) == 8 * 6


@pytest.mark.parametrize(
    "name", ["sku_ids.offsets", "edge_statement_offsets", "kind_sku_offsets", "row_offsets"]
)
def test_a_former_format_whose_cards_cannot_be_made_is_damaged(name: str, tmp_path: Path) -> None:
    for former in (1, 2):
        copy = tmp_path / str(former)
        shutil.copytree(GOLDEN / f"format-{former}", copy)
        path = copy / f"{name}.arr"
        raw = bytearray(path.read_bytes())
        raw[HEADER_SIZE + 8 : HEADER_SIZE + 16] = struct.pack(
            "<q", 2**40
        )  # the end is whole, as opening checks
        path.write_bytes(raw)
        with pytest.raises(SnapshotDamaged, match="cards cannot be made"):
            Snapshot.open(copy)


def test_a_snapshot_that_breaks_a_rule_does_not_verify_although_its_checksums_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = unsealed(folder / MANIFEST_NAME)
    intake = {**data["intake"], "n_accepted": 99}
    (folder / MANIFEST_NAME).write_bytes(sealed({**data, "intake": intake}))
    assert Snapshot.open(folder, verify=True).n_edges == 6
    with pytest.raises(SnapshotDamaged, match="every_accepted_row_is_accounted_for"):
        verify(folder)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{}", b'{"digest": 1}', b"[" * 5000, b"\xff"])
def test_a_manifest_that_is_none_is_refused(text: bytes, folder: Path) -> None:
    (folder / MANIFEST_NAME).write_bytes(text)
    with pytest.raises(SnapshotDamaged, match=MANIFEST_NAME):
        Snapshot.open(folder)


def test_a_place_without_a_snapshot_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SnapshotMissing, match="pkgraph build"):
        Snapshot.open(tmp_path / "nowhere")
    with pytest.raises(SnapshotMissing, match="pkgraph build"):
        open_published(tmp_path)


def test_the_manifest_names_what_the_graph_was_made_from(tmp_path: Path) -> None:
    manifest = Graph.open(publish_shop(tmp_path).path).manifest
    assert manifest.inputs["models"] == ["model-a"]
    assert manifest.certificate is None
    assert manifest.intake.n_accepted == 6
    assert json.loads((tmp_path / "snapshots" / f"1-{manifest.snapshot_id}" / MANIFEST_NAME).read_text())[
        "relation_types"
    ] == ["complement", "ingredient", "accessory", "occasion", "audience", "substitute"]
