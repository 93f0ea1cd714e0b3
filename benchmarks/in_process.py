"""Ten explained recommendations in process, beside others: `python -m benchmarks.in_process [--size S L]`.

S has 0.1 million SKUs and 1 million relations, L has 2 and 30 million; see benchmarks.synthetic. Every engine
runs in a process of its own and answers the same 2 000 questions of one to ten SKUs, or as many as fit into
twenty seconds; the answers to the first 300 must be equal.
Times are wall time of one question; where other programs run, p99 is theirs: CPU time stands beside.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
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

from benchmarks.engines import ENGINES, Answer, K, best_product, kind_of, product_rows
from pkgraph.recommend import Graph
from pkgraph.snapshot.format import FORMAT_VERSION

SIZES = {"T": (10_000, 100_000), "S": (100_000, 1_000_000), "L": (2_000_000, 30_000_000)}
N_QUESTIONS, N_COMPARED, SEED = 2_000, 300, 1
MAX_ASKED, MAX_SECONDS = 10, 20.0
OURS = ("records", "read", "json", "one", "one_read", "one_json", "numpy", "exact", "reference")
ENGINE_SECONDS = 240
"""An engine that is not filled and has not answered until then is said and passed over."""
LEFT_OUT_AT_L = {
    "redis": "left out at this size: it holds no file, some ten million keys are loaded anew each time"
}
FILLED = ("lmdb", "sqlite", "duckdb")
"""Engines whose files stay for the next run."""


def snapshot_at(work: Path, size: str) -> Path:
    """Root of the published made-up shop; compiled where it is not there yet."""
    from benchmarks.synthetic import Shop
    from pkgraph.model import GateReport
    from pkgraph.snapshot import publish
    from pkgraph.snapshot.compile import compile_graph

    n_skus, n_relations = SIZES[size]
    root = work / f"graph-{n_relations}-format-{FORMAT_VERSION}"
    if not (root / "commits").is_dir():
        shop = Shop(n_skus, n_relations)
        compiled = compile_graph(shop.products(), shop.write_relations(work / f"relations-{n_relations}"))
        inputs = {"made_up": True}
        judge = lambda candidate: GateReport({"looked": candidate.n_edges})  # noqa: E731
        publish(root, compiled, inputs=inputs, judge=judge, created_at="2026-11-25T00:00:00Z")
    return root


def questions(graph: Graph) -> list[list[str]]:
    """One to ten popular SKUs of kinds that have relations."""
    s = graph.snapshot.sections
    random = np.random.default_rng(SEED)
    related = np.flatnonzero(np.diff(s.row_offsets[: len(s.kind_ids) + 1]) > 0)
    picked = [
        random.choice(related, random.integers(1, MAX_ASKED + 1), replace=False) for _ in range(N_QUESTIONS)
    ]
    return [[best_product(s, int(kind)) for kind in kinds] for kinds in picked]


def _measure(ask: Callable[[Any], object], asked: Sequence[Any]) -> dict[str, float]:
    """Percentiles of the questions in turn, as many as fit into some seconds; a tenth of them goes before."""
    for seconds, questions in ((MAX_SECONDS / 10, asked[: len(asked) // 10]), (MAX_SECONDS, asked)):
        taken, cpu, end = [], time.process_time(), time.perf_counter() + seconds
        for question in questions:
            start = time.perf_counter_ns()
            ask(question)
            taken.append(time.perf_counter_ns() - start)
            if time.perf_counter() > end:
                break
        cpu = time.process_time() - cpu
    p50, p99 = np.percentile(taken, [50, 99]) / 1000
    return {"p50": p50, "p99": p99, "cpu": cpu / len(taken) * 1e6}


def _private_mb() -> float:
    text = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_Dirty")) / 1024


def _digest(answers: Sequence[Answer]) -> str:
    return hashlib.sha256(
        json.dumps([[list(pair) for pair in answer] for answer in answers]).encode()
    ).hexdigest()[:8]


def _plain(graph: Graph) -> Callable[[Sequence[str]], Answer]:
    return lambda skus: [(item.sku, item.paths[0].explanation) for item in graph.recommend(skus).items]


def _from_json(graph: Graph, skus: Sequence[str]) -> Answer:
    items = json.loads(graph.recommend_json(skus))["items"]
    return [(item["sku"], item["paths"][0]["explanation"]) for item in items]


def ours(name: str, root: Path) -> dict[str, Any]:
    """One way of ours: records or JSON, one seed alone, NumPy, or every path instead of merged rows."""
    if name == "numpy":
        os.environ["PKGRAPH_NO_KERNEL"] = "1"
    before, start = _private_mb(), time.perf_counter()
    graph = Graph.published(root)
    opened = (time.perf_counter() - start) * 1000
    asked = questions(graph)
    graph.warm()
    start = time.perf_counter()
    graph.recommend(asked[0])
    first = (time.perf_counter() - start) * 1000
    answers = [
        _from_json(graph, skus) if "json" in name else _plain(graph)(skus) for skus in asked[:N_COMPARED]
    ]
    one = [skus[:1] for skus in asked]
    ways: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {
        "records": (graph.recommend, asked),
        "read": (_plain(graph), asked),
        "json": (graph.recommend_json, asked),
        "one": (graph.recommend, one),
        "one_read": (_plain(graph), one),
        "one_json": (graph.recommend_json, one),
        "numpy": (graph.recommend, asked),
        "exact": (lambda skus: graph.recommend(skus, min_probability=1e-9), asked),
    }
    found: dict[str, Any] = _measure(*ways[name])
    found |= {"open_ms": opened, "first_ms": first, "memory_mb": _private_mb() - before}
    found["disk_gb"] = sum(path.stat().st_size for path in graph.snapshot.path.iterdir()) / 1e9
    if name == "exact":
        found["recall"] = _recall(graph, asked)
        found["recall_of_ten"] = _recall(graph, [skus for skus in asked if len(skus) == MAX_ASKED])
        return found
    return found | {"digest": _digest(answers)}


def _recall(graph: Graph, asked: Sequence[Sequence[str]]) -> float:
    """Share of the exact answer's products that the merged rows give too."""
    exact = [{item.sku for item in graph.recommend(skus, min_probability=1e-9).items} for skus in asked]
    rows = [{item.sku for item in graph.recommend(skus).items} for skus in asked]
    return sum(len(a & b) for a, b in zip(exact, rows, strict=True)) / max(1, sum(map(len, exact)))


def reference(root: Path) -> dict[str, Any]:
    """The C loop over the same rows, from kinds instead of SKUs and without texts."""
    graph = Graph.published(root)
    s, asked = graph.snapshot.sections, questions(graph)
    kinds, products = [sorted({kind_of(s, sku) for sku in skus}) for skus in asked], product_rows(s)
    at = np.cumsum([0, *map(len, kinds)]).astype("<i4")
    seeds = np.concatenate(kinds).astype("<i4")
    taken, found = np.zeros(len(asked), dtype="<i8"), np.zeros(len(asked), dtype="<i4")
    targets, edges = (np.zeros(len(asked) * K, dtype="<i4") for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "reference.so"
        source = Path(__file__).with_name("reference.c")
        compiler = [shutil.which("cc") or "cc", "-O2", "-shared", "-fPIC", "-o", library, source]
        subprocess.run(compiler, check=True)
        run = ctypes.CDLL(str(library)).run
        arrays = (s.row_offsets, products[s.row_target], s.row_weight, s.row_edge, products[seeds], seeds, at)
        outs = (taken, targets, edges, found)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
        for _ in range(2):
            cpu = time.process_time()
            run(*pointers, len(asked), *(ctypes.c_void_p(array.ctypes.data) for array in outs))
            cpu = time.process_time() - cpu
    answers = [
        [(s.sku_ids[int(targets[i * K + j])], s.edge_explanations[int(edges[i * K + j])]) for j in range(n)]
        for i, n in enumerate(found[:N_COMPARED].tolist())
    ]
    p50, p99 = np.percentile(taken, [50, 99]) / 1000
    return {"p50": p50, "p99": p99, "cpu": cpu / len(asked) * 1e6, "digest": _digest(answers)}


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
        run = lambda: subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: E731
        runs = [run().stdout.split() for _ in range(11)][1:]
    wall, cpu = (sorted(float(figures[i]) for figures in runs) for i in (0, 1))
    print(
        f"import, open, first answer in a fresh process: median {wall[5]:.0f} ms, least {wall[0]:.0f} ms",
        end="",
    )
    print(f"; CPU with the interpreter's start {cpu[5]:.0f} ms")


def peer(name: str, root: Path, work: Path) -> dict[str, Any]:
    """Fill where it is not filled yet, open, ask."""
    graph = Graph.published(root)
    asked = questions(graph)
    skus = sorted({sku for question in asked for sku in question})
    folder = work / f"{name}-{graph.snapshot_id}"
    sections = graph.snapshot.sections
    if name in FILLED and not folder.is_dir():
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        ENGINES[name](sections, part, skus)  # opening what is filled is measured
        part.rename(folder)
    folder.mkdir(parents=True, exist_ok=True)
    before, start = _private_mb(), time.perf_counter()
    engine = ENGINES[name](sections, folder, skus)
    opened = (time.perf_counter() - start) * 1000
    answers = [engine.ask(question) for question in asked[:N_COMPARED]]
    found: dict[str, Any] = _measure(engine.ask, asked) | {"digest": _digest(answers), "open_ms": opened}
    found["memory_mb"] = engine.memory() / 2**20 if hasattr(engine, "memory") else _private_mb() - before
    found["disk_gb"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
    if hasattr(engine, "close"):
        engine.close()
    return found


NAMES = {
    "reference": "C loop over the rows, no texts",
    "records": "pkgraph, records, not yet read",
    "read": "pkgraph, records, all read",
    "json": "pkgraph, finished JSON",
    "one": "pkgraph, one seed, not yet read",
    "one_read": "pkgraph, one seed, all read",
    "one_json": "pkgraph, one seed, finished JSON",
    "numpy": "pkgraph without its kernel (NumPy)",
    "exact": "pkgraph, every path instead of rows",
    **{name: engine.name for name, engine in ENGINES.items()},
}


def _run(name: str, size: str, work: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.in_process",
        "--one",
        name,
        "--size",
        size,
        "--work",
        str(work),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ENGINE_SECONDS)
    except subprocess.TimeoutExpired:
        return {"fault": f"left out: not filled and asked within {ENGINE_SECONDS} s"}
    if done.returncode:
        return {"fault": (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _show(name: str, found: dict[str, Any], floor: float) -> None:
    if "fault" in found:
        print(f"{NAMES[name]:<36} {found['fault']}")
        return
    cells = [found["p50"], found["p99"], found["cpu"]]
    print(f"{NAMES[name]:<36}" + "".join(f"{cell:>10.1f}" for cell in cells), end="")
    print(f"{found['p50'] / floor:>9.1f}", end="")
    for key in ("open_ms", "first_ms", "memory_mb", "disk_gb"):
        print(f"{found[key]:>10.2f}" if key in found else f"{'':>10}", end="")
    said = (
        found["digest"]
        if "digest" in found
        else (f"recall@10 {found['recall']:.4f}, ten seeds {found['recall_of_ten']:.4f}")
    )
    print(f"  {said}", flush=True)


def table(size: str, work: Path) -> bool:
    """Print the table of one size; whether all answers are equal."""
    snapshot_at(work, size)
    n_skus, n_relations = SIZES[size]
    print(f"\n{size}: {n_skus:,} SKUs, {n_relations:,} relations, 1 to 10 seeds, k = 10; microseconds")
    print(f"{'':<36}{'p50':>10}{'p99':>10}{'CPU':>10}{'x floor':>9}", end="")
    print(f"{'open ms':>10}{'first ms':>10}{'private MB':>10}{'disk GB':>10}  answers")
    names = ["reference", *(name for name in OURS if name != "reference")]
    left_out = LEFT_OUT_AT_L if size == "L" else {}
    found = {name: _run(name, size, work) for name in [*names, *ENGINES] if name not in left_out}
    found |= {name: {"fault": reason} for name, reason in left_out.items()}
    for name, figures in found.items():
        _show(name, figures, found["reference"].get("p50", 1.0))
    digests = {figures["digest"] for figures in found.values() if "digest" in figures}
    show_startup(snapshot_at(work, size))
    print("all answers are equal" if len(digests) == 1 else f"ANSWERS DIFFER: {sorted(digests)}")
    return len(digests) == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=["S"])
    parser.add_argument("--work", type=Path, help="where files go and stay; a temporary folder without it")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        root, name = snapshot_at(arguments.work, arguments.size[0]), arguments.one
        if name == "reference":
            found = reference(root)
        else:
            found = ours(name, root) if name in OURS else peer(name, root, arguments.work)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as temporary:
        equal = [table(size, arguments.work or Path(temporary)) for size in arguments.size]
    sys.exit(0 if all(equal) else 1)


if __name__ == "__main__":
    main()
