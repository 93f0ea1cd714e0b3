"""The endpoints: each one takes a whole request and answers it from what is in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pkgraph.recommend.question import MAX_K
from pkgraph.serving.fields import Field, read_query
from pkgraph.serving.problems import NO_STORE, Answer, Problem, as_json, json_answer
from pkgraph.serving.questions import (
    NO_FIELDS,
    PAGE_FIELDS,
    REQUIRED,
    SEARCH_FIELDS,
    basket_options,
    item_options,
)
from pkgraph.snapshot import claim_of

if TYPE_CHECKING:
    from pkgraph.recommend.question import Available
    from pkgraph.serving.metrics import Metrics
    from pkgraph.serving.served import Current, Served

Headers = Mapping[bytes, bytes]

_JSON = b"content-type: application/json\r\n" + NO_STORE
MAX_DIGITS = 10
"""Digits of an edge's row; a snapshot has 2 ** 31 edges at most."""
_PROMETHEUS = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n" + NO_STORE


@dataclass(slots=True)
class Ask:
    """One request.

    Attributes:
        value: What stands in the path for {sku} or {rationale_id}, decoded; empty where there is none.
        is_draining: The server is about to stop: it answers, and says that it is not ready.
    """

    served: Served
    metrics: Metrics
    value: str
    query: bytes
    headers: Headers
    body: bytes
    is_draining: bool
    age_seconds: Callable[[str], float]

    @property
    def current(self) -> Current:
        found = self.served.current
        if found is None:
            # Faults name files and folders: they are for /readyz, which is for the inside.
            raise Problem(
                503, "no-snapshot", "Nothing is served yet; /readyz says why.", b"retry-after: 1\r\n"
            )
        return found

    def fields(self, fields: Mapping[str, Field]) -> dict[str, Any]:
        found = read_query(self.query, fields)
        for name in REQUIRED & fields.keys() - found.keys():
            raise Problem(400, "bad-request", f"{name} is missing: {fields[name].says}")
        return found


def _has_it(current: Current, headers: Headers) -> bool:
    """Whether the caller's copy is still right."""
    known = headers.get(b"if-none-match")
    if known is None:
        return False
    tags = [tag.strip().removeprefix(b"W/") for tag in known.split(b",")]
    return current.etag in tags or b"*" in tags


def _named(current: Current, body: Mapping[str, Any]) -> bytes:
    return as_json({"snapshot_id": current.graph.snapshot_id, **body})


def _cached(ask: Ask, current: Current, body: Mapping[str, Any]) -> Answer:
    """The body with the snapshot's name on it, or 304 where the caller has it already."""
    if _has_it(current, ask.headers):
        return Answer(304, current.head, b"")
    return Answer(200, current.head, _named(current, body))


def item(ask: Ask) -> Answer:
    """Products that belong with one product, each with the paths that explain it."""
    current, sku = ask.current, ask.value
    graph = current.graph
    options = item_options(ask.query)
    if current.available is not None:  # a question without more than a limit takes the kernel's short way
        options = {**options, "available": current.available}
    if ask.headers.get(b"if-none-match") is not None and graph.knows(sku) and _has_it(current, ask.headers):
        return Answer(304, current.head, b"")
    body = graph.recommend_json((sku,), **options)
    if b'"items":[]' in body[:64]:  # looked for only where there is nothing: a full answer has a known SKU
        if not graph.knows(sku):
            raise Problem(404, "unknown-sku", "The snapshot does not know this SKU.")
        ask.metrics.count("recommendations_empty_total")
    return Answer(200, current.head, body)


def product(ask: Ask) -> Answer:
    """One product of the catalog, in stock or not."""
    ask.fields(NO_FIELDS)
    current = ask.current
    found = current.graph.product(ask.value)
    if found is None:
        raise Problem(404, "unknown-sku", "The snapshot does not know this SKU.")
    return _cached(ask, current, {"product": asdict(found)})


def statements(ask: Ask) -> Answer:
    """What the models said that became one edge, surest first; a path names its edge, for this snapshot."""
    ask.fields(NO_FIELDS)
    current, edge = ask.current, ask.value
    is_row = edge.isascii() and edge.isdecimal() and len(edge) <= MAX_DIGITS
    if not is_row or int(edge) >= current.graph.snapshot.n_edges:
        raise Problem(404, "unknown-edge", "The snapshot has no such edge.")
    found = [asdict(one) for one in current.graph.statements(int(edge))]
    return _cached(ask, current, {"statements": found})


def recommendations(ask: Ask) -> Answer:
    """Products that belong with a basket, or serve a purpose, or both; unknown SKUs are named."""
    current = ask.current
    if ask.headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Problem(415, "unsupported-media-type", "Send the body as it is, not compressed.")
    options = basket_options(ask.body, ask.headers.get(b"content-type", b""))
    asked = frozenset(options.pop("available")) if "available" in options else None
    available: Available | None = current.available if asked is None else asked
    if asked is not None and current.available is not None:
        available = frozenset(filter(current.available, asked))
    body = current.graph.recommend_json(options.pop("skus", ()), available=available, **options)
    return Answer(200, _JSON, body)


def rationales(ask: Ask) -> Answer:
    """Every purpose of the graph, the most widely served first."""
    current, asked = ask.current, ask.fields(PAGE_FIELDS)
    page = [asdict(purpose) for purpose in current.graph.purposes(asked["limit"], asked["offset"])]
    total = len(current.graph.snapshot.sections.rationale_ids)
    return _cached(ask, current, {"rationales": page, "total": total})


def rationale_products(ask: Ask) -> Answer:
    """Products that serve one purpose, each with the paths that explain it."""
    current, options = ask.current, item_options(ask.query)
    if current.graph.rationale(ask.value) is None:
        raise Problem(404, "unknown-rationale", "The snapshot does not know this rationale.")
    if _has_it(current, ask.headers):
        return Answer(304, current.head, b"")
    body = current.graph.recommend_json(purpose=ask.value, available=current.available, **options)
    return Answer(200, current.head, body)


def search(ask: Ask) -> Answer:
    """Products, kinds and purposes by words or beginnings of words, of what may be served."""
    current, asked = ask.current, ask.fields(SEARCH_FIELDS)
    available, limit = current.available, asked["limit"]
    hits = current.graph.search(asked["q"], limit if available is None else MAX_K, what=asked.get("what"))
    shown = [hit for hit in hits if available is None or hit.what != "product" or available(hit.id)]
    return _cached(ask, current, {"hits": [asdict(hit) for hit in shown[:limit]]})


def snapshot(ask: Ask) -> Answer:
    """What answers, what it was made from, and what is promised about it."""
    ask.fields(NO_FIELDS)
    current = ask.current
    manifest, record = current.graph.manifest, current.graph.snapshot.record
    body = {
        "sequence": record.sequence if record else None,
        "action": record.action if record else None,
        "created_at": record.created_at if record else None,
        "certificate": manifest.certificate,
        "is_certified": manifest.certificate is not None and manifest.override is None,
        "override": manifest.override,
        "claim": claim_of(manifest),
        "counts": {name: n for name, n in manifest.counts.items() if not name.endswith(".bytes")},
        "intake": {"n_accepted": manifest.intake.n_accepted, "refused": dict(manifest.intake.refused)},
        "inputs": dict(manifest.inputs),
        "gate": dict(record.gate.evaluated) if record else {},
    }
    return _cached(ask, current, body)


def livez(_: Ask) -> Answer:
    """The process answers."""
    return json_answer({"alive": True})


def readyz(ask: Ask) -> Answer:
    """Ready as soon as a snapshot answers; faults say what is wrong with a newer one or the stock list."""
    current = ask.served.current
    is_ready = current is not None and not ask.is_draining
    body = {
        "ready": is_ready,
        "snapshot_id": current.graph.snapshot_id if current else None,
        "sequence": ask.served.sequence,
        "stock_skus": current.in_stock.n_skus if current and current.in_stock else None,
        "faults": [*ask.served.faults, *(["The server is stopping."] if ask.is_draining else [])],
    }
    return json_answer(body, 200 if is_ready else 503)


def metrics(ask: Ask) -> Answer:
    """Counters of all workers, in the text format of Prometheus."""
    current = ask.served.current
    record = current.graph.snapshot.record if current else None
    age = ask.age_seconds(record.created_at) if record else None
    text = ask.metrics.text(current.graph.snapshot_id if current else None, age)
    return Answer(200, _PROMETHEUS, text.encode())
