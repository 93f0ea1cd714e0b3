"""The HTTP contract: answers, errors, caching and the swap to a new snapshot."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from pkgraph.serving import create_app
from tests.published import graph_of, publish_shop
from tests.shop import STATEMENTS


def ask(app: Starlette, method: str, url: str, **more: Any) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.request(method, url, **more)

    return asyncio.run(once())


def get(app: Starlette, url: str, **more: Any) -> httpx.Response:
    return ask(app, "GET", url, **more)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    publish_shop(root)
    return root


@pytest.fixture(scope="module")
def app(root: Path) -> Starlette:
    return create_app(root)


def test_an_item_answers_with_products_and_reasons(app: Starlette) -> None:
    answer = get(app, "/v1/items/f1/recommendations", params={"limit": 2})
    assert answer.status_code == 200
    body = answer.json()
    assert [item["sku"] for item in body["items"]] == ["c2", "v1"]
    assert body["items"][0]["paths"][0]["explanation"] == "A card goes with the flowers."
    assert body["snapshot_id"] == app.state.served.graph.snapshot_id


def test_filters_reach_the_recommender(app: Starlette) -> None:
    params = {"relation": ["accessory", "substitute"], "exclude": "v1"}
    body = get(app, "/v1/items/f1/recommendations", params=params).json()
    assert [item["sku"] for item in body["items"]] == ["t1"]


def test_a_known_item_without_relations_is_an_empty_answer(app: Starlette) -> None:
    answer = get(app, "/v1/items/b1/recommendations")
    assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_a_basket_answers_and_names_what_it_does_not_know(app: Starlette) -> None:
    question = {"skus": ["c1", "zzz"], "purpose": "mothers day", "exclude": ["k1"], "limit": 5}
    body = ask(app, "POST", "/v1/recommendations", json=question).json()
    assert [item["sku"] for item in body["items"]] == ["f2", "k2"]
    assert body["unknown_skus"] == ["zzz"]
    assert body["rationales"] == ["mother's day gift"]


def test_rationales_and_their_products(app: Starlette) -> None:
    page = get(app, "/v1/rationales", params={"limit": 1}).json()
    [first] = page["rationales"]
    assert (page["total"], first["rationale"], first["n_kinds"]) == (4, "mother's day gift", 3)
    body = get(app, f"/v1/rationales/{first['rationale_id']}/products").json()
    assert body["rationale"] == "mother's day gift"
    assert [item["sku"] for item in body["items"]] == ["f2", "c2", "k1"]


def test_search_answers(app: Starlette) -> None:
    hits = get(app, "/v1/search", params={"q": "carn", "what": "product"}).json()["hits"]
    assert [hit["id"] for hit in hits] == ["f2", "f1"]


def test_the_snapshot_says_what_it_was_made_from_and_that_it_has_no_certificate(app: Starlette) -> None:
    body = get(app, "/v1/snapshot").json()
    assert (body["sequence"], body["certificate"], body["is_certified"]) == (1, None, False)
    assert body["counts"]["edges"] == 6
    assert body["inputs"]["models"] == ["model-a"]


@pytest.mark.parametrize(
    ("url", "status", "slug"),
    [
        ("/v1/items/zzz/recommendations", 404, "unknown-sku"),
        ("/v1/items/..%2f..%2fetc%2fpasswd/recommendations", 404, "unknown-sku"),
        ("/v1/items/%00/recommendations", 404, "unknown-sku"),
        ("/v1/rationales/zzz/products", 404, "unknown-rationale"),
        ("/v1/items/f1/recommendations?limit=0", 400, "bad-request"),
        ("/v1/items/f1/recommendations?limit=101", 400, "bad-request"),
        ("/v1/items/f1/recommendations?limit=ten", 400, "bad-request"),
        ("/v1/items/f1/recommendations?k=3", 400, "bad-request"),
        ("/v1/items/f1/recommendations?min_probability=nan", 400, "bad-request"),
        ("/v1/items/f1/recommendations?relation=astrology", 400, "bad-request"),
        ("/v1/search", 400, "bad-request"),
        ("/v1/search?q=a&what=moon", 400, "bad-request"),
        ("/v1/nothing", 404, "not-found"),
        ("/v1/recommendations", 405, "method-not-allowed"),
    ],
)
def test_an_error_is_a_problem_document(app: Starlette, url: str, status: int, slug: str) -> None:
    answer = get(app, url)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["type"]) == (status, f"urn:pkgraph:problem:{slug}")
    assert problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        "{}",
        '{"skus": "f1"}',
        '{"skus": [1]}',
        '{"skus": ["f1"], "limit": 0}',
        '{"skus": ["f1"], "limit": true}',
        '{"skus": ["f1"], "limit": 1.5}',
        '{"skus": ["f1"], "min_probability": NaN}',
        '{"skus": ["f1"], "min_probability": "0.5"}',
        '{"skus": ["f1"], "colour": "red"}',
        '{"purpose": ""}',
        '{"skus": ["f1"], "relations": ["astrology"]}',
    ],
)
def test_a_wrong_question_is_a_400(app: Starlette, body: str) -> None:
    answer = ask(
        app, "POST", "/v1/recommendations", content=body, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("body", ['{"skus": ["\\ud800"]}', '{"purpose": "\\udfff"}'])
def test_text_that_is_no_unicode_is_a_400(app: Starlette, body: str) -> None:
    answer = ask(
        app, "POST", "/v1/recommendations", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400


def test_a_question_that_is_no_json_by_its_type_is_a_415(app: Starlette) -> None:
    answer = ask(app, "POST", "/v1/recommendations", content="{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 415


def test_a_body_that_is_too_long_is_a_413(app: Starlette) -> None:
    headers = {"content-type": "application/json"}
    answer = ask(app, "POST", "/v1/recommendations", content=b" " * 2_000_000, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_who_has_the_answer_gets_a_304_until_another_commit_is_served(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    app = create_app(tmp_path)
    tag = get(app, "/v1/items/f1/recommendations").headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = get(app, "/v1/items/f1/recommendations", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    publish_shop(tmp_path, version="2")
    assert app.state.served.refresh()
    assert get(app, "/v1/items/f1/recommendations", headers={"if-none-match": tag}).status_code == 200


def test_without_a_snapshot_it_is_alive_not_ready_and_ready_after_the_first_publish(tmp_path: Path) -> None:
    app = create_app(tmp_path)
    assert get(app, "/livez").status_code == 200
    assert get(app, "/readyz").status_code == 503
    missing = get(app, "/v1/items/f1/recommendations")
    assert (missing.status_code, missing.json()["type"]) == (503, "urn:pkgraph:problem:no-snapshot")
    publish_shop(tmp_path)
    assert app.state.served.refresh()
    assert get(app, "/readyz").json() == {
        "ready": True,
        "snapshot_id": app.state.served.graph.snapshot_id,
        "sequence": 1,
        "fault": None,
    }


def test_a_damaged_new_snapshot_is_reported_and_the_old_one_stays(tmp_path: Path) -> None:
    first = publish_shop(tmp_path)
    app = create_app(tmp_path)
    second = publish_shop(tmp_path, version="2")
    file = second.path / "row_weight.arr"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.unlink()
    file.write_bytes(bytes(raw))
    assert not app.state.served.refresh()
    ready = get(app, "/readyz").json()
    assert (ready["ready"], ready["snapshot_id"]) == (True, first.snapshot_id)
    assert "row_weight.arr" in ready["fault"]
    publish_shop(tmp_path, version="3")
    assert app.state.served.refresh()
    assert get(app, "/readyz").json()["fault"] is None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(url: str, is_so: Any, seconds: float = 15) -> httpx.Response:
    end = time.monotonic() + seconds
    while True:
        try:
            answer = httpx.get(url)
            if is_so(answer):
                return answer
        except httpx.TransportError:
            pass
        assert time.monotonic() < end, f"{url} did not come to it"
        time.sleep(0.05)


def test_a_real_server_answers_swaps_within_two_seconds_and_stops_when_told(tmp_path: Path) -> None:
    publish_shop(tmp_path)
    port = free_port()
    program = (
        "import sys, pathlib, pkgraph.serving as s; s.serve(pathlib.Path(sys.argv[1]), port=int(sys.argv[2]))"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(port)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/readyz", lambda answer: answer.status_code == 200)
        assert len(httpx.get(f"{url}/v1/items/f1/recommendations").json()["items"]) == 4
        second = publish_shop(tmp_path, graph_of(STATEMENTS[:1]), version="2")
        wait_for(f"{url}/readyz", lambda answer: answer.json()["snapshot_id"] == second.snapshot_id, 3)
        assert len(httpx.get(f"{url}/v1/items/f1/recommendations").json()["items"]) == 1
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(timeout=10) in {0, -signal.SIGTERM}
    finally:
        server.kill()
        server.wait()
