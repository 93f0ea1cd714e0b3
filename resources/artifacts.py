"""Fitted things that are no tables: the phrase index and the classifier, replaced whole and atomically."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import dagster as dg
from pydantic import Field

from pkgraph.home import Home


class Artifacts(dg.ConfigurableResource[None]):
    home: str = Field(description="The home folder of the shop.")

    def path(self, name: str) -> Path:
        return Home(Path(self.home)).models / name

    def write(self, name: str, content: bytes) -> None:
        """Replace an artifact; a reader sees the old one or the new one, whole."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        """The artifact's bytes.

        Raises:
            dg.Failure: It was never made.
        """
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            raise dg.Failure(f"{name} was never made. Materialize it first.", allow_retries=False) from None
