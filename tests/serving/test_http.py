"""The HTTP contract, asked of a real server: answers, errors, caching, documentation."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pkgraph.recommend import Graph
from pkgraph.serving.documents import openapi
from pkgraph.serving.metrics import Metrics, shared_page
from pkgraph.serving.questions import item_options
from pkgraph.serving.routes import ROUTES, Route
from tests.published import publish_shop
from tests.serving.server import Server, running

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    publish_shop(root)
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    with running(root) as server:
        yield server


def test_an_item_answers_with_products_and_reasons(server: Server, root: Path) -> None:
    answer = server.get("/v1/items/f1/recommendations", params={"limit": 2})
    assert answer.status_code == 200
    body = answer.json()
    assert [item["sku"] for item in body["items"]] == ["c2", "v1"]
    assert body["items"][0]["paths"][0]["explanation"] == "A card goes with the flowers."
    assert body["snapshot_id"] == Graph.published(root).snapshot_id


def test_filters_reach_the_recommender(server: Server) -> None:
    params = {"relation": ["accessory", "substitute"], "exclude": "v1"}
    body = server.get("/v1/items/f1/recommendations", params=params).json()
    assert [item["sku"] for item in body["items"]] == ["t1"]


def test_a_known_item_without_relations_is_an_empty_answer(server: Server) -> None:
    answer = server.get("/v1/items/b1/recommendations")
    assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_a_basket_answers_and_names_what_it_does_not_know(server: Server) -> None:
    question = {"skus": ["c1", "zzz"], "purpose": "mothers day", "exclude": ["k1"], "limit": 5}
    body = server.post("/v1/recommendations", json=question).json()
    assert [item["sku"] for item in body["items"]] == ["f2", "k2"]
    assert body["unknown_skus"] == ["zzz"]
    assert body["rationales"] == ["mother's day gift"]


def test_a_seed_that_weighs_more_counts_more(server: Server) -> None:
    question = {"skus": ["f1", "c1"], "include_seed_kinds": True}
    scores = []
    for weight in (1, 4):
        body = server.post("/v1/recommendations", json=question | {"weights": [weight, 1]}).json()
        scores.append({item["sku"]: item["score"] for item in body["items"]}["v1"])
    assert scores[1] > scores[0]


def test_rationales_and_their_products(server: Server) -> None:
    page = server.get("/v1/rationales", params={"limit": 1}).json()
    [first] = page["rationales"]
    assert (page["total"], first["rationale"], first["n_kinds"]) == (4, "mother's day gift", 3)
    body = server.get(f"/v1/rationales/{first['rationale_id']}/products").json()
    assert body["rationales"] == ["mother's day gift"]
    assert [item["sku"] for item in body["items"]] == ["f2", "c2", "k1"]


def test_filters_reach_the_products_of_a_purpose(server: Server) -> None:
    [first] = server.get("/v1/rationales", params={"limit": 1}).json()["rationales"]
    path = f"/v1/rationales/{first['rationale_id']}/products"
    for query, expected in (
        ("exclude=c2&exclude=c1", ["f2", "k1"]),
        ("category=flowers", ["f2"]),
        ("min_probability=0.93", ["f2"]),
        ("max_per_kind=2&limit=3", ["f1", "f2", "c1"]),
        ("relation=audience", []),
    ):
        body = server.get(f"{path}?{query}").json()
        assert [item["sku"] for item in body["items"]] == expected, query
    assert server.get(f"{path}?colour=red").status_code == 400


def test_search_answers(server: Server) -> None:
    hits = server.get("/v1/search", params={"q": "carn", "what": "product"}).json()["hits"]
    assert [hit["id"] for hit in hits] == ["f2", "f1"]


def test_the_snapshot_says_what_it_was_made_from_and_that_it_has_no_certificate(server: Server) -> None:
    body = server.get("/v1/snapshot").json()
    assert (body["sequence"], body["certificate"], body["is_certified"]) == (1, None, False)
    assert body["claim"] == "nothing is promised; published uncertified"
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
        ("/v1/items/f1?limit=3", 400, "bad-request"),
        ("/v1/edges/0/statements?limit=3", 400, "bad-request"),
        ("/v1/snapshot?limit=3", 400, "bad-request"),
        ("/v1/search", 400, "bad-request"),
        ("/v1/search?q=a&what=moon", 400, "bad-request"),
        ("/v1/nothing", 404, "not-found"),
        ("/v1/recommendations", 405, "method-not-allowed"),
    ],
)
def test_an_error_is_a_problem_document(server: Server, url: str, status: int, slug: str) -> None:
    answer = server.get(url)
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
        '{"skus": ["f1"], "weights": [0]}',
        '{"skus": ["f1"], "weights": [1, 2]}',
        '{"skus": ["f1"], "relations": ["astrology"]}',
    ],
)
def test_a_wrong_question_is_a_400(server: Server, body: str) -> None:
    answer = server.post("/v1/recommendations", content=body, headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("body", ['{"skus": ["\\ud800"]}', '{"purpose": "\\udfff"}'])
def test_text_that_is_no_unicode_is_a_400(server: Server, body: str) -> None:
    answer = server.post("/v1/recommendations", content=body, headers=JSON)
    assert answer.status_code == 400


def test_a_question_that_is_no_json_by_its_type_is_a_415(server: Server) -> None:
    answer = server.post("/v1/recommendations", content="{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 415


def test_a_compressed_question_is_told_so_and_not_that_it_is_no_json(server: Server) -> None:
    body = gzip.compress(b'{"skus": ["f1"]}')
    answer = server.post("/v1/recommendations", content=body, headers={**JSON, "content-encoding": "gzip"})
    assert (answer.status_code, "not compressed" in answer.json()["detail"]) == (415, True)
    plain = server.post(
        "/v1/recommendations", content=b'{"skus": ["f1"]}', headers={**JSON, "content-encoding": "identity"}
    )
    assert plain.status_code == 200


def test_a_body_that_is_too_long_is_a_413(server: Server) -> None:
    answer = server.post("/v1/recommendations", content=b" " * 2_000_000, headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_who_has_the_answer_gets_a_304(server: Server) -> None:
    tag = server.get("/v1/items/f1/recommendations").headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = server.get("/v1/items/f1/recommendations", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


def test_whose_answer_is_another_gets_the_new_one(server: Server) -> None:
    answer = server.get("/v1/items/f1/recommendations", headers={"if-none-match": '"0.1.0-7-feedbeef0000"'})
    assert answer.status_code == 200


def test_an_unknown_sku_is_a_404_even_for_who_has_everything(server: Server) -> None:
    assert server.get("/v1/items/zzz/recommendations", headers={"if-none-match": "*"}).status_code == 404


def test_head_is_get_without_the_body(server: Server) -> None:
    whole = server.get("/v1/items/f1/recommendations")
    head = server.client.head(server.url + "/v1/items/f1/recommendations")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda one: one.name)
def test_nothing_can_be_written_anywhere(server: Server, route: Route) -> None:
    """There is no role that may: methods that would write are refused at every path, with what is there."""
    allowed = {"GET": "GET, HEAD", "POST": "POST"}[route.method]
    for method in {"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - {route.method}:
        answer = server.client.request(
            method, server.url + route.path.format(sku="f1", edge="0", rationale_id="x")
        )
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_request_keeps_the_name_its_caller_gave_it(server: Server) -> None:
    assert server.get("/livez", headers={"x-request-id": "cart-7.1"}).headers["x-request-id"] == "cart-7.1"
    ours = {
        server.get("/livez", headers={"x-request-id": one}).headers["x-request-id"] for one in ("", "a b")
    }
    assert len(ours) == 2
    assert not ours & {"", "a b"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1&limit=2", 400),
        ("limit=1_0", 400),
        ("limit=%D9%A3", 400),
        ("limit=", 400),
        ("min_probability=1e999", 400),
        ("min_probability=0.5", 200),
        ("min_probability=1e-3", 200),
        ("relation=complement&relation=substitute", 200),
        ("relation=complement,accessory", 400),
        ("relation=", 400),
        ("exclude=%FF", 400),
        ("category=cards&min_price=1&max_price=3&diversity=0.5&include_seed_kinds=true", 200),
        ("include_seed_kinds=yes", 400),
        ("min_price=3&max_price=1", 400),
        ("exclude=" + "x" * 401, 400),
        ("exclude=a&" * 1_100, 414),
    ],
)
def test_a_query_is_read_strictly(server: Server, query: str, status: int) -> None:
    assert server.get(f"/v1/items/f1/recommendations?{query}").status_code == status


def test_many_long_queries_leave_nothing_behind() -> None:
    def held_by(queries: Iterator[bytes]) -> int:
        tracemalloc.start()
        for query in queries:
            assert item_options(query)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return held

    long = (b"exclude=%d" % number + b"&exclude=%070d" % number * 90 for number in range(200))
    assert held_by(long) < 100_000
    short = (b"limit=%d&exclude=%d" % (number % 9 + 1, number) for number in range(200))
    assert held_by(short) > 20_000  # these are kept


def test_a_sku_with_slashes_and_letters_of_any_script_is_one_sku(server: Server) -> None:
    for path in ("a%2Fb", "a/b", "%E2%82%AC", "a%20b"):
        answer = server.get(f"/v1/items/{path}/recommendations")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:pkgraph:problem:unknown-sku")
    assert server.get("/v1/items/%FF/recommendations").status_code == 400


def test_the_contract_in_the_docs_is_the_one_that_is_served(server: Server) -> None:
    """After a change on purpose, `make openapi` writes it again."""
    served = server.get("/openapi.json").json()
    assert served == json.loads(Path("docs/openapi.json").read_text()) == openapi(ROUTES)
    assert {"/v1/items/{sku}/recommendations", "/v1/recommendations", "/v1/snapshot"} <= served[
        "paths"
    ].keys()


class Links(HTMLParser):
    """Everything a page would load or lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value or "" for name, value in attrs if name in {"href", "src"}]


def test_the_page_of_the_docs_needs_nothing_from_elsewhere(server: Server) -> None:
    page = server.get("/docs")
    links = Links()
    links.feed(page.text)
    assert links.found == ["/openapi.json"]
    assert not links.tags & {"script", "link", "img"}
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert all(route.path in page.text for route in ROUTES)


def test_metrics_count_answers_by_route_method_and_code(server: Server) -> None:
    line = 'pkgraph_http_requests_total{route="item",method="GET",code="404"}'
    times = 'pkgraph_http_request_duration_seconds_count{route="item"}'
    before, timed = server.metric(line), server.metric(times)
    for _ in range(3):
        server.get("/v1/items/zzz/recommendations")
    assert server.metric(line) == before + 3
    assert server.metric(times) == timed + 3


def test_a_fault_of_one_worker_shows_whichever_is_scraped() -> None:
    page = shared_page(3)
    workers = [Metrics(page, number) for number in range(3)]
    for worker, sequence, faults in zip(workers, (7, 6, 7), (0, 1, 0), strict=True):
        worker.show("snapshot_sequence", sequence)
        worker.show("faults", faults)
        worker.show("http_connections", 2)
    for worker in workers:
        lines = worker.text(None, None).splitlines()
        shown = {"pkgraph_faults 1", "pkgraph_snapshot_sequence 6", "pkgraph_http_connections 6"}
        assert shown <= set(lines)


def test_metrics_never_name_a_sku(server: Server) -> None:
    server.get("/v1/items/secret-sku-77/recommendations")
    assert "secret-sku-77" not in server.get("/metrics").text


def test_metrics_say_what_is_served(server: Server, root: Path) -> None:
    assert server.metric(f'pkgraph_snapshot_info{{id="{Graph.published(root).snapshot_id}"}}') == 1
    assert server.metric("pkgraph_snapshot_sequence") == 1
    assert server.metric("pkgraph_faults") == 0
    assert server.metric("pkgraph_snapshot_age_seconds") > 0


def test_a_host_that_is_no_host_is_refused_and_never_sent_back(server: Server) -> None:
    for host in ("evil.example/x", "a b", "a,b", "user@host", ""):
        answer = server.get("/livez", headers={"host": host})
        assert answer.status_code == 400
        assert not host or host not in answer.text


def test_only_hosts_that_were_named_are_answered_for(root: Path) -> None:
    with running(root, hosts=frozenset({"shop.example", "127.0.0.1"})) as server:
        hosts = ("shop.example", "SHOP.example:8080", "evil.example")
        assert [server.get("/livez", headers={"host": host}).status_code for host in hosts] == [200, 200, 421]


def test_requests_are_logged_with_the_trace_they_belong_to(root: Path) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with running(root, logs_requests=True) as server:
        headers = {"traceparent": trace, "x-request-id": "r1"}
        server.get("/v1/items/f1/recommendations?limit=3", headers=headers)
        line = server.wait_for("answered")
        for unnamed in ({}, {"x-request-id": "a b", "traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}):
            ours = server.get("/livez", headers=unnamed).headers["x-request-id"]
            logged = server.wait_for("answered")
            assert logged["request_id"] == ours  # what the caller was told finds the line
            assert "trace_id" not in logged
        refused = server.get("/livez", headers={"host": "a b", "traceparent": trace})
        refusal = server.wait_for("refused")
    assert (refusal["request_id"], refusal["status"]) == (refused.headers["x-request-id"], 400)
    assert (refusal["target"], refusal["problem"]) == ("/livez", "bad-request")
    assert refusal["trace_id"] == line["trace_id"]
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert line["parent_id"] == "00f067aa0ba902b7"
    assert (line["request_id"], line["status"], line["route"]) == ("r1", 200, "item")
    assert line["target"] == "/v1/items/f1/recommendations?limit=3"
