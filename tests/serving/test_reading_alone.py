"""A service that only reads pays for numpy and the standard library, nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.published import publish_shop

HEAVY = ("dagster", "polars", "sklearn", "pandas", "scipy", "pydantic", "sqlalchemy", "rapidfuzz", "litellm")
PROGRAM = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
from pathlib import Path
from pkgraph.recommend import Graph
graph = Graph.published(Path(sys.argv[1]), verify=True)
print(graph.recommend(["f1"]).items[0].sku, graph.search("carn")[0].what)
if sys.argv[3:]:
    import pkgraph.serving
print(",".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def run(root: Path, *more: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, str(root), ",".join(HEAVY), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_opening_recommending_and_searching_load_no_heavy_package(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    answer, loaded = run(tmp_path)
    assert answer.split() == ["c2", "product"]
    assert not set(loaded.split(",")) & {*HEAVY, "httptools", "uvloop"}


def test_serving_loads_the_web_stack_and_no_heavy_package(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    loaded = run(tmp_path, "serve")[-1].split(",")
    assert {"httptools", "uvloop"} <= set(loaded)
    assert not set(loaded) & {*HEAVY, "starlette", "uvicorn", "fastapi"}
