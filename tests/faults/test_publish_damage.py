"""Files that were cut, turned, exchanged or of another format are refused; the graph before serves."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgraph.errors import SnapshotDamaged, SnapshotError
from pkgraph.snapshot import Snapshot, open_published, rollback, snapshots, verify
from pkgraph.snapshot.arrays import HEADER_SIZE, header_of
from pkgraph.snapshot.commits import commit_path
from pkgraph.snapshot.format import SPECS
from pkgraph.snapshot.manifest import read_manifest
from pkgraph.snapshot.reader import check_digests
from pkgraph.snapshot.retention import hold
from tests.faults.children import ended, start
from tests.figures import Figure
from tests.published import CREATED_AT, graph_of, publish_shop
from tests.shop import STATEMENTS


@pytest.fixture
def root(memory_path: Path) -> Path:
    """Two graphs that recommend differently; the newer one is to be damaged."""
    root = memory_path / "graph"
    publish_shop(root, graph_of(STATEMENTS[:1]), version="old")
    publish_shop(root, version="new")
    return root


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
    """At and beside every boundary: of the file, of its header; and no cut file ends a process by SIGBUS."""
    folder, n = newest(root), 0
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        sizes = {0, 1, HEADER_SIZE - 1, HEADER_SIZE, HEADER_SIZE + 1, len(whole) - 1}
        for content in [whole[:size] for size in sorted(sizes) if size < len(whole)] + [whole + b"\0"]:
            replaced(path, content)
            with pytest.raises(SnapshotDamaged, match=path.name.replace(".", r"\.")):
                Snapshot.open(folder)
            n += 1
        served = open_published(root)
        assert served.record is not None
        assert served.record.sequence == 1
        replaced(path, whole)
    figure(f"{n} files cut or grown at a boundary, each refused by name, the graph before served")
    assert open_published(root, verify=True).path == folder


def test_a_commit_cut_anywhere_is_passed_over(root: Path) -> None:
    path = commit_path(root, 2)
    whole = path.read_bytes()
    for size in range(0, len(whole), 17):
        replaced(path, whole[:size])
        served = open_published(root)
        assert served.record is not None
        assert served.record.sequence == 1
    replaced(path, whole)
    assert open_published(root, verify=True).path == newest(root)


def turned(path: Path, bit: int) -> bytes:
    raw = bytearray(path.read_bytes())
    raw[bit // 8] ^= 1 << bit % 8
    return bytes(raw)


def exposed_bits(folder: Path, chance: random.Random) -> Iterator[tuple[Path, int]]:
    """A bit of every byte of every header and of the manifest."""
    for path in sorted(folder.iterdir()):
        n_bytes = HEADER_SIZE if path.suffix == ".arr" else path.stat().st_size
        yield from ((path, byte * 8 + chance.randrange(8)) for byte in range(n_bytes))


def any_bits(folder: Path, n_each: int, chance: random.Random) -> Iterator[tuple[Path, int]]:
    for path in sorted(folder.glob("*.arr")):
        n_bits = path.stat().st_size * 8
        yield from ((path, chance.randrange(n_bits)) for _ in range(n_each))


def is_opened(folder: Path, path: Path, bit: int, *, verify: bool) -> bool:
    """Whether a reader takes the snapshot with this bit turned."""
    whole = path.read_bytes()
    replaced(path, turned(path, bit))
    try:
        Snapshot.open(folder, verify=verify)
    except SnapshotError:
        return False
    finally:
        replaced(path, whole)
    return True


@pytest.mark.parametrize(
    ("every", "n_each"),
    [
        pytest.param(61, 2, id="some"),
        pytest.param(1, 130, marks=[pytest.mark.slow, pytest.mark.timeout(3000)], id="every"),
    ],
)
def test_no_turned_bit_is_ever_read(every: int, n_each: int, root: Path, figure: Figure) -> None:
    folder, chance = newest(root), random.Random(n_each)  # noqa: S311
    bits = [*list(exposed_bits(folder, chance))[::every], *any_bits(folder, n_each, chance)]
    read = [(path.name, bit) for path, bit in bits if is_opened(folder, path, bit, verify=True)]
    figure(f"{len(bits)} turned bits, {len(read)} read")
    assert read == []


def test_without_checksums_a_turned_bit_is_read(root: Path, figure: Figure) -> None:
    """The control: it is the checksums that find it, and not only the structure."""
    folder, chance = newest(root), random.Random(0)  # noqa: S311
    bits = list(any_bits(folder, 2, chance))
    n_read = sum(is_opened(folder, path, bit, verify=False) for path, bit in bits)
    figure(f"control, checksums left out: {n_read} of {len(bits)} turned bits are read")
    assert n_read > 10


@pytest.mark.parametrize("n_each", [130, pytest.param(1_000, marks=pytest.mark.slow)])
def test_the_digests_find_every_turned_bit_of_every_file(n_each: int, root: Path, figure: Figure) -> None:
    """The step of verifying that looks at bytes, for itself: many times as many bits in the same time."""
    folder, chance, n = newest(root), random.Random(n_each), 0  # noqa: S311
    manifest = read_manifest(folder)
    for path, bit in any_bits(folder, n_each, chance):
        whole = path.read_bytes()
        replaced(path, turned(path, bit))
        with pytest.raises(SnapshotDamaged, match=path.name.replace(".", r"\.")):
            check_digests(folder, dataclasses.replace(manifest, files={path.name: manifest.files[path.name]}))
        replaced(path, whole)
        n += 1
    figure(f"{n} turned bits, {n} found by the digest of their file")
    assert n >= 10_000


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


@pytest.mark.parametrize("n_cycles", [25, pytest.param(100, marks=pytest.mark.slow)])
def test_graphs_come_and_go_under_readers_of_old_ones(
    n_cycles: int, root: Path, memory_path: Path, figure: Figure
) -> None:
    """A pinned snapshot stays, until its reader is killed; a mapped one that was removed is read to its end.

    Commits are made with clocks that jump ten years, and every fifth cycle goes back and forward again.
    """
    first = newest(root)
    child = start(lambda: held(first, memory_path / "held"), 110)
    while not (memory_path / "held").exists():
        time.sleep(0.005)
    mapped, compiled = [Snapshot.open(first)], graph_of()
    weights = mapped[0].sections.row_weight.tolist()
    for n in range(n_cycles):
        publish_shop(root, compiled, version=f"cycle {n}", created_at=f"{(2016, 2036, 2026)[n % 3]}-01-01")
        mapped.append(Snapshot.open(newest(root)))
        if n % 5 == 0:
            back = rollback(root, snapshots(root)[1].sequence, created_at=CREATED_AT)
            assert newest(root) == back.path
            assert newest(root) != mapped[-1].path
            rollback(root, mapped[-1].snapshot_id, created_at=CREATED_AT)
        assert newest(root) == mapped[-1].path
        assert len(list((root / "snapshots").iterdir())) <= 4
    assert [one.sections.row_weight.tolist() for one in mapped] == [weights] * (n_cycles + 1)
    assert first.is_dir()
    os.kill(child, signal.SIGKILL)
    ended(child)
    publish_shop(root, compiled, version="last")
    assert not first.exists()
    assert len(list((root / "snapshots").iterdir())) == 3
    figure(
        f"{n_cycles} publishes, {n_cycles // 5} times back and forward: a pinned one stayed, mapped ones went"
    )


def held(folder: Path, sign: Path) -> None:
    """Hold a snapshot until killed."""
    hold(folder)
    sign.touch()
    time.sleep(100)
