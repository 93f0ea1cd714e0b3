"""Dagster's SQLite storage as a build uses it: the same files, each database opened once, not once an event.

Dagster's own makes an engine, a connection and a closing checkpoint for every event, and sets up a new
database for every run by DDL and a migration stamp. A build records some 8 000 events in 100 runs, and that
was two fifths of its time.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData


def _engine(url: str) -> sa.Engine:
    """An engine that keeps its connections; the UI may write to the same file meanwhile."""
    engine = sa.create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
    # In WAL mode a power cut can take the newest events, never the file. What they record is done again then:
    # accepted rows count only under a version that Dagster knows.
    sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = NORMAL").close())
    return engine


class _EventLog(SqliteEventLogStorage):
    """One engine for the index, one for the run that goes on."""

    def __init__(self, base_dir: str) -> None:
        self._engines: dict[str, sa.Engine] = {}
        self._tables: set[str] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="pkgraph-")
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock, self._engine_of(shard).begin() as connection:
            yield connection

    def _engine_of(self, shard: str) -> sa.Engine:
        if shard not in self._engines:
            for other in set(self._engines) - {INDEX_SHARD_NAME}:
                self._engines.pop(other).dispose()
            if not Path(self.path_for_shard(shard)).exists():
                shutil.copyfile(self._empty_database(), self.path_for_shard(shard))
            self._engines[shard] = _engine(self.conn_string_for_shard(shard))
        return self._engines[shard]

    def has_table(self, table_name: str) -> bool:
        """Asked before every look at the partitions; a table that was there stays."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _empty_database(self) -> Path:
        """A database as Dagster sets one up, made once and copied for every run."""
        path = Path(self._folder.name, "empty.db")
        if not path.exists():
            engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.pool.NullPool)
            self._initdb(engine)
            engine.dispose()
        return path

    def dispose(self) -> None:
        super().dispose()
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        self._folder.cleanup()


class _Runs(SqliteRunStorage):
    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engine = _engine(conn_string)
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        self._engine.dispose()


class BuildStorage(DagsterSqliteStorage):
    """What `build_instance` names as its storage."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._run_storage = _Runs.from_local(str(Path(base_dir, "history", "")))
        self._event_log_storage = _EventLog(str(Path(base_dir, "history", "runs", "")))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BuildStorage:
        return cls(config_value["base_dir"], inst_data)
