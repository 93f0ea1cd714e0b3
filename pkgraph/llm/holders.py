"""Who holds a lease: a process of a machine, and whether it is known to be gone."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from uuid import uuid4


def _here() -> str:
    """This machine, and within it the namespace that its process numbers belong to."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{platform.node()}|{namespace}"


def new_holder() -> str:
    """A name for one run of this process."""
    return f"{_here()}|{os.getpid()}|{uuid4().hex}"


def is_gone(holder: str) -> bool:
    """Whether the holder is a process of this machine that is no more; of other machines nothing is known.

    A number that another process has by now looks alive; then the lease runs out by itself.
    """
    place, _, rest = holder.rpartition("|")[0].rpartition("|")
    if place != _here() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
