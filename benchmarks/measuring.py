"""How an engine is asked: which questions, how often, and what of it is a figure."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines import Answer
from benchmarks.lists import Lists
from pkgraph.kernel import why_none
from pkgraph.recommend import Graph

N_QUESTIONS, N_COMPARED, N_HOT, SEED = 2_000, 300, 500, 1
MAX_ASKED, TIMES_HOT = 10, 3
COMPARE_SECONDS, WARM_SECONDS, MEASURE_SECONDS, HOT_SECONDS = 60.0, 2.0, 40.0, 5.0


def need_kernel() -> None:
    """End where NumPy would answer in its place: the figures would be of something else than their name."""
    reason = why_none()
    if reason:
        raise SystemExit(f"pkgraph's kernel does not answer: {reason}.")


def questions(graph: Graph) -> list[list[str]]:
    """One to ten popular SKUs of kinds that have relations."""
    lists, random = Lists(graph.snapshot.sections), np.random.default_rng(SEED)
    related = np.flatnonzero(np.diff(lists.offsets) > 0)
    picked = [
        random.choice(related, random.integers(1, MAX_ASKED + 1), replace=False) for _ in range(N_QUESTIONS)
    ]
    return [[lists.sections.sku_ids[row] for row in lists.products[kinds].tolist()] for kinds in picked]


def percentiles(taken: Sequence[int] | np.ndarray) -> dict[str, float]:
    p50, p99 = (np.percentile(taken, [50, 99]) / 1000).tolist()
    return {"p50": p50, "p99": p99, "n": len(taken)}


def timed(ask: Callable[[Any], object], asked: Sequence[Any], seconds: float) -> list[int]:
    """Nanoseconds of each question in turn, as many as fit into some seconds."""
    taken, end = [], time.perf_counter() + seconds
    for question in asked:
        start = time.perf_counter_ns()
        ask(question)
        taken.append(time.perf_counter_ns() - start)
        if time.perf_counter() > end:
            break
    return taken


def measure(ask: Callable[[Any], object], asked: Sequence[Any]) -> dict[str, float]:
    """Percentiles, after a tenth of the questions that is not counted."""
    timed(ask, asked[: len(asked) // 10], WARM_SECONDS)
    cpu = time.process_time()
    taken = timed(ask, asked, MEASURE_SECONDS)
    cpu = time.process_time() - cpu
    thrice = [question for question in asked[:N_HOT] for _ in range(TIMES_HOT)]
    return {
        **percentiles(taken),
        "cpu": cpu / len(taken) * 1e6,
        "hot": hot(timed(ask, thrice, HOT_SECONDS)),
    }


def hot(taken: Sequence[int]) -> float:
    """p50 of the best of each question's askings in a row."""
    whole = len(taken) // TIMES_HOT * TIMES_HOT
    return float(np.median(np.reshape(taken[:whole], (-1, TIMES_HOT)).min(axis=1)) / 1000)


def private_mb() -> float:
    """Memory that is no file's; `Private_Dirty` counts pages of a file that was just written, too."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:")) / 1024


def gb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def forget(folder: Path) -> None:
    """Let the system forget the files, as on a machine that did not write them.

    What was written while memory was short lies in small pages until then.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_anew(folder: Path) -> None:
    """Let the system forget the files and read them in again."""
    forget(folder)
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 24):
                    pass


def digest(answer: Answer) -> str:
    return hashlib.sha256(json.dumps([list(pair) for pair in answer]).encode()).hexdigest()[:16]


def digests(ask: Callable[[Any], Answer], asked: Sequence[Any]) -> list[str]:
    """Of the answers to the first questions, as many as fit into their time."""
    found, end = [], time.monotonic() + COMPARE_SECONDS
    for question in islice(asked, N_COMPARED):
        found.append(digest(ask(question)))
        if time.monotonic() > end:
            break
    return found
