"""Immutable graphs on disk: publishing them, and opening what was published.

Reading and publishing need numpy and the standard library. Compiling needs Polars and stands apart, in
`pkgraph.snapshot.compile`. Recommending is not done here: see `pkgraph.recommend`.
"""

from pkgraph.snapshot.commits import Record, current, open_published, open_record, snapshots
from pkgraph.snapshot.layout import HOLDS_BOTH_WAYS, CompiledGraph, Intake, Sections
from pkgraph.snapshot.manifest import Manifest
from pkgraph.snapshot.publish import Judge, Published, publish, rollback
from pkgraph.snapshot.reader import Snapshot, Statement, verify
from pkgraph.snapshot.rules import RULES, Rule, judge_by_rules

__all__ = [
    "HOLDS_BOTH_WAYS",
    "RULES",
    "CompiledGraph",
    "Intake",
    "Judge",
    "Manifest",
    "Published",
    "Record",
    "Rule",
    "Sections",
    "Snapshot",
    "Statement",
    "current",
    "judge_by_rules",
    "open_published",
    "open_record",
    "publish",
    "rollback",
    "snapshots",
    "verify",
]
