"""A service that only reads pays for the standard library; for NumPy where it asks in words of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pkgraph.recommend import Graph
from tests.published import publish_shop
from tests.samples import run_sample

HEAVY = ("dagster", "polars", "sklearn", "pandas", "scipy", "pydantic", "sqlalchemy", "rapidfuzz", "litellm")
BLOCKING = """
import json, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
from pathlib import Path
from pkgraph.recommend import Graph
graph = Graph.published(Path(sys.argv[1]), verify=True)
"""
READING = """
print(graph.recommend(["f1"]).items[0].sku, graph.search("carn")[0].what)
if sys.argv[3:]:
    import pkgraph.serving
print(",".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""
ANSWERING = """
from dataclasses import asdict
in_stock = graph.in_stock(["c1", "t1", "nowhere"])
for seeds, options in json.loads(sys.argv[3]):
    if options.pop("in_stock", False):
        options["available"] = in_stock.holds
    print(json.dumps(asdict(graph.recommend(seeds, **options))))
    print(graph.recommend_json(seeds, **options).decode())
print(json.dumps([graph.knows("f1"), graph.knows("nowhere"), in_stock.n_skus]))
print(json.dumps([[asdict(purpose), graph.rationale(purpose.rationale_id)] for purpose in graph.purposes()]))
"""
LATER = """
graph.recommend_json(["f1"])
print("numpy" in sys.modules)
print(*graph.recommend(purpose="for a mother on her day").rationales)
print("numpy" in sys.modules)
"""
QUESTIONS: list[tuple[list[str], dict[str, Any]]] = [
    (["f1"], {}),
    (["f1", "nowhere", "k1"], {"k": 3}),
    (["nowhere"], {}),
    (["f1"], {"k": 100, "exclude": ["c1"], "min_probability": 0.8, "weights": [2.0]}),
    (["f1"], {"relation_types": ["complement", "occasion"], "max_per_kind": 2, "include_seed_kinds": True}),
    (["f1"], {"min_price": 1.0, "max_price": 5.0}),
    (["f1"], {"in_stock": True}),
    ([], {"purpose": "Mother's Day gift"}),
    (["f1"], {"purpose": "romantic evening", "categories": ["gifts", "nowhere"]}),
]
"""Asked of SKUs and purposes, by the short way and by the long one."""


def run(root: Path, program: str, blocked: tuple[str, ...], *more: str) -> list[str]:
    command = [sys.executable, "-c", BLOCKING + program, str(root), ",".join(blocked), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_opening_recommending_and_searching_load_no_heavy_package(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    answer, loaded = run(tmp_path, READING, HEAVY)
    assert answer.split() == ["c2", "product"]
    assert not set(loaded.split(",")) & {*HEAVY, "httptools", "uvloop"}


def test_the_code_that_the_readme_shows_a_service_recommends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_shop(tmp_path)
    run_sample("README.md", "from pathlib import Path", {".pkgraph/graph": str(tmp_path), "982833": "f1"})
    assert capsys.readouterr().out.startswith(
        "birthday card mother's day gift A card goes with the flowers.\n"
    )


def test_serving_loads_the_web_stack_and_no_heavy_package(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    loaded = run(tmp_path, READING, HEAVY, "serve")[-1].split(",")
    assert {"httptools", "uvloop"} <= set(loaded)
    assert not set(loaded) & {*HEAVY, "starlette", "uvicorn", "fastapi"}


def test_where_there_is_no_numpy_the_answers_are_those_of_numpy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_shop(tmp_path)
    *answers, known, purposes = run(tmp_path, ANSWERING, (*HEAVY, "numpy"), json.dumps(QUESTIONS))
    assert json.loads(known) == [True, False, 2]
    monkeypatch.setenv("PKGRAPH_NO_KERNEL", "1")
    graph = Graph.published(tmp_path)
    expected = []
    for seeds, options in QUESTIONS:
        given = {name: value for name, value in options.items() if name != "in_stock"}
        given |= {"available": {"c1", "t1"}} if "in_stock" in options else {}
        expected += [graph.recommend_json(seeds, **given).decode()] * 2
    assert [json.loads(answer) for answer in answers] == [json.loads(answer) for answer in expected]
    assert answers[1::2] == expected[1::2]
    assert json.loads(purposes) == [[asdict(purpose), purpose.rationale] for purpose in graph.purposes()]
    assert json.loads(answers[0])["items"][0]["paths"][0]["explanation"]


def test_numpy_is_loaded_where_words_are_searched(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    assert run(tmp_path, LATER, HEAVY) == ["False", "mother's day gift", "True"]
