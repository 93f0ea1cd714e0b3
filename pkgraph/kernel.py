"""The compiled kernel, where it was built; everything it does, NumPy does as well, to the bit."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

VERSION = 3
"""What this code expects; a kernel built from other sources is left alone until it is built again."""

SWITCH = "PKGRAPH_NO_KERNEL"


def kernel() -> ModuleType | None:
    """The compiled kernel; None where it was not built, is of other sources, or PKGRAPH_NO_KERNEL is set."""
    if os.environ.get(SWITCH):
        return None
    try:
        found = import_module("pkgraph._kernel")
    except ImportError:
        return None
    return found if found.VERSION == VERSION else None
