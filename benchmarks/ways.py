"""The ways to ask pkgraph itself, and the C loop that all are compared with."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines import Answer
from benchmarks.lists import K, Lists
from benchmarks.measuring import (
    MAX_ASKED,
    N_COMPARED,
    N_HOT,
    TIMES_HOT,
    digest,
    digests,
    gb,
    hot,
    measure,
    need_kernel,
    percentiles,
    private_mb,
    questions,
)
from pkgraph.recommend import Graph

WAYS = {
    "reference": "C loop over the lists, no texts",
    "records": "pkgraph, records, not yet read",
    "read": "pkgraph, records, all read",
    "json": "pkgraph, finished JSON",
    "reference_one": "C loop, one seed",
    "records_one": "pkgraph, one seed, not yet read",
    "read_one": "pkgraph, one seed, all read",
    "json_one": "pkgraph, one seed, finished JSON",
    "numpy": "pkgraph without its kernel, in NumPy",
    "exact": "pkgraph, every path, not merged rows",
}


def read(graph: Graph, skus: Sequence[str]) -> Answer:
    return [(item.sku, item.paths[0].explanation) for item in graph.recommend(skus).items]


def parsed(graph: Graph, skus: Sequence[str]) -> Answer:
    items = json.loads(graph.recommend_json(skus))["items"]
    return [(item["sku"], item["paths"][0]["explanation"]) for item in items]


def ours(name: str, root: Path) -> dict[str, Any]:
    """One way of ours: records or JSON, one seed alone, NumPy, or every path instead of merged rows."""
    if name == "numpy":
        os.environ["PKGRAPH_NO_KERNEL"] = "1"
    else:
        need_kernel()
    before, start = private_mb(), time.perf_counter()
    graph = Graph.published(root)
    opened = (time.perf_counter() - start) * 1000
    asked, way = questions(graph), name.removesuffix("_one")
    if way != name:
        asked = [skus[:1] for skus in asked]
    graph.warm()
    start = time.perf_counter()
    graph.recommend(asked[0])
    first = (time.perf_counter() - start) * 1000
    ways: dict[str, Callable[[Any], object]] = {
        "records": graph.recommend,
        "read": lambda skus: read(graph, skus),
        "json": graph.recommend_json,
        "numpy": graph.recommend,
        "exact": lambda skus: graph.recommend(skus, min_probability=1e-9),
    }
    found: dict[str, Any] = measure(ways[way], asked)
    found |= {"open_ms": opened, "first_ms": first, "memory_mb": private_mb() - before}
    found["disk_gb"] = gb(graph.snapshot.path)
    if name == "exact":
        found["recall"] = _recall(graph, asked)
        found["recall_of_ten"] = _recall(graph, [skus for skus in asked if len(skus) == MAX_ASKED])
    else:
        answer = parsed if way == "json" else read
        found["answers"] = digests(lambda skus: answer(graph, skus), asked)
    return found


def _recall(graph: Graph, asked: Sequence[Sequence[str]]) -> float:
    """Share of the exact answer's products that the merged rows give too."""
    exact = [{item.sku for item in graph.recommend(skus, min_probability=1e-9).items} for skus in asked]
    rows = [{item.sku for item in graph.recommend(skus).items} for skus in asked]
    return sum(len(a & b) for a, b in zip(exact, rows, strict=True)) / max(1, sum(map(len, exact)))


def reference(name: str, root: Path) -> dict[str, Any]:
    """The C loop over the same lists, from kinds instead of SKUs and without texts."""
    graph = Graph.published(root)
    lists, s = Lists(graph.snapshot.sections), graph.snapshot.sections
    asked = questions(graph)
    if name == "reference_one":
        asked = [skus[:1] for skus in asked]
    kinds = [sorted({int(s.sku_kind[s.sku_ids.find(sku)]) for sku in skus}) for skus in asked]
    arrays = [
        lists.offsets,
        *(np.ascontiguousarray(lists.rows[column]) for column in ("target", "weight", "edge")),
    ]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "reference.so"
        source = Path(__file__).with_name("reference.c")
        compiler = [shutil.which("cc") or "cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)]
        subprocess.run(compiler, check=True)
        run = ctypes.CDLL(str(library)).run
        _floor(run, arrays, lists, kinds[: len(kinds) // 10])
        taken, found = _floor(run, arrays, lists, kinds)
        hottest, _ = _floor(run, arrays, lists, [seeds for seeds in kinds[:N_HOT] for _ in range(TIMES_HOT)])
    answers = [[(s.sku_ids[target], s.edge_explanations[edge]) for target, edge in best] for best in found]
    return {
        **percentiles(taken),
        "hot": hot(hottest.tolist()),
        "answers": [digest(answer) for answer in answers[:N_COMPARED]],
    }


def _floor(
    run: Callable[..., Any], arrays: Sequence[np.ndarray], lists: Lists, asked: Sequence[Sequence[int]]
) -> tuple[np.ndarray, list[list[tuple[int, int]]]]:
    """Nanoseconds and (target, edge) of each question."""
    at = np.cumsum([0, *map(len, asked)]).astype("<i4")
    seeds = np.concatenate(asked).astype("<i4")
    products = lists.products[seeds]
    taken, n_found = np.zeros(len(asked), dtype="<i8"), np.zeros(len(asked), dtype="<i4")
    targets, edges = (np.zeros((len(asked), K), dtype="<i4") for _ in range(2))
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (*arrays, products, seeds, at)]
    outs = [ctypes.c_void_p(array.ctypes.data) for array in (taken, targets, edges, n_found)]
    run(*pointers, len(asked), *outs)
    pairs = [
        list(zip(*columns, strict=True)) for columns in zip(targets.tolist(), edges.tolist(), strict=True)
    ]
    return taken, [best[:n] for best, n in zip(pairs, n_found.tolist(), strict=True)]


STARTUP = """
import time
start = time.perf_counter()
import sys
from pathlib import Path
from pkgraph.recommend import Graph
graph = Graph.published(Path(sys.argv[1]))
graph.recommend_json([sys.argv[2]])
print((time.perf_counter() - start) * 1000, time.process_time() * 1000)
"""


def show_startup(root: Path) -> None:
    """Import, open and first answer in fresh processes, the interpreter's own start left out.

    As where it is installed, modules lie compiled; one run before the ten sees to that.
    """
    sku = questions(Graph.published(root))[0][0]
    command = [sys.executable, "-c", STARTUP, str(root), sku]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        runs = [
            subprocess.run(
                command, capture_output=True, text=True, check=True, env=environment
            ).stdout.split()
            for _ in range(11)
        ][1:]
    wall, cpu = (sorted(float(figures[i]) for figures in runs) for i in (0, 1))
    print(
        f"Import, open and first answer in a fresh process: median {wall[5]:.0f} ms, least {wall[0]:.0f} ms; "
        f"CPU with the interpreter's start {cpu[5]:.0f} ms."
    )
