"""What `pip install pkgraph` brings: the library alone, with the kernel where there is a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.published import publish_shop

ROOT = Path(__file__).parents[2]
SOURCES = ("pkgraph", "kernel", "hatch_build.py", "pyproject.toml", "README.md", "LICENSE")
ASK = """
import sys
from pathlib import Path
from pkgraph.kernel import kernel
from pkgraph.recommend import Graph
graph = Graph.published(Path(sys.argv[1]))
print(graph.recommend_json(["f1", "k1"], weights=[1.0, 2.0], k=3).decode())
print(kernel() is not None)
"""


def built(folder: Path, **environment: str) -> Path:
    """The wheel of a copy of the sources, unpacked."""
    copy = folder / "sources"
    copy.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(
        command, cwd=copy, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return wheel


def answer(site: Path, root: Path) -> list[str]:
    environment = {"PYTHONPATH": str(site), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", ASK, str(root)]
    done = subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_library_with_its_kernel_and_nothing_else(wheel: Path) -> None:
    site = wheel.parent / "site"
    assert {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")} == {"pkgraph"}
    assert list(site.glob("pkgraph/_kernel.*.*")) != []
    assert (site / "pkgraph" / "py.typed").is_file()  # type checkers believe our annotations only with it
    assert not list(site.glob("**/*.c"))
    explorer = site / "pkgraph" / "serving" / "explorer"
    assert {path.suffix for path in explorer.iterdir()} == {".py", ".html", ".css", ".js"}
    assert "none-any" not in wheel.name


def test_without_a_compiler_the_wheel_is_for_any_machine_and_answers_the_same(
    wheel: Path, tmp_path: Path
) -> None:
    publish_shop(tmp_path / "graph")
    plain = built(tmp_path / "plain", CC="no-such-compiler")
    assert plain.name.endswith("-py3-none-any.whl")
    [compiled_answer, is_compiled], [plain_answer, is_plain] = (
        answer(found.parent / "site", tmp_path / "graph") for found in (wheel, plain)
    )
    assert (is_compiled, is_plain) == ("True", "False")
    assert plain_answer == compiled_answer
