"""What refreshing one category costs against a full build: `python -m benchmarks.rebuild [--home FOLDER]`.

Each line is a process of its own, imports included: a `pkgraph build`, or what the daemon does, from the look
that notices a category to the commit. One category has got new answers (the last statement of each is gone),
then all that follows from it for the others is made as well. The shop certifies nothing, because new answers
would wait for labels where something is certified, and then nothing of them would be published.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from pkgraph.home import Home
from pkgraph.llm import Ledger
from pkgraph.snapshot import snapshots
from pkgraph.tables import PROMPTS

PROJECT = Path(__file__).parents[1]
ANSWERS = ("answers.jsonl", "answers_small.jsonl")
REASON = "a benchmark"


class Cost(NamedTuple):
    """What a process took: seconds, new answers in the ledger, commits there are now."""

    wall_s: float
    cpu_s: float
    n_answers: int
    n_commits: int


@dataclass(frozen=True, slots=True)
class Shop:
    """The demo shop with answers of its own to change."""

    home: Home
    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "shop.toml"

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ANSWERS:
            (self.folder / name).write_bytes((PROJECT / "demo" / name).read_bytes())
        demo = PROJECT / "demo"
        lines = (demo / "pkgraph.toml").read_text(encoding="utf-8").splitlines()
        text = "\n".join(line for line in lines if not line.startswith("calibration"))
        text += f'\n[freshness]\npublish_every_minutes = 0\naccept_uncertified = "{REASON}"\n'
        for path in demo.iterdir():
            if path.name not in ANSWERS:
                text = text.replace(f'"{path.name}"', f'"{path}"')
        self.settings.write_text(text, encoding="utf-8")

    def change_answers(self, prompt_ids: set[str]) -> None:
        for name in ANSWERS:
            path = self.folder / name
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            path.write_text("".join(json.dumps(_shorter(row, prompt_ids)) + "\n" for row in rows))

    def n_answers(self) -> int:
        if not self.home.ledger.exists():
            return 0
        with Ledger.open(self.home.ledger) as ledger:
            return ledger.totals().n_answers

    def build(self, *arguments: str) -> Cost:
        code = "from pkgraph.cli import main; main()"
        return self._timed("-c", code, "build", *arguments, "--accept-uncertified", REASON)

    def play(self, key: str) -> Cost:
        """The same of the daemon, which notices that this category is not what it was refreshed with."""
        return self._timed("-m", "benchmarks.played_refresh", key)

    def _timed(self, *arguments: str) -> Cost:
        before, cpu_s = self.n_answers(), _cpu_s()
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "PKGRAPH_HOME": str(self.home.root)},
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        wall_s = time.perf_counter() - start
        n_commits = len(snapshots(self.home.graph))
        return Cost(wall_s, _cpu_s() - cpu_s, self.n_answers() - before, n_commits)


def _cpu_s() -> float:
    """CPU seconds of all children so far: unlike wall time, other work on the machine hardly adds to them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _shorter(row: dict[str, object], prompt_ids: set[str]) -> dict[str, object]:
    """An answer without its last statement, where it is of these prompts and can be read."""
    if row["prompt_id"] not in prompt_ids:
        return row
    try:
        answer = json.loads(str(row["text"]))
        answer["relations"] = answer["relations"][:-1]
    except (ValueError, KeyError, TypeError):
        return row
    return {**row, "text": json.dumps(answer)}


def _middle_category(home: Home) -> tuple[str, set[str]]:
    """The category with the middle number of prompts, and these."""
    paths = sorted((home.tables / PROMPTS.name).glob("*.parquet"))
    prompts = {path.stem: set(pl.read_parquet(path)["prompt_id"]) for path in paths}
    by_size = sorted((len(ids), key) for key, ids in prompts.items() if key != "purposes")
    key = by_size[len(by_size) // 2][1]
    return key, prompts[key]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="An empty folder to use and keep.")
    given = parser.parse_args().home
    with tempfile.TemporaryDirectory() as made:
        root = given.resolve() if given else Path(made)
        shop = Shop(Home(root / "home"), root / "shop")
        shop.write()
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        names = ("wall s", "share", "CPU s", "share", "answers", "commits")
        print(f"{'build':<60}", *(f"{name:>8}" for name in names))
        full = _line("everything", shop.build("--settings", str(shop.settings)), None)
        _line("nothing changed", shop.build(), full)
        key, prompt_ids = _middle_category(shop.home)
        shop.change_answers(prompt_ids)
        _line(f"one of the categories ({key})", shop.build("--category", key), full)
        shop.change_answers(prompt_ids)
        _line("... once more, by the daemon's sensors", shop.play(key), full)
        _line("... then what follows for all others", shop.build(), full)


def _line(name: str, cost: Cost, full: Cost | None) -> Cost:
    of = full or cost
    told = (f"{cost.wall_s:.1f}", f"{cost.wall_s / of.wall_s:.1%}", f"{cost.cpu_s:.1f}")
    told += (f"{cost.cpu_s / of.cpu_s:.1%}", str(cost.n_answers), str(cost.n_commits))
    print(f"{name:<60}", *(f"{one:>8}" for one in told), flush=True)
    return cost


if __name__ == "__main__":
    main()
