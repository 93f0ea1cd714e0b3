"""Precomputed lists in Redis or Valkey, for shops that read everything from there already.

    pkgraph:current             id of the snapshot that counts
    pkgraph:ID:sku:SKU          number of the SKU's list; all SKUs of a kind share one
    pkgraph:ID:list:NUMBER      JSON, a list of {sku, title, score, relation_type, rationale, explanation}

Everything of a snapshot is there and counted before `current` names it. What another snapshot left goes away
GRACE_SECONDS later: a reader that has just read `current` still finds its lists.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pkgraph.errors import InputError, PkgraphError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkgraph.recommend.graph import Graph

GRACE_SECONDS = 600
BATCH = 1_000
"""Keys a round trip."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is current in Redis now."""

    snapshot_id: str
    n_skus: int
    n_lists: int


def list_of(graph: Graph, sku: str, k: int) -> bytes:
    """The list of one SKU, as a reader finds it."""
    items = graph.recommend([sku], k=k).items
    rows = [
        {
            "sku": item.sku,
            "title": item.title,
            "score": item.score,
            "relation_type": item.path.relation_type,
            "rationale": item.path.rationale,
            "explanation": item.path.explanation,
        }
        for item in items
    ]
    return json.dumps(rows, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _entries(graph: Graph, k: int, start: str) -> Iterator[tuple[str, bytes]]:
    """Keys and values, list by list; a kind without recommendations has none."""
    s = graph.snapshot.sections
    for kind in range(len(s.kind_ids)):
        first, end = s.kind_sku_offsets[kind : kind + 2].tolist()
        skus = [s.sku_ids[row] for row in s.kind_skus[first:end].tolist()]
        content = list_of(graph, skus[0], k) if skus else b"[]"
        if content == b"[]":
            continue
        yield f"{start}:list:{kind}", content
        for sku in skus:
            yield f"{start}:sku:{sku}", str(kind).encode()


def load(
    graph: Graph, url: str, *, k: int = 10, prefix: str = "pkgraph", grace_seconds: int = GRACE_SECONDS
) -> Loaded:
    """Load the lists of a graph, and make them the current ones.

    Raises:
        InputError: The package `redis` is missing, or there is no server at this URL.
        PkgraphError: Not every key arrived. What was current stays.
    """
    try:
        import redis  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise InputError("Loading needs redis.", remedy="pip install 'pkgraph[redis]'") from error
    try:
        with redis.Redis.from_url(url) as server:
            return _loaded(graph, server, k, prefix, grace_seconds)
    except (redis.RedisError, ValueError) as error:
        # Not the URL: it may hold a password.
        raise InputError(
            f"Redis cannot be used: {error}", remedy="Check --url, then run it again."
        ) from error


def _loaded(graph: Graph, server: Any, k: int, prefix: str, grace_seconds: int) -> Loaded:
    start = f"{prefix}:{graph.snapshot_id}"
    batch: dict[str, bytes] = {}
    n_lists = n_keys = 0
    for key, value in _entries(graph, k, start):
        batch[key] = value
        n_keys += 1
        n_lists += key.startswith(f"{start}:list:")
        if len(batch) == BATCH:
            server.mset(batch)  # replaces what an interrupted load left, and its expiry
            batch = {}
    if batch:
        server.mset(batch)
    found = sum(1 for _ in server.scan_iter(match=f"{_escaped(start)}:*", count=BATCH))
    if found < n_keys:
        raise PkgraphError(f"Of {n_keys} keys {found} arrived in Redis; what was current stays.")
    server.set(f"{prefix}:current", graph.snapshot_id)
    _let_go(server, prefix, graph.snapshot_id, grace_seconds)
    return Loaded(graph.snapshot_id, n_keys - n_lists, n_lists)


def _escaped(text: str) -> str:
    """A text that stands for itself in a pattern of Redis."""
    return "".join(f"\\{one}" if one in "*?[]^-\\" else one for one in text)


def _let_go(server: Any, prefix: str, current: str, grace_seconds: int) -> None:
    """Lists of other snapshots go away after a while; keys that only begin like them are another's."""
    lists = re.compile(rb"%b:([0-9a-f]{12}):(?:sku|list):" % re.escape(prefix.encode()))
    batch: list[bytes] = []
    for key in server.scan_iter(match=f"{_escaped(prefix)}:*:*", count=BATCH):
        found = lists.match(key)
        if found is None or found[1] == current.encode():
            continue
        batch.append(key)
        if len(batch) == BATCH:
            _expire(server, batch, grace_seconds)
            batch = []
    _expire(server, batch, grace_seconds)


def _expire(server: Any, keys: list[bytes], grace_seconds: int) -> None:
    with server.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.expire(key, grace_seconds, nx=False)
        pipeline.execute()
