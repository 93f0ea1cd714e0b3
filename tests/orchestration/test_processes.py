"""A process is told apart from another that got its number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from resources.processes import is_alive, lives, this_process

NOBODY = 2**22 + 1


def test_this_process_lives_by_its_name_and_by_its_number() -> None:
    assert lives(this_process())
    assert lives(str(os.getpid()))


@pytest.mark.parametrize("name", ["", "nobody", f"{NOBODY}", f"{NOBODY}@1@"])
def test_what_names_no_process_does_not_live(name: str) -> None:
    assert not lives(name)


def test_another_process_that_got_the_number_is_not_taken_for_the_dead_one() -> None:
    number, started, machine = this_process().split("@")

    assert not lives(f"{number}@{int(started) - 1}@{machine}")
    assert not is_alive(os.getpid(), since=time.time() - 365 * 86_400)
    assert is_alive(os.getpid(), since=time.time())


def test_a_process_of_another_machine_is_not_looked_for_here() -> None:
    number, started, _ = this_process().split("@")

    assert not lives(f"{number}@{started}@elsewhere")


def test_a_killed_process_that_nobody_waited_for_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    assert is_alive(child.pid)
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert not is_alive(child.pid)
    child.wait()
