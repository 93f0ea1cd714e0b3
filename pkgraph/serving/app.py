"""The HTTP service: a thin coat over the recommender.

Every answer names its snapshot; its ETag changes with the served commit, so a cache asks once, then gets 304.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pkgraph.recommend import Graph, Recommendations
from pkgraph.serving.problems import HANDLERS, Problem
from pkgraph.serving.questions import (
    MAX_BODY,
    MAX_TEXT,
    Question,
    item_question,
    limit_in,
    number,
    only,
    posted_question,
)
from pkgraph.serving.served import Served

SECONDS_BETWEEN_LOOKS = 1.0
MAX_OFFSET = 10_000_000


def _served(request: Request) -> Served:
    served: Served = request.app.state.served
    return served


def _graph(request: Request) -> Graph:
    graph = _served(request).graph
    if graph is None:
        fault = _served(request).fault or "Nothing is published yet."
        raise Problem(503, "no-snapshot", fault)
    return graph


@cache
def _our_version() -> str:
    return version("pkgraph")


def _etag(graph: Graph) -> str:
    record = graph.snapshot.record
    return f'"{_our_version()}-{record.sequence if record else 0}-{graph.snapshot_id}"'


def _json(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    content = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    extra = {"X-Content-Type-Options": "nosniff", **(headers or {})}
    return Response(content, status, headers=extra, media_type="application/json")


def _answer(request: Request, graph: Graph, body: Mapping[str, Any]) -> Response:
    """The body with the snapshot's name on it, or 304 where the caller has it already."""
    etag = _etag(graph)
    if request.method == "POST":
        return _json({"snapshot_id": graph.snapshot_id, **body}, headers={"Cache-Control": "no-store"})
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return _json({"snapshot_id": graph.snapshot_id, **body}, headers=headers)


def _asked(graph: Graph, question: Question) -> Recommendations:
    return graph.recommend(
        question.skus,
        k=question.limit,
        purpose=question.purpose,
        exclude=question.exclude,
        available=None if question.available is None else frozenset(question.available),
        relation_types=question.relations,
        min_probability=question.min_probability,
        max_per_kind=question.max_per_kind,
    )


def _items(answer: Recommendations) -> list[dict[str, Any]]:
    return [asdict(item) for item in answer.items]


async def _body(request: Request) -> bytes:
    """The whole body, or an error before more than MAX_BODY bytes are held."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Problem(413, "content-too-large", f"A body has {MAX_BODY} bytes at most.")
    return bytes(body)


async def item_recommendations(request: Request) -> Response:
    """GET /v1/items/{sku}/recommendations."""
    graph, sku = _graph(request), request.path_params["sku"]
    question = item_question(sku, request.query_params)
    if graph.product(sku) is None:
        raise Problem(404, "unknown-sku", "The snapshot does not know this SKU.")
    return _answer(request, graph, {"sku": sku, "items": _items(_asked(graph, question))})


async def recommendations(request: Request) -> Response:
    """POST /v1/recommendations."""
    graph = _graph(request)
    question = posted_question(await _body(request), request.headers.get("content-type", ""))
    answer = _asked(graph, question)
    body = {
        "items": _items(answer),
        "unknown_skus": answer.unknown_skus,
        "rationales": answer.rationales,
    }
    return _answer(request, graph, body)


async def rationales(request: Request) -> Response:
    """GET /v1/rationales."""
    graph, query = _graph(request), request.query_params
    only(query, "limit", "offset")
    limit, found = limit_in(query), graph.purposes()
    offset = number(query, "offset", int, (0, MAX_OFFSET), 0)
    page = [asdict(purpose) for purpose in found[offset : offset + limit]]
    return _answer(request, graph, {"rationales": page, "total": len(found)})


async def rationale_products(request: Request) -> Response:
    """GET /v1/rationales/{rationale_id}/products."""
    graph, rationale_id = _graph(request), request.path_params["rationale_id"]
    only(request.query_params, "limit")
    rationale = graph.rationale(rationale_id)
    if rationale is None:
        raise Problem(404, "unknown-rationale", "The snapshot does not know this rationale.")
    answer = graph.recommend(k=limit_in(request.query_params), purpose=rationale_id)
    return _answer(request, graph, {"rationale": rationale, "items": _items(answer)})


async def search(request: Request) -> Response:
    """GET /v1/search."""
    graph, query = _graph(request), request.query_params
    only(query, "q", "limit", "what")
    text = query.get("q", "")
    if not 0 < len(text) <= MAX_TEXT:
        raise Problem(400, "bad-request", f"q must be a text of 1 to {MAX_TEXT} characters.")
    hits = graph.search(text, limit_in(query), what=query.get("what"))
    return _answer(request, graph, {"hits": [asdict(hit) for hit in hits]})


async def snapshot(request: Request) -> Response:
    """GET /v1/snapshot: what answers, what it was made from, and what is promised about it."""
    graph = _graph(request)
    manifest, record = graph.manifest, graph.snapshot.record
    body = {
        "sequence": record.sequence if record else None,
        "action": record.action if record else None,
        "created_at": record.created_at if record else None,
        "certificate": manifest.certificate,
        "is_certified": manifest.certificate is not None and manifest.override is None,
        "override": manifest.override,
        "counts": {name: n for name, n in manifest.counts.items() if not name.endswith(".bytes")},
        "intake": {"n_accepted": manifest.intake.n_accepted, "refused": dict(manifest.intake.refused)},
        "inputs": dict(manifest.inputs),
        "gate": dict(record.gate.evaluated) if record else {},
    }
    return _answer(request, graph, body)


async def livez(_: Request) -> Response:
    return _json({"alive": True}, headers={"Cache-Control": "no-store"})


async def readyz(request: Request) -> Response:
    """Ready as soon as a snapshot answers; `fault` says what is wrong with a newer one."""
    served = _served(request)
    graph = served.graph
    body = {
        "ready": graph is not None,
        "snapshot_id": graph.snapshot_id if graph else None,
        "sequence": served.sequence,
        "fault": served.fault,
    }
    return _json(body, 200 if graph else 503, {"Cache-Control": "no-store"})


ROUTES = (
    Route("/v1/items/{sku:path}/recommendations", item_recommendations),
    Route("/v1/recommendations", recommendations, methods=["POST"]),
    Route("/v1/rationales", rationales),
    Route("/v1/rationales/{rationale_id}/products", rationale_products),
    Route("/v1/search", search),
    Route("/v1/snapshot", snapshot),
    Route("/livez", livez),
    Route("/readyz", readyz),
)


async def _keep_fresh(served: Served) -> None:
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        await asyncio.to_thread(served.refresh)


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    looking = asyncio.create_task(_keep_fresh(app.state.served))
    yield
    looking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await looking


def create_app(root: Path) -> Starlette:
    """The ASGI application over the snapshots published at `root`; it starts without one and waits for it."""
    app = Starlette(routes=list(ROUTES), exception_handlers=dict(HANDLERS), lifespan=_lifespan)
    app.state.served = Served(root)
    return app


def serve(root: Path, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Answer until the process is told to stop; requests in flight get five seconds."""
    import uvicorn  # noqa: PLC0415 - the application itself runs under any ASGI server

    uvicorn.run(
        create_app(root),
        host=host,
        port=port,
        server_header=False,
        access_log=False,
        timeout_graceful_shutdown=5,
    )
