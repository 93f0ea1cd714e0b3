"""Publishing, falling back, going back and cleaning up."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import pytest

from pkgraph.errors import GateRefused, InputError, PublishConflict, SnapshotDamaged
from pkgraph.model import GateReport
from pkgraph.snapshot import Snapshot, current, open_published, publish, rollback, snapshots
from pkgraph.snapshot.commits import commit_path
from tests.published import CREATED_AT, content, graph_of, publish_shop
from tests.shop import STATEMENTS


def names(root: Path) -> set[str]:
    return {path.name for folder in ("snapshots", "commits") for path in (root / folder).iterdir()}


def overwrite(path: Path, text: bytes) -> None:
    path.unlink()
    path.write_bytes(text)


def test_the_newest_commit_is_served(tmp_path: Path) -> None:
    first, second = publish_shop(tmp_path), publish_shop(tmp_path, version="2")
    served = open_published(tmp_path)
    assert (first.sequence, second.sequence) == (1, 2)
    assert served.snapshot_id == second.snapshot_id
    assert served.record is not None
    assert (served.record.parent, served.record.created_at, served.skipped) == (1, CREATED_AT, ())


def test_a_commit_keeps_what_the_gate_saw(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    [record] = snapshots(tmp_path)
    assert record.gate.evaluated["the_judge_is_content"] == 6
    assert record.gate.evaluated["no_product_recommends_itself"] == 6
    assert record.gate.is_open


def test_the_same_graph_again_commits_nothing(tmp_path: Path) -> None:
    first, again = publish_shop(tmp_path), publish_shop(tmp_path)
    assert (again.is_new, again.sequence, again.path) == (False, first.sequence, first.path)
    assert len(snapshots(tmp_path)) == 1


def test_the_same_graph_from_other_inputs_is_another_snapshot(tmp_path: Path) -> None:
    assert publish_shop(tmp_path).snapshot_id != publish_shop(tmp_path, version="2").snapshot_id


def test_the_judge_looks_at_the_written_bytes(tmp_path: Path) -> None:
    seen: list[Snapshot] = []

    def judge(candidate: Snapshot) -> GateReport:
        seen.append(candidate)
        return content(candidate)

    compiled = graph_of()
    publish(tmp_path, compiled, inputs={}, judge=judge, created_at=CREATED_AT)
    assert seen[0].path == tmp_path / "snapshots" / ".tmp-1"
    assert seen[0].sections.edge_target is not compiled.sections.edge_target


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (GateReport({"drift": 5}, {"drift": 2}), r"drift \(2\)"),
        (GateReport({"drift": 0}), "drift looked at nothing"),
        (GateReport(), "evaluated nothing"),
    ],
)
def test_a_judge_that_refuses_or_looked_at_nothing_leaves_everything_as_it_was(
    report: GateReport, reason: str, tmp_path: Path
) -> None:
    publish_shop(tmp_path)
    before = names(tmp_path)
    with pytest.raises(GateRefused, match=reason):
        publish(tmp_path, graph_of(), inputs={}, judge=lambda _: report, created_at=CREATED_AT)
    assert names(tmp_path) == before


def test_a_graph_without_edges_is_refused_with_the_rule_it_breaks(tmp_path: Path) -> None:
    with pytest.raises(GateRefused, match="a_graph_has_edges") as refusal:
        publish_shop(tmp_path, graph_of([]))
    assert refusal.value.broken == {"a_graph_has_edges": 1}
    assert names(tmp_path) == set()


def test_a_judge_that_fails_publishes_nothing(tmp_path: Path) -> None:
    def failing(_: Snapshot) -> GateReport:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        publish(tmp_path, graph_of(), inputs={}, judge=failing, created_at=CREATED_AT)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("when", ["judged", "renamed"])
@pytest.mark.parametrize("what", ["edge_probability.arr", "MANIFEST.json"])
def test_a_candidate_that_is_swapped_after_judging_is_not_committed(
    what: str, when: str, tmp_path: Path
) -> None:
    first = publish_shop(tmp_path)
    publish_shop(tmp_path / "other", graph_of(STATEMENTS[:3]))
    [other] = (tmp_path / "other" / "snapshots").iterdir()

    def swap(name: str) -> None:
        if name == when:
            folder = {"judged": ".tmp-2", "renamed": "2-*"}[when]
            [file] = (tmp_path / "snapshots").glob(f"{folder}/{what}")
            overwrite(file, (other / what).read_bytes())

    with pytest.raises(SnapshotDamaged):
        publish_shop(tmp_path, version="2", moment=swap)
    assert [record.snapshot_id for record in snapshots(tmp_path)] == [first.snapshot_id]
    assert publish_shop(tmp_path, version="2").is_new


def test_a_damaged_newest_snapshot_falls_back_to_the_one_before_and_says_so(tmp_path: Path) -> None:
    first, second = publish_shop(tmp_path), publish_shop(tmp_path, version="2")
    overwrite(second.path / "row_weight.arr", b"")
    served = open_published(tmp_path)
    assert served.snapshot_id == first.snapshot_id
    assert len(served.skipped) == 1
    assert "row_weight.arr" in served.skipped[0]


def test_a_flipped_bit_in_the_newest_snapshot_falls_back_when_bytes_are_verified(tmp_path: Path) -> None:
    first, second = publish_shop(tmp_path), publish_shop(tmp_path, version="2")
    raw = bytearray((second.path / "row_weight.arr").read_bytes())
    raw[-1] ^= 1
    overwrite(second.path / "row_weight.arr", bytes(raw))
    assert open_published(tmp_path).snapshot_id == second.snapshot_id
    assert open_published(tmp_path, verify=True).snapshot_id == first.snapshot_id


@pytest.mark.parametrize("text", [b"", b"{}", b"garbage"])
def test_a_damaged_newest_commit_falls_back_and_its_number_is_not_used_again(
    text: bytes, tmp_path: Path
) -> None:
    first, second = publish_shop(tmp_path), publish_shop(tmp_path, version="2")
    overwrite(commit_path(tmp_path, 2), text)
    assert open_published(tmp_path).snapshot_id == first.snapshot_id
    assert publish_shop(tmp_path, version="3").sequence == 3
    assert second.path.is_dir()


def test_a_commit_that_cannot_be_read_for_a_moment_costs_no_snapshot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    retention, failed = import_module("pkgraph.snapshot.retention"), list[int]()
    real = retention.read_record

    def failing_once(root: Path, sequence: int) -> object:
        if not failed:
            failed.append(sequence)
            raise SnapshotDamaged("Too many open files.")
        return real(root, sequence)

    first = publish_shop(tmp_path)
    monkeypatch.setattr(retention, "read_record", failing_once)
    with pytest.raises(GateRefused):
        publish_shop(tmp_path, graph_of([]))
    assert failed == [1]
    assert open_published(tmp_path).snapshot_id == first.snapshot_id


def test_what_an_unreadable_commit_may_name_goes_only_when_enough_newer_ones_are_there(
    tmp_path: Path,
) -> None:
    first = publish_shop(tmp_path)
    for version in "23":
        publish_shop(tmp_path, version=version)
    rollback(tmp_path, 1, created_at=CREATED_AT)
    overwrite(commit_path(tmp_path, 4), b"")
    for version in "56":
        publish_shop(tmp_path, version=version)
    assert first.path.is_dir()
    last = publish_shop(tmp_path, version="7")
    assert not first.path.exists()
    assert len(list((tmp_path / "snapshots").iterdir())) == 3
    assert last.path.is_dir()


def test_a_commit_of_another_number_is_not_believed(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    commit_path(tmp_path, 9).write_bytes(commit_path(tmp_path, 1).read_bytes())
    served = open_published(tmp_path)
    assert served.record is not None
    assert served.record.sequence == 1


def test_a_manifest_that_was_replaced_after_the_commit_is_not_believed(tmp_path: Path) -> None:
    first, second = publish_shop(tmp_path), publish_shop(tmp_path, version="2")
    overwrite(second.path / "MANIFEST.json", (first.path / "MANIFEST.json").read_bytes())
    assert open_published(tmp_path).snapshot_id == first.snapshot_id


def test_publishing_the_same_graph_again_heals_a_damaged_copy(tmp_path: Path) -> None:
    first = publish_shop(tmp_path)
    raw = bytearray((first.path / "row_weight.arr").read_bytes())
    raw[-1] ^= 1
    overwrite(first.path / "row_weight.arr", bytes(raw))
    healed = publish_shop(tmp_path)
    assert (healed.is_new, healed.sequence) == (True, 2)
    assert open_published(tmp_path, verify=True).snapshot_id == first.snapshot_id


def test_where_nothing_can_be_read_the_error_names_what_was_tried_first(tmp_path: Path) -> None:
    overwrite(publish_shop(tmp_path).path / "row_weight.arr", b"")
    with pytest.raises(SnapshotDamaged, match=r"row_weight\.arr"):
        open_published(tmp_path)
    assert current(tmp_path) is None
    assert publish_shop(tmp_path).sequence == 2


@pytest.mark.parametrize("by", ["sequence", "text", "id", "beginning of the id"])
def test_going_back_is_a_new_commit_that_names_the_old_snapshot(by: str, tmp_path: Path) -> None:
    first, second = publish_shop(tmp_path), publish_shop(tmp_path, version="2")
    targets: dict[str, int | str] = {
        "sequence": 1,
        "text": "1",
        "id": first.snapshot_id,
        "beginning of the id": first.snapshot_id[:8],
    }
    record = rollback(tmp_path, targets[by], created_at=CREATED_AT)
    assert (record.sequence, record.action, record.parent) == (3, "rollback", 2)
    served = open_published(tmp_path)
    assert served.snapshot_id == first.snapshot_id
    assert second.path.is_dir()
    assert [r.action for r in snapshots(tmp_path)] == ["rollback", "publish", "publish"]


@pytest.mark.parametrize("target", [7, 0, -1, "01", "9" * 5_000, "१", ""])
def test_going_back_to_what_is_not_there_changes_nothing_and_names_what_is(
    target: int | str, tmp_path: Path
) -> None:
    first = publish_shop(tmp_path)
    with pytest.raises(InputError, match=first.snapshot_id):
        rollback(tmp_path, target, created_at=CREATED_AT)
    assert len(snapshots(tmp_path)) == 1


def test_going_back_to_a_damaged_snapshot_is_refused(tmp_path: Path) -> None:
    first = publish_shop(tmp_path)
    publish_shop(tmp_path, version="2")
    overwrite(first.path / "row_weight.arr", b"")
    with pytest.raises(SnapshotDamaged, match=r"row_weight\.arr"):
        rollback(tmp_path, 1, created_at=CREATED_AT)
    assert len(snapshots(tmp_path)) == 2


def test_after_going_back_the_newer_graph_can_be_published_again_from_the_copy_that_is_there(
    tmp_path: Path,
) -> None:
    publish_shop(tmp_path)
    second = publish_shop(tmp_path, version="2")
    rollback(tmp_path, 1, created_at=CREATED_AT)
    again = publish_shop(tmp_path, version="2")
    assert (again.is_new, again.sequence, again.path) == (True, 4, second.path)


def test_three_snapshots_stay_and_their_readers_are_not_disturbed_when_older_ones_go(tmp_path: Path) -> None:
    first = publish_shop(tmp_path)
    pinned = Snapshot.open(first.path)
    before = pinned.sections.row_weight.tolist()
    published = [publish_shop(tmp_path, version=str(n), keep=1) for n in range(2, 6)]
    assert {p.name for p in (tmp_path / "snapshots").iterdir()} == {p.path.name for p in published[-3:]}
    assert pinned.sections.row_weight.tolist() == before
    assert [record.is_present for record in snapshots(tmp_path)] == [True, True, True, False, False]


def test_the_served_snapshot_stays_although_it_is_the_oldest(tmp_path: Path) -> None:
    first = publish_shop(tmp_path)
    publish_shop(tmp_path, version="2")
    publish_shop(tmp_path, version="3")
    rollback(tmp_path, 1, created_at=CREATED_AT)
    publish_shop(tmp_path, version="4")
    assert first.path.is_dir()
    assert open_published(tmp_path).snapshot_id != first.snapshot_id


def test_left_overs_of_a_dead_publisher_are_removed_by_the_next(tmp_path: Path) -> None:
    first = publish_shop(tmp_path)
    (tmp_path / "snapshots" / ".tmp-7").mkdir()
    (tmp_path / "snapshots" / "7-0123456789ab").mkdir()
    (tmp_path / "commits" / ".tmp-7").write_bytes(b"{")
    second = publish_shop(tmp_path, version="2")
    assert names(tmp_path) == {
        first.path.name,
        second.path.name,
        commit_path(tmp_path, 1).name,
        commit_path(tmp_path, 2).name,
    }


def test_while_one_publishes_another_is_turned_away(tmp_path: Path) -> None:
    refused: list[Exception] = []

    def try_too(name: str) -> None:
        if name == "judged":
            with pytest.raises(PublishConflict, match="at work") as conflict:
                publish_shop(tmp_path, version="2")
            refused.append(conflict.value)

    assert publish_shop(tmp_path, moment=try_too).sequence == 1
    assert len(refused) == 1


def test_where_the_lock_does_not_hold_the_exclusive_commit_still_does(tmp_path: Path) -> None:
    """On a share without locks, another publisher takes the number between our rename and our commit."""
    other = publish_shop(tmp_path / "other").path
    graph_root = tmp_path / "graph"

    def overtake(name: str) -> None:
        if name == "commit_written":
            other.rename(graph_root / "snapshots" / other.name)
            os.link(commit_path(tmp_path / "other", 1), commit_path(graph_root, 1))

    with pytest.raises(PublishConflict, match="number 1"):
        publish_shop(graph_root, version="2", moment=overtake)
    assert open_published(graph_root, verify=True).path.name == other.name
    after = publish_shop(graph_root, version="3")
    assert {p.name for p in (graph_root / "snapshots").iterdir()} == {other.name, after.path.name}


def test_a_graph_with_an_unstable_number_is_refused_on_the_written_bytes(tmp_path: Path) -> None:
    told = [*STATEMENTS[:-1], (*STATEMENTS[-1][:4], float("nan"), "NaN.")]
    with pytest.raises(GateRefused, match="every_score_is_finite_and_a_share"):
        publish_shop(tmp_path, graph_of(told))
