"""How time and memory of compiling and publishing grow: `python -m benchmarks.compiling [--relations N ...]`.

Every size runs in a process of its own, so that its peak of memory is its own. What is published is mapped to
be judged: its pages count into that peak, though they are the first that the system takes back.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZES = (300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000)
RELATIONS_A_SKU = 15


@contextmanager
def _timed(figures: dict[str, float], name: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    figures[name] = round(time.perf_counter() - wall, 2)
    figures[f"{name}_cpu"] = round(time.process_time() - cpu, 2)
    figures[f"{name}_peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def compile_once(n_relations: int, work: Path) -> dict[str, float]:
    """Compile and publish a made-up shop whose relations lie in files; seconds, CPU seconds, peak GB."""
    from benchmarks.synthetic import Shop
    from pkgraph.model import GateReport
    from pkgraph.snapshot import publish
    from pkgraph.snapshot.compile import compile_graph

    shop = Shop(max(1000, n_relations // RELATIONS_A_SKU), n_relations)
    relations = shop.write_relations(work / f"relations-{n_relations}")
    products = shop.products()
    figures: dict[str, float] = {"relations": n_relations, "skus": shop.n_skus}
    with _timed(figures, "compile"):
        compiled = compile_graph(products, relations)
    with _timed(figures, "publish"):
        published = publish(
            work / f"graph-{n_relations}",
            compiled,
            inputs={"made_up": True},
            judge=lambda candidate: GateReport({"looked": candidate.n_edges}),
            created_at="2026-11-25T00:00:00Z",
        )
    figures["edges"] = compiled.n_edges
    figures["disk_gb"] = round(sum(path.stat().st_size for path in published.path.iterdir()) / 1e9, 2)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--relations", type=int, nargs="+", default=SIZES)
    parser.add_argument("--work", type=Path, help="where files go and stay; a temporary folder without it")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(compile_once(arguments.relations[0], arguments.work)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        print(f"{'relations':>12} {'SKUs':>10} {'compile s':>10} {'cpu s':>7} {'peak GB':>8}", end="")
        print(f" {'publish s':>10} {'cpu s':>7} {'peak GB':>8} {'disk GB':>8}")
        for n in arguments.relations:
            command = [sys.executable, "-m", "benchmarks.compiling", "--one", "--relations", str(n)]
            done = subprocess.run([*command, "--work", str(work)], capture_output=True, text=True, check=True)
            f = json.loads(done.stdout.splitlines()[-1])
            print(f"{n:>12,} {f['skus']:>10,} {f['compile']:>10} {f['compile_cpu']:>7}", end="")
            print(f" {f['compile_peak_gb']:>8} {f['publish']:>10} {f['publish_cpu']:>7}", end="")
            print(f" {f['publish_peak_gb']:>8} {f['disk_gb']:>8}", flush=True)


if __name__ == "__main__":
    main()
