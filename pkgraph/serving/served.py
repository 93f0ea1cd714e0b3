"""What answers now, and its replacement when a new commit or a new stock list appears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pkgraph.errors import InputError, PkgraphError, SnapshotDamaged, SnapshotError
from pkgraph.recommend import Graph, InStock
from pkgraph.serving.problems import COMMON
from pkgraph.snapshot import RULES, Snapshot, open_published, open_record
from pkgraph.snapshot.commits import find_record, sequences
from pkgraph.snapshot.offenders import Derived
from pkgraph.snapshot.retention import hold

if TYPE_CHECKING:
    from pkgraph.serving.stock import Stock, WatchedStock

MOST_LOOKS = 1024
"""Looks until a commit that could not be read is tried again: 1, 2, 4 and so on to 7 minutes of looks.

A disk that always fails would otherwise have gigabytes verified twice a second.
"""

WARMED_SKUS = 64
"""SKUs asked before a graph answers, spread over the catalog; the first query on cold pages took 117 ms."""

OUR_VERSION = version("pkgraph")


@dataclass(frozen=True, slots=True)
class Current:
    """One graph under one stock list: a request takes it once, so no answer mixes two.

    Attributes:
        in_stock: SKUs that may be served; None: all.
        available: The same, as the recommender takes it.
        etag: Changes with the commit, the stock list and our version.
        head: Header lines of an answer from it.
    """

    graph: Graph
    in_stock: InStock | None
    available: Callable[[str], bool] | None
    etag: bytes
    head: bytes


def _current(graph: Graph, stock: Stock | None) -> Current:
    record = graph.snapshot.record
    parts = [OUR_VERSION, str(record.sequence if record else 0), graph.snapshot_id]
    etag = f'"{"-".join([*parts, stock.digest] if stock else parts)}"'.encode()
    head = b"content-type: application/json\r\ncache-control: no-cache\r\netag: " + etag + b"\r\n" + COMMON
    in_stock = graph.in_stock(stock.skus()) if stock else None
    return Current(graph, in_stock, in_stock.holds if in_stock else None, etag, head)


def _warmed(snapshot: Snapshot) -> Graph:
    """A graph that was asked already.

    Raises:
        SnapshotDamaged: A score in it is no share: such a graph was not made by the gate.
    """
    rule = RULES["every_score_is_finite_and_a_share"]
    offenders = rule.offenders(snapshot.sections, Derived(snapshot.sections, snapshot.manifest.intake))
    if offenders:
        raise SnapshotDamaged(f"{snapshot.path} has {offenders} scores that are no shares.")
    graph, skus = Graph(snapshot), snapshot.sections.sku_ids
    for row in range(0, len(skus), max(1, len(skus) // WARMED_SKUS)):
        graph.recommend_json([skus[row]])
    graph.search("a", 1)
    return graph


def _may_pass(error: PkgraphError) -> bool:
    return isinstance(error, SnapshotDamaged) and error.may_pass


class Served:
    """Holds one reference to what answers.

    Attributes:
        current: What answers; None before anything was published, or before a stock list could be read.
        fault: Why the newest commit is not what answers; None on a good day.
        n_failures: How often a new commit was refused.
    """

    def __init__(self, root: Path, *, stock: WatchedStock | None = None, pin: str | None = None) -> None:
        self.root = Path(root)
        self.stock = stock
        self.pin = pin
        self.current: Current | None = None
        self.fault: str | None = None
        self.n_failures = 0
        self._graph: Graph | None = None
        self._looked_at = -1
        self._looks_left, self._looks_next = 0, 1

    @property
    def sequence(self) -> int:
        """Number of the commit that answers, 0 where there is none."""
        record = self._graph.snapshot.record if self._graph else None
        return record.sequence if record else 0

    @property
    def faults(self) -> list[str]:
        """All that is wrong: with a newer commit, with the stock list."""
        return [fault for fault in (self.fault, self.stock.fault if self.stock else None) if fault]

    def refresh(self) -> bool:
        """Look for a new commit and a new stock list; if anything is wrong with one, the old one stays.

        A snapshot is verified byte by byte and asked some questions before it answers.

        Returns:
            Whether another graph or another list answers now.
        """
        has_new_stock = self.stock.refresh() if self.stock else False
        has_new_graph = self._look_for_graph()
        if not (has_new_graph or has_new_stock):
            return False
        stock = self.stock.stock if self.stock else None
        if self._graph is None or (self.stock and stock is None):
            return False  # a list was asked for and none is known: nothing may be served
        self.current = _current(self._graph, stock)
        return True

    def _look_for_graph(self) -> bool:
        try:
            newest = next(iter(sequences(self.root)), 0)
            if (self.pin and self._graph) or not self._is_due(newest):
                return False
            found = self._pinned(self.pin) if self.pin else open_published(self.root, verify=True)
            self._has_looked(newest, again=found.is_stopgap)
            return self._take(found)
        except (SnapshotError, InputError) as error:
            self._has_looked(newest, again=bool(self.pin) or _may_pass(error))
            self.refused(error.what)
        except OSError as error:  # too many open files, a share that is away: the next look may succeed
            self._looked_at = -1
            self.refused(f"{self.root} cannot be read: {error.strerror}.")
        return False

    def _is_due(self, newest: int) -> bool:
        if newest != self._looked_at:
            self._looks_next = 1
            return True
        self._looks_left -= 1
        return self._looks_left == 0

    def _has_looked(self, newest: int, *, again: bool) -> None:
        """Remember which commit was tried; with `again`, to try it another time."""
        self._looked_at = newest
        self._looks_left = self._looks_next if again else 0
        self._looks_next = min(2 * self._looks_next, MOST_LOOKS)

    def _pinned(self, pin: str) -> Snapshot:
        record = find_record(self.root, pin)
        hold(record.path)
        return open_record(record, verify=True)

    def _take(self, found: Snapshot) -> bool:
        self.refused(found.skipped[0] if found.skipped else None)
        sequence = found.record.sequence if found.record else 0
        # What answers now was readable when it was opened: it stays rather than an older one.
        if sequence <= self.sequence:
            return False
        self._graph = _warmed(found)
        return True

    def refused(self, fault: str | None) -> None:
        """Remember why the newest commit is not what answers; the same reason again is no new failure."""
        self.n_failures += fault not in {None, self.fault}
        self.fault = fault
