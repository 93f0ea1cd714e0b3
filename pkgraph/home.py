"""Where everything of one shop lies: one home folder, `PKGRAPH_HOME` or `./.pkgraph`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Home:
    """The folders and files of a home; nothing is created by naming them."""

    root: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Home:
        return cls(Path(environment.get("PKGRAPH_HOME") or ".pkgraph").resolve())

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def settings(self) -> Path:
        """The settings of the last build, with absolute paths; the UI and later builds use them."""
        return self.root / "settings.json"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.sqlite"

    @property
    def labels(self) -> Path:
        """What reviewers said, see `pkgraph.labels.store`."""
        return self.root / "labels.sqlite"

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def models(self) -> Path:
        """Fitted things that are no tables: the phrase index, the classifier."""
        return self.root / "models"

    @property
    def traces(self) -> Path:
        """What each step of a build was last made from, so that an unchanged one is not made again."""
        return self.root / "traces"

    @property
    def graph(self) -> Path:
        """Snapshots and commits."""
        return self.root / "graph"
