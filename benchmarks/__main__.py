"""Every published number, one command after another: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import runpy
import sys

NAMES = ("mapping", "gate", "serving", "kinds", "refresh", "freshness", "tokens")


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        print(f"\n== {name}\n")
        sys.argv = [f"benchmarks.{name}"]
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
