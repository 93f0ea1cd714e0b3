"""A second channel beside the main one: published to, compared, promoted."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgraph.errors import InputError, PublishConflict, SnapshotDamaged, SnapshotMissing
from pkgraph.snapshot import (
    Published,
    channel_root,
    current,
    open_published,
    promote,
    publish,
    rollback,
    snapshots,
)
from tests.published import CREATED_AT, content, graph_of, publish_shop
from tests.shop import STATEMENTS


def publish_canary(root: Path, version: str = "2") -> Published:
    served = current(root)
    return publish(
        channel_root(root, "canary"),
        graph_of(STATEMENTS[:-1]),
        inputs={"version": version},
        judge=content,
        created_at=CREATED_AT,
        base=served.snapshot_id if served else None,
    )


def go(root: Path) -> Published:
    return promote(root, "canary", created_at=CREATED_AT)


def served_id(root: Path) -> str:
    return open_published(root, verify=True).snapshot_id


def test_what_goes_to_a_channel_is_not_served(tmp_path: Path) -> None:
    main, canary = publish_shop(tmp_path), publish_canary(tmp_path)

    assert served_id(tmp_path) == main.snapshot_id
    assert served_id(channel_root(tmp_path, "canary")) == canary.snapshot_id
    assert [record.sequence for record in snapshots(tmp_path)] == [1]


def test_promoting_serves_the_same_bytes_by_a_commit_of_its_own(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    canary = publish_canary(tmp_path)
    promoted = go(tmp_path)

    record = open_published(tmp_path, verify=True).record
    assert record is not None
    assert (record.sequence, record.action, record.parent, record.base) == (2, "promote", 1, None)
    assert promoted.snapshot_id == canary.snapshot_id == served_id(tmp_path)
    assert promoted.path.parent == tmp_path / "snapshots"
    assert {f.name: f.read_bytes() for f in promoted.path.iterdir()} == {
        f.name: f.read_bytes() for f in canary.path.iterdir()
    }


def test_promoting_twice_commits_once(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    publish_canary(tmp_path)
    assert go(tmp_path).is_new
    assert not go(tmp_path).is_new
    assert len(snapshots(tmp_path)) == 2


def test_the_first_snapshot_of_all_may_come_from_a_channel(tmp_path: Path) -> None:
    canary = publish_canary(tmp_path)
    go(tmp_path)
    assert served_id(tmp_path) == canary.snapshot_id


@pytest.mark.parametrize("move", ["publish", "rollback"])
def test_a_channel_is_not_promoted_over_what_was_served_meanwhile(tmp_path: Path, move: str) -> None:
    publish_shop(tmp_path, version="0")
    publish_shop(tmp_path, version="1")
    publish_canary(tmp_path)
    if move == "publish":
        publish_shop(tmp_path, version="3")
    else:
        rollback(tmp_path, 1, created_at=CREATED_AT)
    served = served_id(tmp_path)

    with pytest.raises(PublishConflict, match="canary"):
        go(tmp_path)
    assert served_id(tmp_path) == served


def test_built_again_on_what_is_served_now_the_same_graph_may_be_promoted(tmp_path: Path) -> None:
    publish_shop(tmp_path, version="1")
    first = publish_canary(tmp_path)
    publish_shop(tmp_path, version="3")
    again = publish_canary(tmp_path)

    assert (again.is_new, again.path) == (True, first.path)
    assert go(tmp_path).snapshot_id == first.snapshot_id


def test_what_the_gate_saw_goes_along(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    canary, promoted = publish_canary(tmp_path), go(tmp_path)

    assert promoted.gate == canary.gate
    assert promoted.gate.evaluated["the_judge_is_content"] == 5


def test_a_damaged_channel_is_not_promoted(tmp_path: Path) -> None:
    main, canary = publish_shop(tmp_path), publish_canary(tmp_path)
    victim = canary.path / "edge_target.arr"
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes()[:-1] + b"\x7f")

    with pytest.raises(SnapshotDamaged, match="edge_target"):
        go(tmp_path)
    assert served_id(tmp_path) == main.snapshot_id


def test_nothing_published_to_a_channel_is_said_with_the_remedy(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    with pytest.raises(SnapshotMissing, match="pkgraph build --channel canary"):
        go(tmp_path)


def test_old_snapshots_of_the_channel_may_go_and_the_promoted_one_stays(tmp_path: Path) -> None:
    publish_canary(tmp_path)
    promoted = go(tmp_path)
    for version in "3456":
        publish_canary(tmp_path, version)

    assert served_id(tmp_path) == promoted.snapshot_id


@pytest.mark.parametrize("name", ["", "Canary", "../main", "a/b", "x" * 41, "1st", ".", "a\n"])
def test_a_name_that_is_no_name_leads_out_of_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no name of a channel"):
        channel_root(tmp_path, name)
