"""Publishing killed at, or refused by, single system calls of the real system, by strace.

The publisher is a child of this process that waits until strace has attached: no interpreter is started.
By default every kind of change is hit at its first, a middle and its last call; `slow` hits every call.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from pkgraph.errors import SnapshotMissing
from pkgraph.snapshot import CompiledGraph, open_published, rollback, verify
from tests.published import CREATED_AT, graph_of, publish_shop

CHANGES = ("openat", "write", "fsync", "mkdir", "rename", "link", "unlink", "unlinkat", "rmdir", "flock")
"""Calls by which a publisher changes the disk, or decides to."""

ERRORS = {
    "ENOSPC": ("openat", "write", "mkdir", "link", "rename", "fsync"),
    "EIO": ("write", "fsync", "read", "rename", "link"),
    "EMFILE": ("openat",),
    "EROFS": ("mkdir", "rename", "link", "unlink"),
}
KILLED, FAILED = -signal.SIGKILL, 3


def child_of(work: Callable[[], object]) -> tuple[int, int]:
    """A child that works as soon as a byte comes; its process id and where to send the byte."""
    gate, opener = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(opener)
        try:
            select.select([gate], [], [])  # not by a read: reads are counted, and refused
            work()
        except BaseException:  # noqa: BLE001 - the child must not return into pytest
            os._exit(FAILED)
        os._exit(0)
    os.close(gate)
    return child, opener


def traced(work: Callable[[], object], *options: str) -> int:
    """Do it under strace; the exit code, or minus the signal that killed it."""
    child, opener = child_of(work)
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-p", str(child), *options], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < end, "strace did not attach"
        time.sleep(0.002)
    os.write(opener, b"x")
    os.close(opener)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    tracer.wait(20)
    return code


def first(root: Path, compiled: CompiledGraph) -> Callable[[], object]:
    return partial(publish_shop, root, compiled, version="new")


def cleaning(root: Path, compiled: CompiledGraph) -> Callable[[], object]:
    for version in "123":
        publish_shop(root, compiled, version=version)
    (root / "snapshots" / ".tmp-9").mkdir()
    (root / "snapshots" / ".tmp-9" / "x.arr").write_bytes(b"x")
    return partial(publish_shop, root, compiled, version="new")


def going_back(root: Path, compiled: CompiledGraph) -> Callable[[], object]:
    publish_shop(root, compiled, version="1")
    publish_shop(root, compiled, version="2")
    return partial(rollback, root, 1, created_at=CREATED_AT)


SCENARIOS = (first, cleaning, going_back)


def served(root: Path) -> str | None:
    try:
        return open_published(root, verify=True).snapshot_id
    except SnapshotMissing:
        return None


class Stage:
    """A scenario that can be set up again and again."""

    def __init__(self, scenario: Callable[[Path, CompiledGraph], Callable[[], object]], folder: Path) -> None:
        self.compiled, self.folder, self.scenario = graph_of(), folder, scenario
        self.template = folder / "template"
        scenario(self.template, self.compiled)
        self.before = served(self.template)
        self.n = 0
        root = self.fresh()
        log = folder / "calls"
        assert traced(self.work(root), "-o", str(log), "-e", f"trace={','.join({*CHANGES, 'read'})}") == 0
        self.after = served(root)
        self.calls = Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", log.read_text(), flags=re.MULTILINE))

    def fresh(self) -> Path:
        self.n += 1
        root = self.folder / str(self.n)
        if self.template.exists():
            shutil.copytree(self.template, root)
        return root

    def work(self, root: Path) -> Callable[[], object]:
        if self.scenario is going_back:
            return partial(rollback, root, 1, created_at=CREATED_AT)
        return partial(publish_shop, root, self.compiled, version="new")

    def holds(self, root: Path, code: int) -> None:
        """Old or new; new where it was acknowledged; the next publisher needs no help."""
        found = served(root)
        assert found in {self.before, self.after}
        assert code != 0 or found == self.after
        done = publish_shop(root, self.compiled, version="next")
        assert served(root) == verify(done.path).snapshot_id
        assert not list(root.rglob(".tmp-*"))
        shutil.rmtree(root)


def places(n: int, *, all_of_them: bool) -> list[int]:
    return list(range(1, n + 1)) if all_of_them else sorted({1, n // 2 + 1, n})


def points(stage: Stage, names: tuple[str, ...], *, all_of_them: bool) -> Iterator[tuple[str, int]]:
    for name in names:
        if stage.calls[name]:
            yield from ((name, place) for place in places(stage.calls[name], all_of_them=all_of_them))


def kill_everywhere(stage: Stage, *, all_of_them: bool) -> int:
    n = 0
    assert min(stage.calls["fsync"], stage.calls["link"]) > 0
    for name, place in points(stage, CHANGES, all_of_them=all_of_them):
        root = stage.fresh()
        code = traced(
            stage.work(root), "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={place}"
        )
        assert code == KILLED
        stage.holds(root, code)
        n += 1
    return n


def refuse_everywhere(stage: Stage, *, all_of_them: bool) -> int:
    n = 0
    for error, names in ERRORS.items():
        for name, place in points(stage, names, all_of_them=all_of_them):
            root = stage.fresh()
            code = traced(
                stage.work(root), "-e", f"trace={name}", "-e", f"inject={name}:error={error}:when={place}"
            )
            assert code in {0, FAILED}, f"{error} at {name} {place}: {code}"
            stage.holds(root, code)
            n += 1
    return n


@pytest.fixture(params=SCENARIOS, ids=lambda one: one.__name__)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    return Stage(request.param, tmp_path)


def test_a_publisher_killed_at_a_system_call_leaves_the_old_graph_or_the_new_one(stage: Stage) -> None:
    print(f"killed at {kill_everywhere(stage, all_of_them=False)} of {stage.calls.total()} calls")


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_killed_at_any_system_call_it_does_too(stage: Stage) -> None:
    print(f"killed at {kill_everywhere(stage, all_of_them=True)} calls: {dict(stage.calls)}")


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_publisher_whose_disk_or_descriptors_give_out_fails_and_harms_nothing(stage: Stage) -> None:
    print(f"refused at {refuse_everywhere(stage, all_of_them=True)} calls")


def test_a_wait_that_fails_once_is_a_publish_that_failed(tmp_path: Path) -> None:
    """After an fsync that failed, the data may be lost although the next fsync succeeds."""
    stage = Stage(first, tmp_path)
    for place in places(stage.calls["fsync"], all_of_them=False):
        root = stage.fresh()
        options = ("-e", "trace=fsync", "-e", f"inject=fsync:error=EIO:when={place}")
        code = traced(stage.work(root), *options)
        assert code == FAILED
        stage.holds(root, code)
