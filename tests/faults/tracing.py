"""Killing, or refusing a call to, a process at single system calls of the real system, by strace.

The process is a child of this one that waits until strace has attached: no interpreter is started.
"""

from __future__ import annotations

import gc
import os
import re
import select
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pkgraph.errors import PkgraphError

KILLED, FAILED, LOST = -signal.SIGKILL, 3, 4
"""How a child ended: killed; with an error that callers can expect; with any other."""

SECONDS = 60
EXPECTED = (OSError, PkgraphError, MemoryError)

ROOM = ("openat", "write", "mkdir", "link", "rename", "fsync")
NAMES = ("openat", "mkdir", "rename", "link", "unlink", "unlinkat", "rmdir")
ERRORS: Mapping[str, Sequence[str]] = {
    "ENOSPC": ROOM,
    "EDQUOT": ("write",),  # like ENOSPC for all that we do
    "EROFS": NAMES,
    "EIO": ("openat", "read", "write", "close", "fsync", "rename", "link", "unlink"),
    "EMFILE": ("openat",),
    "ENOMEM": ("mmap",),
}
"""Errors, and the calls that return them."""

NEW = "O_CREAT"
_ONLY_IF_NEW = ("ENOSPC", "EDQUOT", "EROFS")

Point = tuple[str, int]
"""A system call, and which one of its kind."""


def _child_of(work: Callable[[], object]) -> tuple[int, int]:
    """A child that works as soon as a byte comes; its process id and where to send the byte."""
    gate, opener = os.pipe()
    child = os.fork()
    if child == 0:
        code = LOST
        try:
            os.close(opener)
            gc.disable()  # it would close files of the parent's, now here, now there
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(SECONDS)  # a child that hangs dies, and the test says so
            select.select([gate], [], [])  # not by a read: reads are counted, and refused
            work()
            code = 0
        except EXPECTED:
            code = FAILED
        finally:  # the child must not return into pytest
            os._exit(code)
    os.close(gate)
    return child, opener


def traced(work: Callable[[], object], *options: str) -> int:
    """Do it in a child under strace; its exit code, or minus the signal that killed it."""
    child, opener = _child_of(work)
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-p", str(child), *options], stderr=subprocess.DEVNULL)
    end = time.monotonic() + SECONDS
    while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < end, "strace did not attach"
        time.sleep(0.002)
    os.write(opener, b"x")
    os.close(opener)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    tracer.wait(SECONDS)
    return code


def calls_of(work: Callable[[], object], names: set[str], log: Path) -> dict[str, list[str]]:
    """The text of every call of these kinds, in order; of a closed file that is new, that it is."""
    assert traced(work, "-o", str(log), "-e", f"trace={','.join(sorted(names))}") == 0
    found, written = defaultdict(list), set[str]()
    for name, text in re.findall(r"^(?:\d+ +)?(\w+)\((.*)", log.read_text(), flags=re.MULTILINE):
        descriptor = text.partition(")")[0] if name == "close" else text.rpartition("= ")[2]
        if name == "openat" and NEW in text:
            written.add(descriptor)
        is_of_new = name == "close" and descriptor in written
        if is_of_new:
            written.remove(descriptor)
        found[name].append(f"{text} {NEW}" if is_of_new else text)
    return dict(found)


def killed_at(work: Callable[[], object], point: Point) -> int:
    name, place = point
    return traced(work, "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={place}")


def refused_at(work: Callable[[], object], point: Point, error: str) -> int:
    name, place = point
    return traced(work, "-e", f"trace={name}", "-e", f"inject={name}:error={error}:when={place}")


def points(calls: Mapping[str, Sequence[str]], names: Sequence[str], error: str = "") -> list[Point]:
    """Every call of these kinds; those alone that may return the error."""
    return [
        (name, place)
        for name in names
        for place, arguments in enumerate(calls.get(name, ()), 1)
        if _is_apt(name, arguments, error)
    ]


def is_reading(calls: Mapping[str, Sequence[str]], point: Point) -> bool:
    """Whether a call changes nothing; a publisher makes thousands of them that are all alike."""
    name, place = point
    return name in {"read", "mmap"} or (name in {"openat", "close"} and NEW not in calls[name][place - 1])


def _is_apt(name: str, arguments: str, error: str) -> bool:
    """Opening what is there needs no room; what allocators do without memory is not ours."""
    if name == "openat" and error in _ONLY_IF_NEW:
        return NEW in arguments
    return name != "mmap" or "MAP_ANONYMOUS" not in arguments


def spread(found: Sequence[Point], n: int) -> list[Point]:
    """About so many of the points: the first and the last of each kind, and others evenly between."""
    by_kind = defaultdict(list)
    for point in found:
        by_kind[point[0]].append(point)
    ends = {kind[end] for kind in by_kind.values() for end in (0, -1)}
    step = max(1, len(found) // max(1, n - len(ends)))
    return sorted(ends | set(found[step // 2 :: step]))
