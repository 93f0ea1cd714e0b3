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
import hashlib
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engines import ENGINES
from benchmarks.lists import Lists
from benchmarks.measuring import N_COMPARED, digests, forget, gb, measure, private_mb, questions, read_anew
from benchmarks.tables import Table, machine, show
from benchmarks.ways import WAYS, ours, read, reference, show_startup
from pkgraph.recommend import Graph
from pkgraph.snapshot.format import FORMAT_VERSION

SIZES = {"T": (10_000, 100_000), "S": (100_000, 1_000_000), "L": (2_000_000, 30_000_000)}
MAKE_SECONDS, ASK_SECONDS = 3600, 900
"""An engine that is not filled or has not answered until then is said and left out."""
SAID_SECONDS = 20
"""A sign of life while a step lasts."""

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
    """Compile and publish the made-up shop where it is not there yet."""
    from benchmarks.synthetic import Shop

    root, (n_skus, n_relations) = graph_at(work, size), SIZES[size]
    if not any((root / "commits").glob("*")):
        Shop(n_skus, n_relations).publish(root, work / f"relations-{n_relations}")


def _folder(name: str, graph: Graph, size: str, work: Path) -> Path:
    """Where its files are: named by what it answers, so that any format of the same graph finds them."""
    answers = json.dumps([read(graph, skus) for skus in questions(graph)[:N_COMPARED]])
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
    read_anew(folder)
    package = ENGINES[name].package
    if package:
        importlib.import_module(package)
    lists, before, start = Lists(graph.snapshot.sections), private_mb(), time.perf_counter()
    engine = ENGINES[name](lists, folder)
    opened = (time.perf_counter() - start) * 1000
    start = time.perf_counter()
    engine.ask(asked[0])
    first = (time.perf_counter() - start) * 1000
    found: dict[str, Any] = measure(engine.ask, asked)
    elsewhere = engine.memory()
    found["memory_mb"] = private_mb() - before if elsewhere is None else elsewhere / 2**20
    found["answers"] = digests(engine.ask, asked)
    engine.close()
    return found | {"open_ms": opened, "first_ms": first, "disk_gb": gb(folder)}


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
    fault = _run("make", "graph", size, work).get("fault")
    if fault:
        raise SystemExit(f"The graph could not be made: {fault}")
    forget(graph_at(work, size))
    Graph.published(graph_at(work, size)).warm()  # which reads into large pages, as a server does
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
    print("\n" + "\n\n".join([*lines, "All answers are equal." if are_equal else "ANSWERS DIFFER."]))
    is_whole = all(fault.startswith("ModuleNotFoundError") for fault in faults.values())
    return are_equal and is_whole, rows


def summary(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Print what the README quotes: both sizes side by side, and of the last one what it takes."""
    last = list(found)[-1]
    print(f"\n### In short: p50 / p99 in microseconds; the columns after them are of {last}\n")
    sizes = [f"{SIZES[size][0] / 1e6:g} M SKUs" for size in found]
    columns = {key: COLUMNS[key] for key in ("ratio", "open_ms", "memory_mb", "disk_gb")}
    shown = Table(["", *(size.rjust(17) for size in sizes), *columns.values()], max(map(len, NAMES.values())))
    for name in (name for name in found[last] if name != "exact"):
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
