"""The Dagster project beside the library: the commands that build need it, the commands that read do not."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pkgraph
from pkgraph.errors import InputError

MARK = "pkg_assets/definitions.py"


def project_root() -> Path:
    """The checkout: the nearest folder above this one, or the one pkgraph is installed from.

    Raises:
        InputError: There is none; the wheel alone has no pipeline.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(pkgraph.__file__).parents[1]):
        if (folder / MARK).is_file():
            return folder
    raise InputError(
        f"There is no pkgraph project ({MARK}) in {here} or above it.",
        remedy="Run this command in a checkout of pkgraph; the installed library alone can only read graphs.",
    )


def load(module: str) -> ModuleType:
    """A module of the project's rooms, which are never installed.

    Raises:
        InputError: There is no project, or the extra `pipeline` is not installed.
    """
    root = str(project_root())
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"The pipeline needs {error.name}, which is not installed.",
            remedy="Install the extra: pip install 'pkgraph[pipeline]', or run `make setup`.",
        ) from error
