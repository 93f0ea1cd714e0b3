"""How long the published graph takes to open and to answer: `python -m benchmarks.serving [--home .pkgraph]`.

A dict of lists, the simplest thing a service could hold in memory instead, answers the one-seed question in
the same run; the ratio is what explanation paths, filters and the memory map cost.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pkgraph.home import Home
from pkgraph.recommend import Graph

SEED = 0
N = 2_000


def _times_us(call: Callable[[int], object], n: int = N) -> np.ndarray:
    taken = np.empty(n)
    for i in range(n):
        start = time.perf_counter_ns()
        call(i)
        taken[i] = (time.perf_counter_ns() - start) / 1_000
    return taken


def _row(name: str, taken: np.ndarray, reference: float) -> None:
    p50, p99 = np.percentile(taken, [50, 99])
    print(f"{name:<36} {p50:>9.1f} {p99:>9.1f} {p50 / reference:>9.1f}")


def _plain(graph: Graph, sku: str) -> list[tuple[str, float, str]]:
    return [(item.sku, item.score, item.path.explanation) for item in graph.recommend([sku]).items]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".pkgraph"))
    root = Home(parser.parse_args().home.resolve()).graph
    graph = Graph.published(root)
    sections = graph.snapshot.sections
    kinds = np.flatnonzero(np.diff(sections.row_offsets)[: len(sections.kind_ids)] > 0)
    random = np.random.default_rng(SEED)
    skus = [sections.sku_ids[int(sections.kind_skus[sections.kind_sku_offsets[k]])] for k in kinds]
    one = [[skus[i]] for i in random.integers(0, len(skus), N)]
    ten = [[skus[j] for j in random.integers(0, len(skus), 10)] for _ in range(N)]
    held = {sku: _plain(graph, sku) for sku in skus}
    plain = _times_us(lambda i: list(held[one[i][0]]))
    reference = float(np.percentile(plain, 50))
    print(f"{platform.machine()}, Python {platform.python_version()}, snapshot {graph.snapshot_id}:")
    sizes = len(sections.sku_ids), len(sections.kind_ids), graph.snapshot.n_edges
    print("{:,} SKUs, {:,} kinds, {:,} edges\n".format(*sizes))
    print(f"{'microseconds':<36} {'p50':>9} {'p99':>9} {'x dict':>9}")
    _row("a dict of lists, 1 seed", plain, reference)
    _row("recommend, 1 seed, 10 explained", _times_us(lambda i: graph.recommend(one[i])), reference)
    _row("recommend, 10 seeds, 10 explained", _times_us(lambda i: graph.recommend(ten[i])), reference)
    _row("recommend, purpose", _times_us(lambda _: graph.recommend(purpose="taco night"), 300), reference)
    _row("open, structure checked", _times_us(lambda _: Graph.published(root), 100), reference)
    _row("open, every byte checked", _times_us(lambda _: Graph.published(root, verify=True), 30), reference)


if __name__ == "__main__":
    main()
