"""Publishing killed at, or refused by, single system calls of the real system.

By default some hundred calls are hit, every kind at its first and its last; `slow` hits every call that
changes something, and some of those that read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from pkgraph.snapshot import snapshots, verify
from pkgraph.snapshot.commits import Record, commit_path, to_json
from pkgraph.snapshot.manifest import sealed
from tests.faults.changes import BROKEN, CLEANING, FIRST, GOING_BACK, PROMOTING, Change, served
from tests.faults.tracing import (
    ERRORS,
    FAILED,
    KILLED,
    Point,
    calls_of,
    is_reading,
    killed_at,
    points,
    refused_at,
    spread,
)
from tests.figures import Figure
from tests.published import graph_of, publish_shop

PUBLISHING = import_module("pkgraph.snapshot.publishing")

CHANGING = (
    "openat",
    "write",
    "fsync",
    "mkdir",
    "rename",
    "link",
    "unlink",
    "unlinkat",
    "rmdir",
    "close",
    "flock",
    "ftruncate",
)
"""Calls by which a publisher changes the disk, or decides to."""

N_KILLS, N_REFUSALS = 20, 1
"""By default: kills a change, and refusals an error, besides the first and the last call of each kind."""

N_READING = 100
"""When slow: of the calls that change nothing."""


class Stage:
    """A change that can be made again and again."""

    def __init__(self, change: Change, folder: Path) -> None:
        self.change, self.compiled, self.folder = change, graph_of(), folder
        self.template = folder / "template"
        self.template.mkdir()
        change.prepare(self.template, self.compiled)
        self.before, self.n = served(self.template), 0
        root = self.fresh()
        kinds = {*CHANGING, *(name for names in ERRORS.values() for name in names)}
        self.calls = calls_of(self.work(root), kinds, folder / "calls")
        self.after = served(root)

    def fresh(self) -> Path:
        self.n += 1
        return Path(shutil.copytree(self.template, self.folder / str(self.n)))

    def work(self, root: Path) -> Callable[[], object]:
        return partial(self.change.work, root, self.compiled)

    def thorough(self, every: list[Point]) -> list[Point]:
        """Every call that changes something, and some of those that read."""
        reading = [point for point in every if is_reading(self.calls, point)]
        return sorted({*every} - {*reading} | {*spread(reading, N_READING)})

    def holds(self, root: Path, code: int, what: str) -> None:
        """Old or new; new where it was acknowledged; the next publisher needs no help, leaves no rubbish."""
        found = served(root)
        assert found in {self.before, self.after}, what
        assert code != 0 or found == self.after, what
        done = publish_shop(root, self.compiled, version="next")
        assert served(root) == verify(done.path).snapshot_id, what
        assert not list(root.glob("*/.tmp-*")), what
        present = {record.path for record in snapshots(root) if record.is_present}
        assert set((root / "snapshots").iterdir()) == present, what
        assert len(present) <= 3, what
        shutil.rmtree(root)


@pytest.fixture(params=(FIRST, CLEANING, GOING_BACK, PROMOTING), ids=lambda one: one.name)
def stage(request: pytest.FixtureRequest, memory_path: Path) -> Stage:
    return Stage(request.param, memory_path)


THOROUGH = pytest.param(None, marks=[pytest.mark.slow, pytest.mark.timeout(3000)], id="every")


@pytest.mark.parametrize("n", [pytest.param(N_KILLS, id="some"), THOROUGH])
def test_a_publisher_killed_at_a_system_call_leaves_the_old_graph_or_the_new_one(
    n: int | None, stage: Stage, figure: Figure
) -> None:
    every = points(stage.calls, CHANGING)
    assert min(len(stage.calls["fsync"]), len(stage.calls["link"])) > 0
    chosen = spread(every, n) if n else stage.thorough(every)
    codes = []
    for point in chosen:
        root = stage.fresh()
        codes.append(killed_at(stage.work(root), point))
        stage.holds(root, codes[-1], f"killed at {point}")
    figure(f"{stage.change.name}: killed at {codes.count(KILLED)} of {len(every)} calls, 0 violations")
    assert set(codes) <= {KILLED, 0}  # 0: it was done before it came to its last call of that kind
    assert codes.count(KILLED) >= 0.9 * len(codes)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_publisher_whose_disk_memory_or_descriptors_give_out_says_so_and_harms_nothing(
    stage: Stage, figure: Figure
) -> None:
    refuse(stage, None, figure)


def test_a_publisher_that_is_refused_something_says_so_and_harms_nothing(
    memory_path: Path, figure: Figure
) -> None:
    refuse(Stage(CLEANING, memory_path), N_REFUSALS, figure)


def refuse(stage: Stage, n: int | None, figure: Figure) -> None:
    """Refuse calls, one a publisher; a failed wait is a failed publish: the next may succeed for nothing."""
    codes = []
    for error, names in ERRORS.items():
        every = points(stage.calls, names, error)
        for point in spread(every, n) if n else stage.thorough(every):
            root = stage.fresh()
            code = refused_at(stage.work(root), point, error)
            assert code in ({FAILED} if point[0] == "fsync" else {0, FAILED}), f"{error} at {point}: {code}"
            stage.holds(root, code, f"{error} at {point}")
            codes.append(code)
    figure(
        f"{stage.change.name}: {', '.join(ERRORS)} at {len(codes)} calls, 0 violations; "
        f"{codes.count(FAILED)} failed aloud, {codes.count(0)} published all the same"
    )


def _commit_in_place(root: Path, record: Record, _: object) -> None:
    """As if a commit were written under its own name, and no reader could come before it is whole."""
    with commit_path(root, record.sequence).open("wb", buffering=0) as file:
        file.write(sealed(to_json(record)))


def test_a_commit_that_is_written_in_place_does_not_stand_a_kill(
    monkeypatch: pytest.MonkeyPatch, memory_path: Path, figure: Figure
) -> None:
    """The control: the same search finds the half commit of a plainer protocol."""
    monkeypatch.setattr(PUBLISHING, "_commit", _commit_in_place)
    stage = Stage(FIRST, memory_path)
    left = []
    for point in points(stage.calls, ("write",))[-3:]:
        root = stage.fresh()
        assert killed_at(stage.work(root), point) == KILLED
        left.append(served(root))
    figure(f"control, a commit written in place: {left.count(BROKEN)} of {len(left)} kills leave {BROKEN}")
    assert BROKEN in left


def test_a_publisher_that_tries_a_failed_wait_again_calls_good_what_may_be_lost(
    monkeypatch: pytest.MonkeyPatch, memory_path: Path
) -> None:
    """The control: what is asserted of a failed wait is not asserted of anything that ends well."""
    real = PUBLISHING.sync_folder

    def again(folder: Path) -> None:
        try:
            real(folder)
        except OSError:
            real(folder)

    monkeypatch.setattr(PUBLISHING, "sync_folder", again)
    stage = Stage(FIRST, memory_path)
    last = points(stage.calls, ("fsync",))[-1]
    assert refused_at(stage.work(stage.fresh()), last, "EIO") == 0
