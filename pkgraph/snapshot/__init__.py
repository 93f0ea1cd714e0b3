"""Immutable graphs on disk: publishing them, and opening what was published.

Opening needs the standard library alone, reading the arrays and publishing need numpy. Compiling needs Polars
and stands apart, in `pkgraph.snapshot.compile`. Recommending is not done here: see `pkgraph.recommend`.

A name is looked up in its module when it is first asked for: who only opens a snapshot does not load what
publishes, compares and judges one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkgraph.snapshot.claim import claim_of
    from pkgraph.snapshot.commits import (
        Record,
        channel_root,
        current,
        open_published,
        open_record,
        snapshots,
    )
    from pkgraph.snapshot.difference import Difference, compare
    from pkgraph.snapshot.format import HOLDS_BOTH_WAYS, Intake
    from pkgraph.snapshot.layout import CompiledGraph, Sections
    from pkgraph.snapshot.manifest import Manifest
    from pkgraph.snapshot.publishing import Judge, Published, promote, publish, rollback
    from pkgraph.snapshot.reader import Snapshot, Statement
    from pkgraph.snapshot.rules import RULES, Rule, judge_by_rules, verify

_NAMES = {
    "claim": ("claim_of",),
    "commits": ("Record", "channel_root", "current", "open_published", "open_record", "snapshots"),
    "difference": ("Difference", "compare"),
    "format": ("HOLDS_BOTH_WAYS", "Intake"),
    "layout": ("CompiledGraph", "Sections"),
    "manifest": ("Manifest",),
    "publishing": ("Judge", "Published", "promote", "publish", "rollback"),
    "reader": ("Snapshot", "Statement"),
    "rules": ("RULES", "Rule", "judge_by_rules", "verify"),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "HOLDS_BOTH_WAYS",
    "RULES",
    "CompiledGraph",
    "Difference",
    "Intake",
    "Judge",
    "Manifest",
    "Published",
    "Record",
    "Rule",
    "Sections",
    "Snapshot",
    "Statement",
    "channel_root",
    "claim_of",
    "compare",
    "current",
    "judge_by_rules",
    "open_published",
    "open_record",
    "promote",
    "publish",
    "rollback",
    "snapshots",
    "verify",
]


if not TYPE_CHECKING:  # a type checker would take every name for an attribute

    def __getattr__(name: str) -> object:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{module}"), name)
        globals()[name] = found
        return found
