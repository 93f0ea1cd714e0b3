"""Questions made from the contract and against it: no answer is a 5xx, and every one is as documented."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.figures import Figure
from tests.published import publish_shop
from tests.serving.server import running

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)
"""All but `positive_data_acceptance`: that a lowest price lies below the highest, that there are as many
weights as seeds, and that a body has at most 1 MiB, is not said in JSON Schema."""


CONFIGURATION = """
[checks]
negative_data_rejection.expected-statuses = ["400", "404", "405", "413", "414", "415", "431"]
"""
"""What is too long may be refused for its length before anyone looks at what is wrong in it."""


def fuzzed(url: str, folder: Path, *options: str) -> int:
    """Cases that schemathesis sent; it fails where one was answered wrongly."""
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    schemathesis = Path(sys.executable).with_name("schemathesis")
    command = [str(schemathesis), "run", f"{url}/openapi.json", "--checks", ",".join(CHECKS), "--seed", "1"]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, cwd=folder, timeout=2900, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    found = re.search(r"(\d+) generated", done.stdout)
    assert found, done.stdout[-1000:]
    return int(found[1])


QUICK = ("--phases", "fuzzing", "--max-examples", "6")
THOROUGH = ("--max-examples", "450")


@pytest.mark.parametrize(
    ("options", "least"),
    [
        (QUICK, 30),
        pytest.param(THOROUGH, 5_000, marks=[pytest.mark.slow, pytest.mark.timeout(3000)]),
    ],
    ids=["quick", "thorough"],
)
def test_no_question_leads_to_a_fault_of_the_server(
    options: tuple[str, ...], least: int, tmp_path: Path, figure: Figure
) -> None:
    publish_shop(tmp_path / "graph")
    with running(tmp_path / "graph") as server:
        n_cases = fuzzed(server.url, tmp_path, *options)
        lines = server.get("/metrics").text.splitlines()
        n_5xx = sum('code="500"' in line for line in lines)
        faults = [event for event in server.events if event["event"].endswith("_failed")]
    figure(f"{n_cases} cases, {n_5xx} kinds of request answered 500")
    assert n_cases >= least
    assert (faults, n_5xx) == ([], 0)


FAILING = """
from pkgraph.recommend import Graph
def search(*_, **__):
    raise RuntimeError("a fault of the server")
Graph.search = search
"""


@pytest.mark.slow
def test_a_server_that_fails_at_one_kind_of_question_is_found(tmp_path: Path) -> None:
    """The control."""
    publish_shop(tmp_path / "graph")
    with (
        running(tmp_path / "graph", first=FAILING) as server,
        pytest.raises(AssertionError, match="Server error"),
    ):
        fuzzed(server.url, tmp_path, *QUICK)
