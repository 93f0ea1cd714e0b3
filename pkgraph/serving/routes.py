"""The table of routes: what may be asked where; dispatch and documentation read this one list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from pkgraph.serving import endpoints, questions
from pkgraph.serving.documents import docs_page, openapi_answer
from pkgraph.serving.endpoints import Ask
from pkgraph.serving.explorer import explorer_page
from pkgraph.serving.fields import Field, bad
from pkgraph.serving.problems import Answer, Problem


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One endpoint.

    Attributes:
        name: Label in the metrics, operationId in OpenAPI.
        shows: Name of the schema of a 200, or its content type where it is no JSON.
        problems: Statuses of errors that a caller can cause or meet.
    """

    name: str
    method: str
    path: str
    answer: Callable[[Ask], Answer]
    shows: str
    query: Mapping[str, Field] = field(default_factory=dict)
    body: Mapping[str, Field] | None = None
    problems: tuple[int, ...] = ()
    is_cached: bool = False

    @property
    def parameter(self) -> str | None:
        """Name of the parameter in the path."""
        return self.path.partition("{")[2].partition("}")[0] or None


def _openapi(_: Ask) -> Answer:
    """This contract as OpenAPI 3.1."""
    return openapi_answer(ROUTES)


def _docs(_: Ask) -> Answer:
    """This contract as a page."""
    return docs_page(ROUTES)


def _explorer(_: Ask) -> Answer:
    """A page to look around in the graph: search, recommendations, reasons, evidence."""
    return explorer_page()


def _read(
    name: str,
    path: str,
    answer: Callable[[Ask], Answer],
    shows: str,
    query: Mapping[str, Field] = questions.NO_FIELDS,
) -> Route:
    """A route that reads from the snapshot; who has the answer is told so."""
    problems = (400, 404, 503) if "{" in path else (400, 503)
    return Route(name, "GET", path, answer, shows, query=query, problems=problems, is_cached=True)


ROUTES = (
    _read(
        "item",
        "/v1/items/{sku}/recommendations",
        endpoints.item,
        "Recommendations",
        questions.ITEM_FIELDS,
    ),
    _read("product", "/v1/items/{sku}", endpoints.product, "Product"),
    _read("statements", "/v1/edges/{edge}/statements", endpoints.statements, "Statements"),
    Route(
        "recommendations",
        "POST",
        "/v1/recommendations",
        endpoints.recommendations,
        "Recommendations",
        body=questions.BASKET_FIELDS,
        problems=(400, 413, 415, 503),
    ),
    _read("rationales", "/v1/rationales", endpoints.rationales, "Rationales", questions.PAGE_FIELDS),
    _read(
        "rationale_products",
        "/v1/rationales/{rationale_id}/products",
        endpoints.rationale_products,
        "Recommendations",
        questions.ITEM_FIELDS,
    ),
    _read("search", "/v1/search", endpoints.search, "Hits", questions.SEARCH_FIELDS),
    _read("snapshot", "/v1/snapshot", endpoints.snapshot, "Snapshot"),
    Route("livez", "GET", "/livez", endpoints.livez, "Alive"),
    Route("readyz", "GET", "/readyz", endpoints.readyz, "Ready"),
    Route("metrics", "GET", "/metrics", endpoints.metrics, "text/plain"),
    Route("openapi", "GET", "/openapi.json", _openapi, "application/json"),
    Route("docs", "GET", "/docs", _docs, "text/html"),
    Route("explorer", "GET", "/", _explorer, "text/html"),
)

_EXACT = {route.path.encode(): route for route in ROUTES if route.parameter is None}


def _ends(route: Route) -> tuple[bytes, bytes, Route]:
    start, _, end = route.path.partition(f"{{{route.parameter}}}")
    return start.encode(), end.encode(), route


_OPEN = tuple(_ends(route) for route in ROUTES if route.parameter is not None)
"""Beginning, end and route of the paths with a parameter; the hot one stands first."""


def _decoded(raw: bytes) -> str:
    """A part of a path as text; slashes may stand in it: a SKU is whatever the shop calls it."""
    try:
        return unquote_to_bytes(raw).decode() if b"%" in raw else raw.decode("ascii")
    except UnicodeDecodeError:
        raise bad("The path must be percent-encoded UTF-8.") from None


def find_route(path: bytes) -> tuple[Route, str]:
    """The route of a path, and the value that stands in it.

    Raises:
        Problem: 404, there is nothing; 400, the value is no UTF-8.
    """
    for start, end, route in _OPEN:
        if path.startswith(start) and path.endswith(end) and len(path) >= len(start) + len(end):
            return route, _decoded(path[len(start) : len(path) - len(end)])
    exact = _EXACT.get(path)
    if exact is None:
        raise Problem(404, "not-found", "There is nothing at this path; /docs lists what there is.")
    return exact, ""
