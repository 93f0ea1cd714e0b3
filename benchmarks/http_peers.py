"""The same two routes on other servers: an empty one, and ten explained recommendations as finished JSON.

`python -m benchmarks.http_peers SERVER ROOT PORT` serves until it is told to stop. None of them has limits,
deadlines, metrics, ETags or request ids: what they leave out is to their advantage.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from pkgraph.recommend import Graph

EMPTY = b'{"alive":true}'
START, END = "/v1/items/", "/recommendations"


def _answer(graph: Graph, path: str) -> bytes:
    return graph.recommend_json((path[len(START) : -len(END)],)) if path.startswith(START) else EMPTY


def _asgi(graph: Graph) -> Any:
    async def app(scope: Any, _: Any, send: Any) -> None:
        if scope["type"] == "http":
            body = _answer(graph, scope["path"])
            head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": body})

    return app


def _starlette(graph: Graph) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def answer(request: Any) -> Response:
        return Response(_answer(graph, request.scope["path"]), media_type="application/json")

    return Starlette(routes=[Route("/livez", answer), Route("/v1/items/{sku}/recommendations", answer)])


def _fastapi(graph: Graph) -> Any:
    from fastapi import FastAPI
    from starlette.responses import Response

    app = FastAPI()

    @app.get("/livez")
    async def livez() -> Response:
        return Response(EMPTY, media_type="application/json")

    @app.get("/v1/items/{sku}/recommendations")
    async def item(sku: str) -> Response:
        return Response(graph.recommend_json((sku,)), media_type="application/json")

    return app


def _uvicorn(app: Any, port: int) -> None:
    import uvicorn

    uvicorn.run(
        app, port=port, log_level="error", access_log=False, loop="uvloop", http="httptools", lifespan="off"
    )


def _granian(app: Any, port: int, interface: str) -> None:
    from granian.server.embed import Server

    async def main() -> None:
        await Server(app, port=port, interface=interface, log_enabled=False).serve()

    asyncio.run(main())


def _rsgi(graph: Graph) -> Any:
    async def app(scope: Any, protocol: Any) -> None:
        if scope.proto == "http":
            protocol.response_bytes(200, [("content-type", "application/json")], _answer(graph, scope.path))

    return app


def main() -> None:
    server, root, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    graph = Graph.published(root)
    match server:
        case "granian RSGI":
            _granian(_rsgi(graph), port, "rsgi")
        case "granian ASGI":
            _granian(_asgi(graph), port, "asginl")
        case "uvicorn ASGI":
            _uvicorn(_asgi(graph), port)
        case "Starlette on uvicorn":
            _uvicorn(_starlette(graph), port)
        case "FastAPI on uvicorn":
            _uvicorn(_fastapi(graph), port)


if __name__ == "__main__":
    main()
