"""A real small model on this machine: it invents, and the gate lets next to nothing of it in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pkgraph.errors import InputError
from resources.local_server import weights_file

ROOT = Path(__file__).parents[2]
LOCAL = "openai/smollm2-135m-instruct"
# Five kinds of eggs and three of pasta.
CATEGORIES = ("eggs-adaaf732", "dry-noodles-pasta-d74c24d5")


def rows(home: Path, table: str) -> pl.DataFrame:
    frames = [pl.read_parquet(home / "tables" / table / f"{key}.parquet") for key in CATEGORIES]
    return pl.concat(frames).filter(model=LOCAL)


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_a_local_model_answers_without_a_network_and_the_gate_shows_what_that_is_worth(
    tmp_path: Path,
) -> None:
    wanted = [argument for key in CATEGORIES for argument in ("--category", key)]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("pkgraph")), "build", "--yes", *wanted, "--settings",
         str(ROOT / "demo/local.toml"), "--accept-uncertified", "a local model without labels"],
        env={**os.environ, "PKGRAPH_HOME": str(tmp_path)}, cwd=ROOT, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=1_400, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    answers, scored = rows(tmp_path, "llm_responses"), rows(tmp_path, "scored_relations")
    assert answers["status"].to_list() == ["answered"] * 8
    assert answers.filter(pl.col("input_tokens") > 300).height == 8
    assert rows(tmp_path, "accepted_relations").height <= 0.1 * max(10, scored.height)
    assert f"{LOCAL}: {scored.filter('is_accepted').height} of {scored.height}" in " ".join(
        done.stdout.split()
    )


def test_a_model_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model file"):
        weights_file(str(tmp_path / "none.gguf"))
