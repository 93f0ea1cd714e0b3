"""`verify` and `rollback` where a number is the start of an id, a byte is flipped, a target unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgraph.snapshot import Published, open_published
from tests.command import Command
from tests.published import publish_shop


@pytest.fixture
def two(pkgraph: Command) -> tuple[Published, Published]:
    root = pkgraph.home / "graph"
    return publish_shop(root, version="1"), publish_shop(root, version="2")


def flip(path: Path) -> None:
    """Change the last byte of a file."""
    path.chmod(0o644)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def biggest_file(published: Published) -> Path:
    return max(published.path.glob("*"), key=lambda path: path.stat().st_size)


def test_whole_snapshots_are_verified(pkgraph: Command, two: tuple[Published, Published]) -> None:
    newest, older, by_id = (
        pkgraph("verify"),
        pkgraph("verify", "1"),
        pkgraph("verify", two[0].snapshot_id[:8]),
    )

    assert (newest.code, older.code, by_id.code) == (0, 0, 0)
    assert newest.out.startswith(f"{two[1].snapshot_id}: ")
    assert "all as published" in newest.out
    assert older.out == by_id.out
    assert older.out.startswith(f"{two[0].snapshot_id}: ")


def test_a_flipped_byte_is_found_and_its_file_named(
    pkgraph: Command, two: tuple[Published, Published]
) -> None:
    damaged = biggest_file(two[1])
    flip(damaged)
    said = pkgraph("verify")

    assert (said.code, said.out) == (6, "")
    assert str(damaged) in said.err
    assert "remedy " in said.err
    assert pkgraph("verify", "1").code == 0


def test_a_snapshot_nobody_published_cannot_be_verified(
    pkgraph: Command, two: tuple[Published, Published]
) -> None:
    said = pkgraph("verify", "99")

    assert said.code == 6
    assert "no snapshot 99" in said.err
    assert "pkgraph snapshots" in said.err


def test_a_damaged_manifest_is_passed_over_aloud(pkgraph: Command, two: tuple[Published, Published]) -> None:
    flip(two[1].path / "MANIFEST.json")
    read, listed = pkgraph("recommend", "f1"), pkgraph("snapshots")

    assert read.code == 0
    assert read.err.startswith("passed over commit 2: ")
    assert f"snapshot {two[0].snapshot_id}" in read.out
    assert listed.code == 0
    assert "● " in next(line for line in listed.out.splitlines() if two[0].snapshot_id in line)


def test_a_rollback_serves_the_old_snapshot_under_a_new_commit(
    pkgraph: Command, two: tuple[Published, Published]
) -> None:
    said = pkgraph("rollback", "1")

    assert (said.code, said.err) == (0, "")
    assert said.out == f"Commit 3 serves snapshot {two[0].snapshot_id} again.\n"
    assert open_published(pkgraph.home / "graph").snapshot_id == two[0].snapshot_id
    assert "rollback" in pkgraph("snapshots").out


@pytest.mark.parametrize("target", ["99", "zzzz", "-"])
def test_an_unknown_target_changes_nothing_and_names_what_is_there(
    pkgraph: Command, two: tuple[Published, Published], target: str
) -> None:
    said = pkgraph("rollback", target)

    assert (said.code, said.out) == (2, "")
    assert two[0].snapshot_id in said.err
    assert open_published(pkgraph.home / "graph").snapshot_id == two[1].snapshot_id


def test_without_a_target_rollback_says_that_it_wants_one(pkgraph: Command) -> None:
    said = pkgraph("rollback")

    assert said.code == 2
    assert "TARGET" in said.err
