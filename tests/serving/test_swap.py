"""What a running server does when a commit, a stock list or a fault appears, and how it starts and stops."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pkgraph.recommend import Graph
from pkgraph.snapshot import rollback
from pkgraph.snapshot.compile import compile_graph
from tests.published import CREATED_AT, graph_of, publish_shop
from tests.serving.server import Server, running
from tests.shop import SHOP, STATEMENTS, accepted, products

ITEM = "/v1/items/f1/recommendations"


def skus(server: Server, path: str = ITEM) -> list[str]:
    return [item["sku"] for item in server.get(path).json()["items"]]


def damage(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.unlink()
    file.write_bytes(bytes(raw))


def test_a_new_commit_answers_within_a_second_and_its_etag_is_new(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    with running(tmp_path) as server:
        tag = server.get(ITEM).headers["etag"]
        second = publish_shop(tmp_path, graph_of(STATEMENTS[:1]), version="2")
        started = time.monotonic()
        server.until("/readyz", lambda answer: answer.json()["snapshot_id"] == second.snapshot_id)
        took = time.monotonic() - started
        again = server.get(ITEM, headers={"if-none-match": tag})
        server.until("/livez", lambda _: server.metric("pkgraph_snapshot_swaps_total") == 2)
    assert (again.status_code, len(again.json()["items"])) == (200, 1)
    assert took < 5  # 0.4 s between two looks; the rest is for a machine that is busy with something else


def test_without_a_snapshot_it_is_alive_not_ready_and_ready_after_the_first_publish(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        missing = server.get(ITEM)
        assert server.get("/livez").status_code == 200
        assert server.get("/readyz").status_code == 503
        assert (missing.status_code, missing.json()["type"]) == (503, "urn:pkgraph:problem:no-snapshot")
        assert missing.headers["retry-after"] == "1"
        first = publish_shop(tmp_path)
        ready = server.until("/readyz", lambda answer: answer.status_code == 200)
    assert ready.json() == {
        "ready": True,
        "snapshot_id": first.snapshot_id,
        "sequence": 1,
        "stock_skus": None,
        "faults": [],
    }


def test_a_damaged_new_snapshot_is_refused_reported_and_the_old_one_stays(tmp_path: Path) -> None:
    first = publish_shop(tmp_path)
    with running(tmp_path) as server:
        damaged = publish_shop(tmp_path, version="2", moment=_damaging(tmp_path))
        ready = server.until("/readyz", lambda answer: bool(answer.json()["faults"])).json()
        assert (ready["ready"], ready["snapshot_id"]) == (True, first.snapshot_id)
        assert "row_weight.arr" in ready["faults"][0]
        server.until("/livez", lambda _: server.metric("pkgraph_snapshot_load_failures_total") == 1)
        assert server.metric("pkgraph_faults") == 1
        publish_shop(tmp_path, version="3")
        server.until("/readyz", lambda answer: answer.json()["sequence"] == damaged.sequence + 1)
        assert server.get("/readyz").json()["faults"] == []


def _damaging(root: Path) -> Callable[[str], None]:
    """Turn a bit between the gate and the commit, as a dying disk does."""

    def moment(name: str) -> None:
        if name == "commit_written":
            [newest] = (root / "snapshots").glob("2-*")
            damage(newest / "row_weight.arr")

    return moment


def test_a_server_started_on_a_damaged_newest_serves_the_one_before(tmp_path: Path) -> None:
    first, second = publish_shop(tmp_path), publish_shop(tmp_path, version="2")
    damage(second.path / "row_weight.arr")
    with running(tmp_path) as server:
        ready = server.get("/readyz").json()
    assert (ready["ready"], ready["snapshot_id"]) == (True, first.snapshot_id)
    assert "row_weight.arr" in ready["faults"][0]


def test_a_server_started_where_all_is_damaged_says_so_until_the_next_publish(
    tmp_path: Path,
) -> None:
    damage(publish_shop(tmp_path).path / "row_weight.arr")
    with running(tmp_path) as server:
        answer = server.get("/readyz")
        assert (answer.status_code, "row_weight.arr" in answer.json()["faults"][0]) == (503, True)
        refused = server.get(ITEM)
        assert (refused.status_code, refused.json()["detail"]) == (
            503,
            "Nothing is served yet; /readyz says why.",
        )
        assert str(tmp_path) not in refused.text  # callers from outside learn nothing of the machine
        publish_shop(tmp_path)
        server.until("/readyz", lambda found: found.status_code == 200)


def test_going_back_is_served_like_a_new_commit(tmp_path: Path) -> None:
    first, _ = publish_shop(tmp_path), publish_shop(tmp_path, version="2")
    with running(tmp_path) as server:
        rollback(tmp_path, 1, created_at=CREATED_AT)
        server.until("/readyz", lambda answer: answer.json()["snapshot_id"] == first.snapshot_id)


@pytest.mark.parametrize("by", ["sequence", "id"])
def test_a_pinned_server_stays_on_its_snapshot_and_nobody_removes_it(by: str, tmp_path: Path) -> None:
    first = publish_shop(tmp_path)
    with running(tmp_path, pin="1" if by == "sequence" else first.snapshot_id) as server:
        for version in "2345":
            last = publish_shop(tmp_path, version=version)
        assert first.path.is_dir()
        assert len(list((tmp_path / "snapshots").iterdir())) == 4
    with running(tmp_path, pin="1") as again:
        assert again.get("/readyz").json()["snapshot_id"] == first.snapshot_id
        assert again.get("/v1/snapshot").json()["sequence"] == 1
    assert last.sequence == 5
    publish_shop(tmp_path, version="6")
    assert not first.path.is_dir()
    assert server.process.returncode is not None


def test_a_pin_on_nothing_is_not_ready_and_names_what_is_there(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    with running(tmp_path, pin="7") as server:
        answer = server.get("/readyz")
    assert answer.status_code == 503
    assert "There is no snapshot 7" in answer.json()["faults"][0]


def test_what_left_the_stock_list_is_never_served_again(tmp_path: Path) -> None:
    publish_shop(tmp_path / "graph")
    file = tmp_path / "available_skus.txt"
    file.write_text("c1\nv1\nt1\nf1\n")
    with running(tmp_path / "graph", stock=file) as server:
        tag = server.get(ITEM).headers["etag"]
        assert skus(server) == ["c1", "v1", "t1"]  # c2 is the more popular card, and out of stock
        _replace(file, "c2\nv1\n")
        server.until(ITEM, lambda answer: answer.headers["etag"] != tag)
        assert skus(server) == ["c2", "v1"]
        assert server.get("/readyz").json()["stock_skus"] == 2
        assert [hit["id"] for hit in server.get("/v1/search?q=carn&what=product").json()["hits"]] == []
        basket = {"skus": ["f1"], "available": ["c1", "v1"]}
        assert [i["sku"] for i in server.post("/v1/recommendations", json=basket).json()["items"]] == ["v1"]


def test_the_stock_list_holds_for_the_next_graph_too(tmp_path: Path) -> None:
    """The next graph knows a vase that this one does not; both know the cards, under other numbers."""
    before = {kind: told for kind, told in SHOP.items() if kind != "vases"}
    publish_shop(tmp_path / "graph", compile_graph(products(before), accepted(STATEMENTS[:1], shop=before)))
    file = tmp_path / "available_skus.txt"
    file.write_text("v1\nc1\nunheard-of\n")
    with running(tmp_path / "graph", stock=file) as server:
        assert skus(server) == ["c1"]
        server.until("/livez", lambda _: server.metric("pkgraph_stock_skus") == 1)
        publish_shop(tmp_path / "graph", version="2")
        server.until("/readyz", lambda answer: answer.json()["sequence"] == 2)
        assert skus(server) == ["c1", "v1"]
        assert server.get("/readyz").json()["stock_skus"] == 2


def _replace(file: Path, text: str) -> None:
    draft = file.with_suffix(".new")
    draft.write_text(text)
    draft.replace(file)


def _until_fault(server: Server, reason: str) -> None:
    server.until("/readyz", lambda answer: reason in " ".join(answer.json()["faults"]))


def test_a_list_that_cannot_be_read_leaves_the_one_before_and_shows(tmp_path: Path) -> None:
    publish_shop(tmp_path / "graph")
    file = tmp_path / "available.jsonl"
    file.write_text('{"sku": "c1"}\n{"sku": "v1", "available": false}\n')
    with running(tmp_path / "graph", stock=file) as server:
        for broken, reason in (("", "no SKU"), ('{"sku": "c1"}\n{"sku"\n', "line 2"), ("[1]\n", "line 1")):
            _replace(file, broken)
            _until_fault(server, reason)
            assert skus(server) == ["c1"]
        file.unlink()
        _until_fault(server, "cannot be read")
        assert server.get("/readyz").json()["ready"]
        server.until("/livez", lambda _: server.metric("pkgraph_stock_load_failures_total") == 4)
        _replace(file, '{"sku": "v1"}\n')
        server.until("/readyz", lambda answer: answer.json()["faults"] == [])
        assert skus(server) == ["v1"]


def test_where_a_stock_list_was_asked_for_and_none_was_read_nothing_is_served(tmp_path: Path) -> None:
    publish_shop(tmp_path / "graph")
    file = tmp_path / "available_skus.txt"
    with running(tmp_path / "graph", stock=file) as server:
        assert server.get("/readyz").status_code == 503
        assert server.get(ITEM).status_code == 503
        _replace(file, "c1\n")
        server.until("/readyz", lambda answer: answer.status_code == 200)
        assert skus(server) == ["c1"]


def test_workers_share_a_port_and_their_counters(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    with running(tmp_path, workers=2) as server:
        for _ in range(20):  # every one on a new connection: the kernel spreads them
            assert server.get(ITEM).status_code == 200
        line = 'pkgraph_http_requests_total{route="item",method="GET",code="200"}'
        server.until("/livez", lambda _: server.metric(line) == 20)
        assert server.metric("pkgraph_workers") == 2
        assert server.stop() == 0
    assert [event["event"] for event in server.events].count("stopped") == 2


def test_a_worker_that_was_killed_is_started_again_and_its_callers_wait(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    with running(tmp_path, workers=2) as server:
        victims = [event["pid"] for event in server.events if event["event"] == "listening"]
        before = server.metric("pkgraph_worker_starts_total")
        os.kill(victims[0], signal.SIGKILL)
        answers = [server.get(ITEM, timeout=20).status_code for _ in range(6)]
        assert server.wait_for("worker_died")["died"] == victims[0]
        server.until("/livez", lambda _: server.metric("pkgraph_worker_starts_total") == before + 1)
    assert answers == [200] * 6


def test_workers_end_with_the_supervisor_that_was_killed(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    with running(tmp_path, workers=2) as server:
        server.process.kill()
        for _ in range(2):
            server.wait_for("stopped")


def test_the_graph_that_is_served_is_the_published_one(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    with running(tmp_path) as server:
        body = server.get(ITEM).content
    assert body == Graph.published(tmp_path).recommend_json(["f1"])
