"""Ten explained recommendations in process, beside others: `python -m benchmarks.in_process [--size S L]`.

S has 0.1 million SKUs and 1 million relations, L has 2 and 30 million; see benchmarks.synthetic. Every
engine holds all of them, lives in a process of its own and answers the same 2 000 questions of one to ten
SKUs, or as many as fit into its time; the answers to the first 300, or as many as fit, must be the C loop's.

The tables are Markdown. p50 and p99 are microseconds of wall time of one question after another, each new;
hot is the p50 of the best of three askings in a row, which leaves out what waiting for memory costs. CPU is
the process's time a question, where other programs run beside. Files of an engine are read before, so that
all are asked in memory; filling is in no figure but a dict's, which is filled by opening it, as the Redis
server is by reading its file. Private memory is that of the process, or of the Redis server. Every path
instead of the merged rows tells the recall@10 of these, and in brackets of questions with ten seeds.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines import ENGINES, Answer
from benchmarks.lists import K, Lists
from benchmarks.tables import Table, machine, show
from pkgraph.recommend import Graph
from pkgraph.snapshot.format import FORMAT_VERSION

SIZES = {"T": (10_000, 100_000), "S": (100_000, 1_000_000), "L": (2_000_000, 30_000_000)}
N_QUESTIONS, N_COMPARED, N_HOT, SEED = 2_000, 300, 500, 1
MAX_ASKED, TIMES_HOT = 10, 3
COMPARE_SECONDS, WARM_SECONDS, MEASURE_SECONDS, HOT_SECONDS = 60.0, 2.0, 40.0, 5.0
MAKE_SECONDS, ASK_SECONDS = 3600, 900
"""An engine that is not filled or has not answered until then is said and left out."""
SAID_SECONDS = 20
"""A sign of life while a step lasts."""

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
NAMES = {**WAYS, **{name: engine.name for name, engine in ENGINES.items()}}
COLUMNS = {
    "p50": "p50",
    "p99": "p99",
    "hot": "hot",
    "cpu": "CPU",
    "ratio": "x C loop",
    "n": "asked",
    "open_ms": "open ms",
    "first_ms": "first ms",
    "memory_mb": "private MB",
    "disk_gb": "disk GB",
    "equal": "equal answers",
}


def graph_at(work: Path, size: str) -> Path:
    return work / f"graph-{SIZES[size][1]}-format-{FORMAT_VERSION}"


def make_graph(work: Path, size: str) -> None:
    """Compile and publish the made-up shop."""
    from benchmarks.synthetic import Shop
    from pkgraph.model import GateReport
    from pkgraph.snapshot import publish
    from pkgraph.snapshot.compile import compile_graph

    n_skus, n_relations = SIZES[size]
    shop = Shop(n_skus, n_relations)
    compiled = compile_graph(shop.products(), shop.write_relations(work / f"relations-{n_relations}"))
    judge = lambda candidate: GateReport({"looked": candidate.n_edges})  # noqa: E731
    root = graph_at(work, size)
    publish(root, compiled, inputs={"made_up": True}, judge=judge, created_at="2026-11-25T00:00:00Z")


def questions(graph: Graph) -> list[list[str]]:
    """One to ten popular SKUs of kinds that have relations."""
    lists, random = Lists(graph.snapshot.sections), np.random.default_rng(SEED)
    related = np.flatnonzero(np.diff(lists.offsets) > 0)
    picked = [
        random.choice(related, random.integers(1, MAX_ASKED + 1), replace=False) for _ in range(N_QUESTIONS)
    ]
    return [[lists.sections.sku_ids[row] for row in lists.products[kinds].tolist()] for kinds in picked]


def _percentiles(taken: Sequence[int] | np.ndarray) -> dict[str, float]:
    p50, p99 = (np.percentile(taken, [50, 99]) / 1000).tolist()
    return {"p50": p50, "p99": p99, "n": len(taken)}


def _timed(ask: Callable[[Any], object], asked: Sequence[Any], seconds: float) -> list[int]:
    """Nanoseconds of each question in turn, as many as fit into some seconds."""
    taken, end = [], time.perf_counter() + seconds
    for question in asked:
        start = time.perf_counter_ns()
        ask(question)
        taken.append(time.perf_counter_ns() - start)
        if time.perf_counter() > end:
            break
    return taken


def _measure(ask: Callable[[Any], object], asked: Sequence[Any]) -> dict[str, float]:
    """Percentiles, after a tenth of the questions that is not counted."""
    _timed(ask, asked[: len(asked) // 10], WARM_SECONDS)
    cpu = time.process_time()
    taken = _timed(ask, asked, MEASURE_SECONDS)
    cpu = time.process_time() - cpu
    thrice = [question for question in asked[:N_HOT] for _ in range(TIMES_HOT)]
    return {
        **_percentiles(taken),
        "cpu": cpu / len(taken) * 1e6,
        "hot": _hot(_timed(ask, thrice, HOT_SECONDS)),
    }


def _hot(taken: Sequence[int]) -> float:
    """p50 of the best of each question's askings in a row."""
    whole = len(taken) // TIMES_HOT * TIMES_HOT
    return float(np.median(np.reshape(taken[:whole], (-1, TIMES_HOT)).min(axis=1)) / 1000)


def _private_mb() -> float:
    """Memory that is no file's; `Private_Dirty` counts pages of a file that was just written, too."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:")) / 1024


def _gb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def _digest(answer: Answer) -> str:
    return hashlib.sha256(json.dumps([list(pair) for pair in answer]).encode()).hexdigest()[:16]


def _digests(ask: Callable[[Any], Answer], asked: Sequence[Any]) -> list[str]:
    """Of the answers to the first questions, as many as fit into their time."""
    found, end = [], time.monotonic() + COMPARE_SECONDS
    for question in islice(asked, N_COMPARED):
        found.append(_digest(ask(question)))
        if time.monotonic() > end:
            break
    return found


def _read(graph: Graph, skus: Sequence[str]) -> Answer:
    return [(item.sku, item.paths[0].explanation) for item in graph.recommend(skus).items]


def _parsed(graph: Graph, skus: Sequence[str]) -> Answer:
    items = json.loads(graph.recommend_json(skus))["items"]
    return [(item["sku"], item["paths"][0]["explanation"]) for item in items]


def ours(name: str, root: Path) -> dict[str, Any]:
    """One way of ours: records or JSON, one seed alone, NumPy, or every path instead of merged rows."""
    if name == "numpy":
        os.environ["PKGRAPH_NO_KERNEL"] = "1"
    before, start = _private_mb(), time.perf_counter()
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
        "read": lambda skus: _read(graph, skus),
        "json": graph.recommend_json,
        "numpy": graph.recommend,
        "exact": lambda skus: graph.recommend(skus, min_probability=1e-9),
    }
    found: dict[str, Any] = _measure(ways[way], asked)
    found |= {"open_ms": opened, "first_ms": first, "memory_mb": _private_mb() - before}
    found["disk_gb"] = _gb(graph.snapshot.path)
    if name == "exact":
        found["recall"] = _recall(graph, asked)
        found["recall_of_ten"] = _recall(graph, [skus for skus in asked if len(skus) == MAX_ASKED])
    else:
        answer = _parsed if way == "json" else _read
        found["answers"] = _digests(lambda skus: answer(graph, skus), asked)
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
        hot, _ = _floor(run, arrays, lists, [seeds for seeds in kinds[:N_HOT] for _ in range(TIMES_HOT)])
    answers = [[(s.sku_ids[target], s.edge_explanations[edge]) for target, edge in best] for best in found]
    return {
        **_percentiles(taken),
        "hot": _hot(hot.tolist()),
        "answers": [_digest(answer) for answer in answers[:N_COMPARED]],
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


def _folder(name: str, graph: Graph, size: str, work: Path) -> Path:
    """Where its files are: named by what it answers, so that any format of the same graph finds them."""
    answers = json.dumps([_read(graph, skus) for skus in questions(graph)[:N_COMPARED]])
    return work / f"{name}-{SIZES[size][1]}-{hashlib.sha256(answers.encode()).hexdigest()[:12]}"


def fill(name: str, size: str, work: Path) -> None:
    """Write an engine's files where they are not there yet."""
    graph = Graph.published(graph_at(work, size))
    folder = _folder(name, graph, size, work)
    if not folder.is_dir():
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        ENGINES[name].fill(Lists(graph.snapshot.sections), part)
        part.rename(folder)


def peer(name: str, size: str, work: Path) -> dict[str, Any]:
    """Open what was filled, ask."""
    graph = Graph.published(graph_at(work, size))
    asked, folder = questions(graph), _folder(name, graph, size, work)
    for path in folder.rglob("*"):
        if path.is_file():
            _read_through(path)
    package = ENGINES[name].package
    if package:
        importlib.import_module(package)
    lists, before, start = Lists(graph.snapshot.sections), _private_mb(), time.perf_counter()
    engine = ENGINES[name](lists, folder)
    opened = (time.perf_counter() - start) * 1000
    start = time.perf_counter()
    engine.ask(asked[0])
    first = (time.perf_counter() - start) * 1000
    answers = _digests(engine.ask, asked)
    found: dict[str, Any] = _measure(engine.ask, asked)
    elsewhere = engine.memory()
    found["memory_mb"] = _private_mb() - before if elsewhere is None else elsewhere / 2**20
    engine.close()
    return found | {"answers": answers, "open_ms": opened, "first_ms": first, "disk_gb": _gb(folder)}


def _read_through(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


STEPS: dict[str, Callable[[str, str, Path], Any]] = {
    "make": lambda _, size, work: make_graph(work, size),
    "fill": fill,
    "reference": lambda name, size, work: reference(name, graph_at(work, size)),
    "ours": lambda name, size, work: ours(name, graph_at(work, size)),
    "peer": peer,
}
"""What is done in a process of its own."""


def _run(step: str, name: str, size: str, work: Path) -> dict[str, Any]:
    """What a step found, or its fault; how long it lasts is said on standard error."""
    command = [sys.executable, "-m", "benchmarks.in_process", "--size", size, "--work", str(work)]
    limit = MAKE_SECONDS if step in {"make", "fill"} else ASK_SECONDS
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as faults:
        process = subprocess.Popen([*command, "--step", step, name], stdout=out, stderr=faults, text=True)
        while True:
            try:
                process.wait(SAID_SECONDS)
                break
            except subprocess.TimeoutExpired:
                taken = time.monotonic() - start
                print(f"{size}: {step} {name}: {taken:.0f} s", file=sys.stderr, flush=True)
                if taken > limit:
                    process.kill()
                    process.wait()
                    return {"fault": f"left out: not done within {limit} s"}
        out.seek(0)
        faults.seek(0)
        if process.returncode:
            return {"fault": (faults.read().strip().splitlines() or ["it ended without a word"])[-1]}
        return dict(json.loads(out.read().splitlines()[-1]))


def _found(name: str, size: str, work: Path) -> dict[str, Any]:
    if name in WAYS:
        return _run("reference" if name.startswith("reference") else "ours", name, size, work)
    return _run("fill", name, size, work) or _run("peer", name, size, work)


def _equal(found: dict[str, Any], expected: Sequence[str]) -> tuple[str, bool]:
    """How many of the answers are the C loop's; whether all of them are."""
    if "answers" not in found:
        return f"recall@10 {found['recall']:.3f} ({found['recall_of_ten']:.3f})", True
    answers = found["answers"]
    n = sum(a == b for a, b in zip(answers, expected, strict=False))
    return f"{n} of {len(answers)}", n == len(answers)


def table(size: str, work: Path, names: Sequence[str]) -> tuple[bool, dict[str, dict[str, Any]]]:
    """Print the table of one size; whether it is whole and all answers are equal, and what was found."""
    if not (graph_at(work, size) / "commits").is_dir():
        fault = _run("make", "graph", size, work).get("fault")
        if fault:
            raise SystemExit(f"The graph could not be made: {fault}")
    n_skus, n_relations = SIZES[size]
    print(f"\n### {size}: {n_skus:,} SKUs, {n_relations:,} relations, 1 to 10 seeds, k = 10; microseconds\n")
    shown = Table(["", *COLUMNS.values()], max(map(len, NAMES.values())))
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        row, is_one = _found(name, size, work), name.endswith("_one")
        if "fault" in row:
            shown.row(NAMES[name], *[""] * (len(COLUMNS) - 1), "left out")
        else:
            floor = rows.get("reference_one" if is_one else "reference", row)
            row |= {"ratio": row["p50"] / floor["p50"], "n": f"{row['n']:,}"}
            row["equal"], row["is_equal"] = _equal(row, floor.get("answers", ()))
            shown.row(NAMES[name], *(row.get(column) for column in COLUMNS))
        rows[name] = row
    print()
    show_startup(graph_at(work, size))
    faults = {name: row["fault"] for name, row in rows.items() if "fault" in row}
    are_equal = all(row.get("is_equal", True) for row in rows.values())
    lines = [f"{NAMES[name]}: {fault}" for name, fault in faults.items()]
    print("\n\n".join(["", *lines, "All answers are equal." if are_equal else "ANSWERS DIFFER."]))
    is_whole = all(fault.startswith("ModuleNotFoundError") for fault in faults.values())
    return are_equal and is_whole, rows


def summary(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Print what the README quotes: both sizes side by side, and of the last one what it takes."""
    last = list(found)[-1]
    print(f"\n### In short: p50 / p99 in microseconds; the columns after them are of {last}\n")
    sizes = [f"{SIZES[size][0] / 1e6:g} M SKUs" for size in found]
    columns = {key: COLUMNS[key] for key in ("ratio", "open_ms", "memory_mb", "disk_gb")}
    shown = Table(["", *(size.rjust(15) for size in sizes), *columns.values()], max(map(len, NAMES.values())))
    for name in found[last]:
        rows = [found[size][name] for size in found]
        times = [f"{show(row['p50'])} / {show(row['p99'])}" if "p50" in row else "left out" for row in rows]
        shown.row(NAMES[name], *times, *(rows[-1].get(column) for column in columns))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", nargs="+", choices=SIZES, default=["S"])
    parser.add_argument("--work", type=Path, help="where files go and stay; a temporary folder without it")
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, default=list(NAMES), help="rows; the C loop stands first"
    )
    parser.add_argument("--step", nargs=2, metavar=("STEP", "NAME"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step, name = arguments.step
        print(json.dumps(STEPS[step](name, arguments.size[0], arguments.work) or {}))
        return
    print(f"### In process\n\n{machine()}")
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        names = [name for name in NAMES if name in arguments.only or name.startswith("reference")]
        tables = {size: table(size, work, names) for size in arguments.size}
    summary({size: rows for size, (_, rows) in tables.items()})
    sys.exit(0 if all(is_good for is_good, _ in tables.values()) else 1)


if __name__ == "__main__":
    main()
