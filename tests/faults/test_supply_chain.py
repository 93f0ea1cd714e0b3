"""No release that carried malware may be installed, and nothing runs at the start of every interpreter."""

from __future__ import annotations

import re
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
# 1.82.7 and 1.82.8 stole credentials, the second by a .pth file; up to 1.83.7 the proxy had an SQL injection.
STOLEN = ("1.82.7", "1.82.8")
# Coloured logs, setuptools' shim, and the editable install of this project.
KNOWN_PTH = re.compile(r"coloredlogs\.pth|distutils-precedence\.pth|_editable_impl_pkgraph\.pth")


def test_the_releases_of_litellm_that_carried_malware_are_excluded() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (wanted,) = [d for d in project["optional-dependencies"]["pipeline"] if d.startswith("litellm")]
    locked = re.search(r"^litellm==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)

    assert all(f"!={version}" in wanted for version in STOLEN)
    assert locked
    assert locked.group(1) not in STOLEN
    assert tuple(map(int, locked.group(1).split("."))) >= (1, 83, 7)


def test_every_requirement_is_locked_by_its_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^[\w.\[\]-]+==", lock, re.MULTILINE)

    assert len(pinned) > 100
    assert lock.count("--hash=sha256:") >= len(pinned)
    assert "://" not in lock


def test_nothing_unknown_runs_at_the_start_of_every_interpreter() -> None:
    found = [path.name for path in Path(sysconfig.get_path("purelib")).glob("*.pth")]

    assert [name for name in found if not KNOWN_PTH.fullmatch(name)] == []


def test_the_proxy_of_litellm_is_never_imported() -> None:
    sources = [
        path
        for room in ("pkgraph", "pkg_assets", "resources", "checks")
        for path in (ROOT / room).rglob("*.py")
    ]

    assert len(sources) > 100
    assert [path.name for path in sources if "litellm.proxy" in path.read_text(encoding="utf-8")] == []
