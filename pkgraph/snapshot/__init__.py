"""Immutable graphs on disk: publishing them, and opening what was published.

Reading and publishing need numpy and the standard library. Compiling needs Polars and stands apart, in
`pkgraph.snapshot.compile`. Recommending is not done here: see `pkgraph.recommend`.
"""

from pkgraph.snapshot.claim import claim_of
from pkgraph.snapshot.commits import Record, channel_root, current, open_published, open_record, snapshots
from pkgraph.snapshot.difference import Difference, compare
from pkgraph.snapshot.layout import HOLDS_BOTH_WAYS, CompiledGraph, Intake, Sections
from pkgraph.snapshot.manifest import Manifest
from pkgraph.snapshot.publish import Judge, Published, promote, publish, rollback
from pkgraph.snapshot.reader import Snapshot, Statement, verify
from pkgraph.snapshot.rules import RULES, Rule, judge_by_rules

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
