"""Work in a child process, whose death is no fault of the test.

Graphs are compiled before the fork: the thread pool of Polars does not survive one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

KILLED, FAILED = -signal.SIGKILL, 3
"""How a child ended that was killed, and one whose work raised an error."""


def start(work: Callable[[], object], seconds: int = 30) -> int:
    """Run in a child that shares nothing but the disk; its process id."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)  # a child that hangs dies, and the test says so
        try:
            work()
        except BaseException:  # noqa: BLE001 - the child must not return into pytest
            os._exit(FAILED)
        os._exit(0)
    return child


def ended(child: int) -> int:
    """The exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
