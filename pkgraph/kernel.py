"""The compiled kernel, where it was built; everything it does, NumPy does as well, to the bit."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

VERSION = 8
"""What this code expects; a kernel built from other sources is left alone until it is built again."""

SWITCH = "PKGRAPH_NO_KERNEL"


def kernel() -> ModuleType | None:
    """The compiled kernel; None where it was not built, is of other sources, or PKGRAPH_NO_KERNEL is set."""
    found = None if os.environ.get(SWITCH) else _built()
    return found if found is not None and found.VERSION == VERSION else None


def why_none() -> str:
    """Why `kernel` gives none; empty where it gives one."""
    if os.environ.get(SWITCH):
        return f"{SWITCH} is set"
    found = _built()
    if found is None:
        return "it was not built"
    return "" if found.VERSION == VERSION else "it was built from other sources"


def _built() -> ModuleType | None:
    try:
        return import_module("pkgraph._kernel")
    except ImportError:
        return None
