"""Publishing the small shop into a folder of a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pkgraph.model import GateReport
from pkgraph.snapshot import CompiledGraph, Published, Snapshot, publish
from pkgraph.snapshot.compile import compile_graph
from tests.shop import STATEMENTS, Told, accepted, products

CREATED_AT = "2026-11-23T12:00:00Z"


def graph_of(told: list[Told] = STATEMENTS) -> CompiledGraph:
    return compile_graph(products(), accepted(told))


def content(judged: Snapshot) -> GateReport:
    """A judge that is always content."""
    return GateReport({"the_judge_is_content": judged.n_edges})


def publish_shop(
    root: Path,
    compiled: CompiledGraph | None = None,
    *,
    version: str = "1",
    keep: int = 3,
    base: str | None = None,
    created_at: str = CREATED_AT,
    moment: Callable[[str], None] = lambda _: None,
) -> Published:
    """Publish; another version makes another snapshot of the same graph."""
    return publish(
        root,
        compiled or graph_of(),
        inputs={"catalog": "c0ffee", "models": ["model-a"], "version": version, "certificate": None},
        judge=content,
        created_at=created_at,
        keep=keep,
        base=base,
        moment=moment,
    )
