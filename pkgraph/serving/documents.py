"""The contract as OpenAPI 3.1, and the same as a page that needs nothing from elsewhere."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from pkgraph.recommend.answers import Hit, Path, Product, Purpose, Recommendation
from pkgraph.serving.policy import policy_of
from pkgraph.serving.problems import COMMON, Answer, as_json
from pkgraph.serving.questions import MAX_TEXT, REQUIRED
from pkgraph.serving.served import OUR_VERSION
from pkgraph.snapshot import Statement

if TYPE_CHECKING:
    from pkgraph.serving.fields import Field
    from pkgraph.serving.routes import Route

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_MAYBE_TEXT = {"type": ["string", "null"]}


def _schema_of(hint: Any) -> dict[str, Any]:
    """The JSON of a record, a tuple of them, a plain value, or one of those or null."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return {"$ref": f"#/components/schemas/{hint.__name__}"}
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _schema_of(get_args(hint)[0])}
    if get_origin(hint) is types.UnionType:
        return {"type": [_PLAIN[one] for one in get_args(hint)]}
    return {"type": _PLAIN[hint]}


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object with these properties, all of them and no other."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _record(cls: type) -> dict[str, Any]:
    return _closed({name: _schema_of(hint) for name, hint in get_type_hints(cls).items()})


def _list_of(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


SCHEMAS: Mapping[str, Any] = {
    "Path": _record(Path),
    "Recommendation": _record(Recommendation),
    "Recommendations": _closed(
        {
            "snapshot_id": _TEXT,
            "items": _list_of("Recommendation"),
            "unknown_skus": {"type": "array", "items": _TEXT},
            "rationales": {"type": "array", "items": _TEXT},
        }
    ),
    "CatalogProduct": _record(Product),
    "Product": _closed({"snapshot_id": _TEXT, "product": {"$ref": "#/components/schemas/CatalogProduct"}}),
    "Statement": _record(Statement),
    "Statements": _closed({"snapshot_id": _TEXT, "statements": _list_of("Statement")}),
    "Purpose": _record(Purpose),
    "Rationales": _closed({"snapshot_id": _TEXT, "rationales": _list_of("Purpose"), "total": _COUNT}),
    "Hit": _record(Hit),
    "Hits": _closed({"snapshot_id": _TEXT, "hits": _list_of("Hit")}),
    "Snapshot": _closed(
        {
            "snapshot_id": _TEXT,
            "sequence": {"type": ["integer", "null"]},
            "action": _MAYBE_TEXT,
            "created_at": _MAYBE_TEXT,
            "certificate": {"type": ["object", "null"]},
            "is_certified": {"type": "boolean"},
            "override": _MAYBE_TEXT,
            "claim": _TEXT,
            "counts": {"type": "object", "additionalProperties": _COUNT},
            "intake": _closed({"n_accepted": _COUNT, "refused": {"type": "object"}}),
            "inputs": {"type": "object"},
            "gate": {"type": "object", "additionalProperties": _COUNT},
        }
    ),
    "Alive": _closed({"alive": {"type": "boolean"}}),
    "Ready": _closed(
        {
            "ready": {"type": "boolean"},
            "snapshot_id": _MAYBE_TEXT,
            "sequence": _COUNT,
            "stock_skus": {"type": ["integer", "null"]},
            "faults": {"type": "array", "items": _TEXT},
        }
    ),
    "Problem": _closed(
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": _TEXT,
            "instance": _TEXT,
        }
    ),
}


HEADERS: Mapping[str, Any] = {
    "ETag": {
        "description": "Changes with the snapshot and the stock list; send it as If-None-Match.",
        "required": True,
        "schema": _TEXT,
    },
    "X-Request-Id": {
        "description": "Name of the request, in the log too: the caller's own, or else the server's.",
        "required": True,
        "schema": _TEXT,
    },
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETags of answers that the caller has; * is any.",
    "schema": _TEXT,
}


def _headers(*names: str) -> dict[str, Any]:
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}}


def _content(shows: str) -> dict[str, Any]:
    if "/" in shows:
        return {"content": {shows: {"schema": _TEXT if shows.startswith("text") else {"type": "object"}}}}
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{shows}"}}}}


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": schema}},
        **_headers(),
    }


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if route.parameter:
        schema = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
        found.append({"name": route.parameter, "in": "path", "required": True, "schema": schema})
    for name, field in route.query.items():
        more = {"style": "form", "explode": True} if field.schema["type"] == "array" else {}
        found.append(
            {
                "name": name,
                "in": "query",
                "required": name in REQUIRED,
                "description": field.says,
                "schema": dict(field.schema),
                **more,
            }
        )
    return [*found, _IF_NONE_MATCH] if route.is_cached else found


def _body(fields: Mapping[str, Field]) -> dict[str, Any]:
    properties = {name: {**field.schema, "description": field.says} for name, field in fields.items()}
    schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "anyOf": [
            {"required": ["skus"], "properties": {"skus": {"type": "array", "minItems": 1}}},
            {"required": ["purpose"]},
        ],
    }
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _operation(route: Route) -> dict[str, Any]:
    says = route.answer.__doc__ or HTTPStatus.OK.phrase
    headers = _headers("ETag") if route.is_cached else _headers()
    responses = {"200": {"description": says, **_content(route.shows), **headers}}
    if route.is_cached:
        has_it = "The caller has this answer: If-None-Match named its ETag."
        responses["304"] = {"description": has_it, **headers}
    if route.name == "readyz":
        responses["503"] = {"description": "Not ready.", **_content(route.shows), **headers}
    # What no route is behind: a target or headers that are too long.
    for status in sorted({*route.problems, 414, 431} if route.problems else ()):
        responses[str(status)] = _problem(status)
    operation: dict[str, Any] = {"operationId": route.name, "summary": says, "responses": responses}
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = _body(route.body)
    return operation


def openapi(routes: Iterable[Route]) -> dict[str, Any]:
    """The contract as an OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pkgraph",
            "version": OUR_VERSION,
            "description": "Recommendations from a published product knowledge graph, with their reasons.",
        },
        "paths": {route.path: {route.method.lower(): _operation(route)} for route in routes},
        "components": {"schemas": dict(SCHEMAS), "headers": dict(HEADERS)},
    }


def _cached_for_an_hour(content_type: bytes, body: bytes, more: bytes = b"") -> Answer:
    head = b"content-type: " + content_type + b"\r\ncache-control: max-age=3600\r\n" + COMMON + more
    return Answer(200, head, body)


@cache
def openapi_answer(routes: tuple[Route, ...]) -> Answer:
    """This contract as OpenAPI 3.1."""
    return _cached_for_an_hour(b"application/json", as_json(openapi(routes)))


_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h2{font-size:1.1rem;border-top:1px solid #ccc;padding-top:1rem}code,h2{font-family:ui-monospace,monospace}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}
"""


def _bounds(schema: Mapping[str, Any]) -> str:
    inner = schema.get("items", schema)
    said = [str(schema["type"]), *([f"of {inner['type']}"] if inner is not schema else [])]
    said += [
        f"{word} {schema[word]}" for word in ("minimum", "maximum", "maxItems", "default") if word in schema
    ]
    said += [f"at most {inner['maxLength']} characters"] if "maxLength" in inner else []
    return ", ".join(said + ([f"one of {', '.join(inner['enum'])}"] if "enum" in inner else []))


def _section(route: Route) -> str:
    fields = [*route.query.values(), *(route.body or {}).values()]
    rows = "".join(
        f"<tr><td><code>{escape(field.name)}</code></td><td>{escape(field.says)}</td>"
        f"<td>{escape(_bounds(field.schema))}</td></tr>"
        for field in fields
    )
    where = "in a JSON body" if route.body else "in the query"
    table = f"<table><tr><th>{where}</th><th></th><th></th></tr>{rows}</table>" if fields else ""
    problems = ", ".join(f"{status} {HTTPStatus(status).phrase}" for status in route.problems)
    errors = f"<p>Errors: {escape(problems)}.</p>" if problems else ""
    says = escape(route.answer.__doc__ or "")
    return f"<h2>{route.method} {escape(route.path)}</h2><p>{says}</p>{table}{errors}"


@cache
def docs_page(routes: tuple[Route, ...]) -> Answer:
    """This contract as a page."""
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>pkgraph</title><style>{_STYLE}</style>'
        f"<h1>pkgraph {escape(OUR_VERSION)}</h1>"
        "<p>Recommendations from a published product knowledge graph, with their reasons. "
        "Errors are <code>application/problem+json</code>. An answer's ETag changes with the snapshot "
        'and the stock list. <a href="/openapi.json">/openapi.json</a> says the same to programs.</p>'
        f"{''.join(map(_section, routes))}</html>"
    )
    return _cached_for_an_hour(b"text/html; charset=utf-8", body.encode(), policy_of(_STYLE))
