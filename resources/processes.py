"""Which processes of this machine live, told apart from others that got the number of one that died."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

# A clock that was set while a run went on must not make it look younger than its first event.
_SLACK_S = 60.0
_N_MARKS = 2


def this_process() -> str:
    """A name that no other process has: "4711@83920@shop-1", its number, its start and the machine."""
    pid = os.getpid()
    return f"{pid}@{_started_ticks(pid) or ''}@{platform.node()}"


def is_of_this_machine(name: str) -> bool:
    return name.count("@") < _N_MARKS or name.split("@", _N_MARKS)[_N_MARKS] == platform.node()


def lives(name: str) -> bool:
    """Whether the process of that name, or of that number alone, is at work on this machine."""
    number, ticks = [*name.split("@", _N_MARKS), ""][:2]
    if not number.isdigit() or not is_of_this_machine(name) or not is_alive(int(number)):
        return False
    return not ticks or str(_started_ticks(int(number))) == ticks


def is_alive(pid: int, *, since: float | None = None) -> bool:
    """Whether a process of that number is at work.

    Args:
        pid: Its number.
        since: Unix seconds. One that started later is another one, that got the number.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    if _status(pid)[:1] == ["Z"]:  # dead, and its parent has not asked yet how it ended
        return False
    ticks = _started_ticks(pid)
    if since is None or ticks is None:
        return True
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s <= since + _SLACK_S


def _started_ticks(pid: int) -> int | None:
    """Clock ticks from boot to the start of the process; None where the system does not tell."""
    fields = _status(pid)
    return int(fields[19]) if len(fields) > 19 else None  # noqa: PLR2004 - field 22 of proc(5), less two


def _status(pid: int) -> list[str]:
    """Fields of /proc/PID/stat behind the command, which may hold spaces and brackets itself."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
