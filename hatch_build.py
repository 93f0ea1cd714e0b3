"""Builds the compiled kernel beside the library, where there is a C compiler; without one NumPy answers."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

UNIX_FLAGS = ["-std=c11", "-O3", "-g0", "-Wall", "-Wextra", "-fvisibility=hidden", "-ffp-contract=off"]
"""No contraction: a fused multiply-add would round a probability otherwise than NumPy."""


class KernelHook(BuildHookInterface[Any]):
    """Compiles `kernel/*.c` into `pkgraph/_kernel`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        built = self._build()
        if built is None:
            self.app.display_warning("The compiled kernel was not built; NumPy will answer, more slowly.")
            return
        build_data["infer_tag"] = True
        build_data["pure_python"] = False
        if version != "editable":
            build_data["artifacts"].append(f"pkgraph/{built.name}")

    def _build(self) -> Path | None:
        """The built module; None where there is no compiler that builds it."""
        try:
            from setuptools import Distribution, Extension
            from setuptools.command.build_ext import build_ext
        except ImportError:
            return None
        root = Path(self.root)
        extension = Extension(
            "pkgraph._kernel",
            sources=[str(path.relative_to(root)) for path in sorted((root / "kernel").glob("*.c"))],
            include_dirs=["kernel"],
            extra_compile_args=[] if sys.platform == "win32" else UNIX_FLAGS,
            optional=True,  # a compiler that fails is said and passed over
        )
        command = build_ext(Distribution({"name": "pkgraph", "ext_modules": [extension]}))
        built = root / command.get_ext_filename("pkgraph._kernel")
        built.unlink(missing_ok=True)  # what cannot be built again must not be taken for built
        with tempfile.TemporaryDirectory() as temporary:
            command.build_temp, command.inplace, command.force = temporary, True, True
            command.ensure_finalized()
            command.run()
        return built if built.exists() else None
