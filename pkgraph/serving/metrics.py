"""Counters of all workers in one shared page, and their text for Prometheus.

Every worker writes its own row of a small shared file and nothing else; whoever is scraped adds the rows up.
A worker that is started again goes on with its predecessor's row, so no counter ever falls.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROUTES = (
    "item",
    "product",
    "statements",
    "recommendations",
    "rationales",
    "rationale_products",
    "search",
    "snapshot",
    "livez",
    "readyz",
    "metrics",
    "openapi",
    "docs",
    "explorer",
    "none",
)
METHODS = ("GET", "HEAD", "POST", "other")
STATUSES = (200, 304, 400, 404, 405, 408, 413, 414, 415, 421, 431, 500, 503)
BUCKETS_US = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000)

COUNTERS = {
    "recommendations_empty_total": "Item questions whose answer had no product.",
    "snapshot_load_failures_total": "New commits that were refused.",
    "snapshot_swaps_total": "Graphs and stock lists that were taken.",
    "stock_load_failures_total": "Stock lists that were refused.",
    "worker_starts_total": "Starts of worker processes.",
}
CUTS = ("silent", "slow_request", "slow_reader", "idle", "full")
"""Why a connection was closed on a caller: http_connections_cut_total{reason}."""

GAUGES = {
    "http_connections": "Connections that are open.",
    "snapshot_sequence": "Number of the commit that answers; the lowest of the workers.",
    "stock_skus": "SKUs of the snapshot that the stock list holds; 0 without a list.",
    "faults": "What /readyz names as wrong: a refused commit, a refused stock list; the most of a worker.",
}
_OF_ALL: Mapping[str, Callable[[list[int]], int]] = {"http_connections": sum, "faults": max}
"""What a gauge is of all workers, where it is not the lowest: one worker that is behind is what matters."""

_CODE_CELL = {key: i for i, key in enumerate((r, m, s) for r in ROUTES for m in METHODS for s in STATUSES)}
_N_BUCKETS = len(BUCKETS_US) + 1
_TIME_CELL = {route: len(_CODE_CELL) + i * _N_BUCKETS for i, route in enumerate(ROUTES)}
_SUM_CELL = {route: len(_CODE_CELL) + len(ROUTES) * _N_BUCKETS + i for i, route in enumerate(ROUTES)}
_FIRST_NAMED = len(_CODE_CELL) + len(ROUTES) * (_N_BUCKETS + 1)
_CELL = {name: _FIRST_NAMED + i for i, name in enumerate((*COUNTERS, *CUTS, *GAUGES))}
N_CELLS = _FIRST_NAMED + len(_CELL)


def shared_page(n_workers: int) -> int:
    """A descriptor of a nameless file with a row of zeros a worker; it goes with the last process."""
    with tempfile.TemporaryFile() as file:
        file.truncate(8 * N_CELLS * n_workers)
        return os.dup(file.fileno())


class Metrics:
    """The counters of one worker, and the sight of all of them."""

    def __init__(self, page: int, worker: int = 0) -> None:
        self._all = memoryview(mmap.mmap(page, 0)).cast("Q")
        self._mine = self._all[worker * N_CELLS : (worker + 1) * N_CELLS]

    @property
    def n_workers(self) -> int:
        return len(self._all) // N_CELLS

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        mine, us = self._mine, seconds * 1e6
        mine[_CODE_CELL[route, method, status]] += 1
        mine[_TIME_CELL[route] + bisect_left(BUCKETS_US, us)] += 1
        mine[_SUM_CELL[route]] += int(us * 1_000)

    def count(self, name: str, n: int = 1) -> None:
        """Add to a counter, or a reason of CUTS."""
        self._mine[_CELL[name]] += n

    def show(self, name: str, value: int) -> None:
        """Set a gauge."""
        self._mine[_CELL[name]] = value

    def _column(self, cell: int) -> list[int]:
        return self._all[cell::N_CELLS].tolist()

    def _sum(self, cell: int) -> int:
        return sum(self._column(cell))

    def text(self, snapshot_id: str | None, age_seconds: float | None) -> str:
        """Everything, in the text format of Prometheus."""
        lines = [*self._requests(), *self._durations(), *self._named()]
        lines += _family("workers", "gauge", "Worker processes.", [("", self.n_workers)])
        served = [(f'{{id="{snapshot_id}"}}', 1)] if snapshot_id else []
        lines += _family("snapshot_info", "gauge", "The snapshot that answers.", served)
        ages = [] if age_seconds is None else [("", round(age_seconds, 3))]
        lines += _family("snapshot_age_seconds", "gauge", "Time since the served commit was made.", ages)
        return "".join(f"{line}\n" for line in lines)

    def _requests(self) -> Iterator[str]:
        counts = ((key, self._sum(cell)) for key, cell in _CODE_CELL.items())
        samples = [
            (f'{{route="{route}",method="{method}",code="{status}"}}', n)
            for (route, method, status), n in counts
            if n
        ]
        yield from _family("http_requests_total", "counter", "Answers by route, method and code.", samples)

    def _durations(self) -> Iterator[str]:
        name = "http_request_duration_seconds"
        samples: list[tuple[str, float]] = []
        for route in ROUTES:
            counts = [self._sum(_TIME_CELL[route] + i) for i in range(_N_BUCKETS)]
            if not any(counts):
                continue
            bounds = [f"{us / 1e6:g}" for us in BUCKETS_US] + ["+Inf"]
            label = f'route="{route}"'
            for i, bound in enumerate(bounds):
                samples.append((f'_bucket{{{label},le="{bound}"}}', sum(counts[: i + 1])))
            samples.append((f"_sum{{{label}}}", self._sum(_SUM_CELL[route]) / 1e9))
            samples.append((f"_count{{{label}}}", sum(counts)))
        yield from _family(name, "histogram", "Time from a whole request to its answer.", samples)

    def _named(self) -> Iterator[str]:
        for name, says in COUNTERS.items():
            yield from _family(name, "counter", says, [("", self._sum(_CELL[name]))])
        cuts = [(f'{{reason="{reason}"}}', self._sum(_CELL[reason])) for reason in CUTS]
        says = "Connections closed on a caller, by reason."
        yield from _family("http_connections_cut_total", "counter", says, cuts)
        for name, says in GAUGES.items():
            value = _OF_ALL.get(name, min)(self._column(_CELL[name]))
            yield from _family(name, "gauge", says, [("", value)])


def _family(name: str, kind: str, says: str, samples: Sequence[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP pkgraph_{name} {says}"
    yield f"# TYPE pkgraph_{name} {kind}"
    for label, value in samples:
        yield f"pkgraph_{name}{label} {value}"
