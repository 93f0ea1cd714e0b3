"""The snapshot kept for every version of the format; `python -m tests.kept_snapshot` writes a new one."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import polars as pl

from pkgraph.snapshot import CompiledGraph
from pkgraph.snapshot.compile import compile_graph
from pkgraph.snapshot.format import FORMAT_VERSION
from tests.published import publish_shop
from tests.shop import STATEMENTS, Told, accepted, products

GOLDEN = Path(__file__).parent / "golden"
SURER: Told = (*STATEMENTS[0][:4], 0.97, 'A "card" goes with flowers – said better.')


def golden_graph() -> CompiledGraph:
    """The small shop, with one statement that two models made."""
    return compile_graph(products(), pl.concat([accepted(), accepted([SURER], model="model-b")]))


def main() -> None:
    folder = GOLDEN / f"format-{FORMAT_VERSION}"
    with tempfile.TemporaryDirectory() as temporary:
        published = publish_shop(Path(temporary), golden_graph())
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(published.path, folder, copy_function=shutil.copyfile)


if __name__ == "__main__":
    main()
