"""The graph that answers now, and its replacement when a new commit appears."""

from __future__ import annotations

from pathlib import Path

from pkgraph.errors import SnapshotDamaged, SnapshotMissing
from pkgraph.recommend import Graph
from pkgraph.snapshot.commits import open_published, sequences


class Served:
    """Holds one reference to a graph; a request takes it once, so no answer mixes two snapshots.

    Attributes:
        graph: What answers; None before anything was published.
        fault: Why the newest commit is not what answers; None on a good day.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.graph: Graph | None = None
        self.fault: str | None = None
        self._looked_at = -1
        self.refresh()

    @property
    def sequence(self) -> int:
        """Number of the commit that answers, 0 where there is none."""
        record = self.graph.snapshot.record if self.graph else None
        return record.sequence if record else 0

    def refresh(self) -> bool:
        """Look for a new commit, verify what it names and swap it in; if anything is wrong the old one stays.

        Verifying reads every byte, so the first request finds the pages in memory.

        Returns:
            Whether another snapshot answers now.
        """
        try:
            newest = next(iter(sequences(self.root)), 0)
            if newest == self._looked_at:
                return False
            found = open_published(self.root, verify=True)
        except (SnapshotDamaged, SnapshotMissing) as error:
            self._looked_at, self.fault = newest, error.what
            return False
        except OSError as error:  # too many open files, a share that is away: the next look may succeed
            self.fault = f"{self.root} cannot be read: {error.strerror}."
            return False
        self._looked_at = newest
        self.fault = found.skipped[0] if found.skipped else None
        if found.record is None or found.record.sequence == self.sequence:
            return False
        if (
            found.record.sequence < self.sequence
        ):  # what answers now was readable when it was opened: it stays
            return False
        self.graph = Graph(found)
        return True
