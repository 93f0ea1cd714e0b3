"""How time and memory of compiling and publishing grow: `python -m benchmarks.compiling [--relations N ...]`.

Every size runs in a process of its own. Its memory is shown twice: `own` is what it allocated (RssAnon at its
highest, seen 50 times a second), `resident` has the pages of mapped files in it too, which are the snapshot
that is judged and the first that the system takes back. The made-up products, which the benchmark itself
holds, are in both.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SIZES = (300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000)
RELATIONS_A_SKU = 15
SECONDS_BETWEEN_LOOKS = 0.02
COLUMNS = ("wall_s", "cpu_s", "own_gb", "resident_gb")

Figures = dict[str, float]


class Memory:
    """The most memory that this process had since it was last asked."""

    def __init__(self) -> None:
        self.own_kb = self.resident_kb = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.look()
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def look(self) -> None:
        lines = (line.partition(":") for line in Path("/proc/self/status").read_text().splitlines())
        now = {name: int(value.split()[0]) for name, _, value in lines if name in {"RssAnon", "VmRSS"}}
        self.own_kb = max(self.own_kb, now["RssAnon"])
        self.resident_kb = max(self.resident_kb, now["VmRSS"])

    def forget(self) -> None:
        self.own_kb = self.resident_kb = 0


@contextmanager
def _timed(figures: Figures, memory: Memory, step: str) -> Iterator[None]:
    memory.forget()
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    memory.look()
    seen = (
        time.perf_counter() - wall,
        time.process_time() - cpu,
        memory.own_kb / 2**20,
        memory.resident_kb / 2**20,
    )
    figures |= {f"{step}_{name}": round(value, 2) for name, value in zip(COLUMNS, seen, strict=True)}


def compile_once(n_relations: int, work: Path) -> Figures:
    """Compile and publish a made-up shop whose relations lie in files."""
    from benchmarks.synthetic import Shop
    from pkgraph.model import GateReport
    from pkgraph.snapshot import publish
    from pkgraph.snapshot.compile import compile_graph

    shop = Shop(max(1000, n_relations // RELATIONS_A_SKU), n_relations)
    relations = shop.write_relations(work / f"relations-{n_relations}-{shop.n_skus}")
    products, memory = shop.products(), Memory()
    root = work / f"graph-{n_relations}"
    shutil.rmtree(root, ignore_errors=True)  # a graph that is published already is not published again
    figures: Figures = {"relations": n_relations, "skus": shop.n_skus}
    with _timed(figures, memory, "compile"):
        compiled = [compile_graph(products, relations, has_cards=False)]
    with _timed(figures, memory, "publish"):
        published = publish(
            root,
            compiled.pop(),  # nothing else holds it: as in the pipeline it is let go when it is written
            inputs={"made_up": True},
            judge=lambda candidate: GateReport({"looked": candidate.n_edges}),
            created_at="2026-11-25T00:00:00Z",
        )
    figures["disk_gb"] = round(sum(path.stat().st_size for path in published.path.iterdir()) / 1e9, 2)
    return figures


def measured(sizes: Sequence[int], work: Path) -> Iterator[Figures]:
    """The figures of each size, by a process of its own."""
    for n in sizes:
        command = [sys.executable, "-m", "benchmarks.compiling", "--one", "--relations", str(n)]
        done = subprocess.run([*command, "--work", str(work)], stdout=subprocess.PIPE, text=True, check=True)
        yield json.loads(done.stdout.splitlines()[-1])


def draw(found: Sequence[Figures], path: Path) -> None:
    """Time and memory over relations, both logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    sizes = [f["relations"] for f in found]
    panels = (("wall_s", "seconds", "time"), ("own_gb", "GB", "memory of its own"))
    for axes, (name, unit, title) in zip(figure.subplots(1, 2), panels, strict=True):
        for step, marker in (("compile", "o"), ("publish", "s")):
            axes.plot(sizes, [f[f"{step}_{name}"] for f in found], marker=marker, label=step)
        axes.set(xscale="log", yscale="log", xlabel="relations", ylabel=unit, title=title)
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--relations", type=int, nargs="+", default=SIZES)
    parser.add_argument("--work", type=Path, help="where files go and stay; a temporary folder without it")
    parser.add_argument("--plot", type=Path, help="draw a picture of the growth here")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(compile_once(arguments.relations[0], arguments.work)))
        return
    steps = [f"{step}_{name}" for step in ("compile", "publish") for name in COLUMNS]
    print("| relations | SKUs | " + " | ".join(step.replace("_", " ") for step in steps) + " | disk gb |")
    print("|--:" * (len(steps) + 3) + "|")
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        for f in measured(arguments.relations, arguments.work or Path(temporary)):
            values = " | ".join(str(f[step]) for step in steps)
            print(f"| {f['relations']:,} | {f['skus']:,} | {values} | {f['disk_gb']} |", flush=True)
            found.append(f)
    if arguments.plot:
        draw(found, arguments.plot)


if __name__ == "__main__":
    main()
