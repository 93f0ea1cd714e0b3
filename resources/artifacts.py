"""Fitted things that are no tables: the phrase index and the classifier, replaced whole and atomically."""

from __future__ import annotations

import glob
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import dagster as dg
from pydantic import Field

from pkgraph.home import Home
from resources.processes import is_alive


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to; it takes the place of `path`, durably, once the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.{uuid4().hex}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """What killed writers of this machine left beside `path`; of other machines nothing is known."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{glob.escape(platform.node())}.*.*"):
        writer = left.name.split(".")[-2]
        if writer.isdigit() and not is_alive(int(writer)):
            left.unlink(missing_ok=True)


INDEX = "kind_index.json"
JUDGEMENT = "judgement.json"


class Artifacts(dg.ConfigurableResource[None]):
    home: str = Field(description="The home folder of the shop.")

    def path(self, name: str) -> Path:
        return Home(Path(self.home)).models / name

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        with replacing(self.path(name)) as path:
            yield path

    def read(self, name: str) -> str:
        """An artifact's text.

        Raises:
            dg.Failure: It was never made.
        """
        try:
            return self.path(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise dg.Failure(f"{name} was never made. Materialize it first.", allow_retries=False) from None
