"""Files that were cut, turned, exchanged or of another format are refused; the graph before serves."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgraph.errors import SnapshotDamaged, SnapshotError
from pkgraph.snapshot import Snapshot, open_published, rollback, verify
from pkgraph.snapshot.arrays import HEADER_SIZE, header_of
from pkgraph.snapshot.commits import commit_path
from pkgraph.snapshot.format import SPECS
from tests.figures import Figure
from tests.published import CREATED_AT, graph_of, publish_shop
from tests.shop import STATEMENTS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two graphs that recommend differently; the newer one is to be damaged."""
    publish_shop(tmp_path, graph_of(STATEMENTS[:1]), version="old")
    publish_shop(tmp_path, version="new")
    return tmp_path


def newest(root: Path) -> Path:
    return open_published(root).path


def replaced(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def is_found(root: Path, folder: Path, name: str) -> None:
    """The damage is named, and a reader that checks serves the graph before."""
    with pytest.raises(SnapshotError, match=name.replace(".", r"\.")):
        verify(folder)
    served = open_published(root, verify=True)
    assert served.record is not None
    assert served.record.sequence == 1
    assert name in served.skipped[0]


def test_a_file_cut_anywhere_is_refused_without_reading_behind_its_end(root: Path, figure: Figure) -> None:
    folder, n = newest(root), 0
    for spec in SPECS:
        path = folder / spec.file_name
        whole = path.read_bytes()
        for size in sorted({0, 1, HEADER_SIZE - 1, HEADER_SIZE, len(whole) - 1} - {len(whole)}):
            if size < len(whole):
                replaced(path, whole[:size])
                with pytest.raises(SnapshotDamaged, match=spec.file_name.replace(".", r"\.")):
                    Snapshot.open(folder)
                n += 1
        replaced(path, whole + b"\0")
        with pytest.raises(SnapshotDamaged):
            Snapshot.open(folder)
        replaced(path, whole)
    figure(f"{n} cuts, each refused by name")
    assert open_published(root, verify=True).path == folder


def flips(folder: Path, n: int, chance: random.Random) -> Iterator[tuple[Path, int]]:
    """Bits to turn: every header byte once, then anywhere, the manifest too."""
    paths = sorted(folder.iterdir())
    for path in paths:
        if path.suffix == ".arr":
            yield from ((path, byte * 8 + chance.randrange(8)) for byte in range(0, HEADER_SIZE, 8))
    for _ in range(n):
        path = chance.choice(paths)
        yield path, chance.randrange(path.stat().st_size * 8)


def turned(path: Path, bit: int) -> bytes:
    raw = bytearray(path.read_bytes())
    raw[bit // 8] ^= 1 << bit % 8
    return bytes(raw)


@pytest.mark.parametrize(
    "n", [300, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])]
)
def test_no_turned_bit_is_ever_read(n: int, root: Path, figure: Figure) -> None:
    folder, n_flips = newest(root), 0
    for path, bit in flips(folder, n, random.Random(n)):  # noqa: S311
        whole = path.read_bytes()
        replaced(path, turned(path, bit))
        with pytest.raises(SnapshotError):
            Snapshot.open(folder, verify=True)
        replaced(path, whole)
        n_flips += 1
    figure(f"{n_flips} turned bits, 0 read")
    assert n_flips >= n


def test_every_turned_bit_of_a_commit_is_found(root: Path) -> None:
    path = commit_path(root, 2)
    whole = path.read_bytes()
    for bit in range(0, len(whole) * 8, 61):
        replaced(path, turned(path, bit))
        assert open_published(root).record.sequence == 1  # type: ignore[union-attr]
        replaced(path, whole)


def test_exchanged_files_are_found(root: Path) -> None:
    folder = newest(root)
    one, other = folder / "edge_target.arr", folder / "edge_rationale.arr"
    contents = one.read_bytes(), other.read_bytes()
    replaced(one, contents[1])
    replaced(other, contents[0])
    is_found(root, folder, "edge_")


def test_a_former_manifest_beside_new_files_is_found(root: Path) -> None:
    folder = newest(root)
    old = next(path for path in folder.parent.iterdir() if path.name.startswith("1-"))
    replaced(folder / "MANIFEST.json", (old / "MANIFEST.json").read_bytes())
    served = open_published(root, verify=True)
    assert served.path == old


def test_a_later_format_is_refused_with_what_it_needs(root: Path) -> None:
    folder = newest(root)
    spec = next(spec for spec in SPECS if spec.name == "edge_target")
    path = folder / spec.file_name
    raw = path.read_bytes()
    count = (len(raw) - HEADER_SIZE) // 4
    replaced(path, header_of(spec, count, min_reader=99) + raw[HEADER_SIZE:])
    with pytest.raises(SnapshotDamaged, match="needs a reader of format 99") as refusal:
        Snapshot.open(folder)
    assert "Update pkgraph" in refusal.value.remedy


def test_going_back_and_forth_a_hundred_times_disturbs_no_reader_and_leaves_nothing(tmp_path: Path) -> None:
    """One reader holds the first snapshot throughout; commits are made with clocks that jump ten years."""
    publish_shop(tmp_path, version="1")
    publish_shop(tmp_path, version="2")
    held = Snapshot.open(open_published(tmp_path).path)
    before = held.sections.row_weight.tolist()
    for n in range(100):
        year = (2016, 2036, 2026)[n % 3]
        record = rollback(tmp_path, 1 + n % 2, created_at=f"{year}-01-01T00:00:00Z")
        assert open_published(tmp_path).snapshot_id == record.snapshot_id
    assert held.sections.row_weight.tolist() == before
    assert len(list((tmp_path / "snapshots").iterdir())) == 2
    assert open_published(tmp_path, verify=True).record.sequence == 102  # type: ignore[union-attr]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf"), -0.1, 1.0000001])
def test_a_score_that_is_no_share_is_stopped_at_load_too(score: float, tmp_path: Path) -> None:
    """Made by hand with right checksums, past the gate: the server still does not take it."""
    import hashlib

    import numpy as np

    from pkgraph.serving.served import Served
    from pkgraph.snapshot.manifest import FileFact, manifest_bytes, manifest_of, read_manifest

    folder = publish_shop(tmp_path).path
    path = folder / "edge_probability.arr"
    values = np.frombuffer(path.read_bytes(), "<f8", offset=HEADER_SIZE).copy()
    values[0] = score
    replaced(path, path.read_bytes()[:HEADER_SIZE] + values.tobytes())
    old = read_manifest(folder)
    fact = FileFact(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    forged = manifest_of({**old.files, path.name: fact}, old.counts, old.intake, old.inputs)
    other = tmp_path / "other" / "snapshots" / f"1-{forged.snapshot_id}"
    shutil.copytree(folder, other)
    replaced(other / "MANIFEST.json", manifest_bytes(forged))
    _commit_by_hand(tmp_path / "other", other)
    served = Served(tmp_path / "other")
    served.refresh()
    assert served.current is None
    assert "no shares" in (served.fault or "")


def _commit_by_hand(root: Path, folder: Path) -> None:
    from pkgraph.model import GateReport
    from pkgraph.snapshot.commits import Record, manifest_digest, to_json
    from pkgraph.snapshot.manifest import sealed

    snapshot_id = folder.name.partition("-")[2]
    gate = GateReport({"forged": 1})
    record = Record(1, "publish", snapshot_id, None, CREATED_AT, manifest_digest(folder), gate, folder)
    commit_path(root, 1).parent.mkdir()
    commit_path(root, 1).write_bytes(sealed(to_json(record)))
