"""The ledger's tables and how a SQLite file is opened so that an acknowledged answer survives a power cut."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

METADATA = sa.MetaData()
# SQLite counts only INTEGER primary keys up by itself; PostgreSQL gets 64 bits.
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")

PROMPTS = sa.Table(
    "prompts",
    METADATA,
    sa.Column("prompt_id", sa.String(64), primary_key=True),
    sa.Column("messages", sa.Text, nullable=False),
)


def _call_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("prompt_id", sa.String(64), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("sample", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("finish_reason", sa.Text),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cost_usd", sa.Double),
        sa.Column("latency_s", sa.Double),
        sa.Column("detail", sa.Text),
        sa.Column("asked_at", sa.Text, nullable=False),
    ]


# What the provider answered. A row is written once and never changed or deleted.
RESPONSES = sa.Table(
    "responses",
    METADATA,
    *_call_columns(),
    sa.Column("response_id", sa.String(64), nullable=False, unique=True),
    sa.UniqueConstraint("prompt_id", "model", "parameters", "sample", "attempt"),
    sqlite_autoincrement=True,
)
# What the present parser says of an answer; the only rows that are ever replaced, since a parser may change.
READINGS = sa.Table(
    "readings",
    METADATA,
    sa.Column("response_id", sa.String(64), primary_key=True),
    sa.Column("parse_status", sa.Text, nullable=False),
)
# Calls that brought no answer of their own: the provider failed, or another process had answered first.
# They stand apart so that a bad day at the provider changes no attempt number, and no key, of later answers.
UNUSED_CALLS = sa.Table("unused_calls", METADATA, *_call_columns(), sqlite_autoincrement=True)

# A writer waits for another one at most so long; a commit takes milliseconds.
_BUSY_TIMEOUT_S = 60


def _settle_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver's own implicit BEGIN is deferred, and two deferred writers fail at once instead of waiting.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_S * 1000}")
    cursor.execute("PRAGMA journal_mode")
    # Changing the mode does not wait for readers, so it is asked for only where it is not set yet.
    if cursor.fetchone() != ("wal",):
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("pkgraph_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def engine_for(url_or_path: str | Path) -> sa.Engine:
    """An engine for a SQLAlchemy URL, or for a SQLite file whose folder is made if need be."""
    target = str(url_or_path)
    if "://" not in target:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        url = sa.URL.create("sqlite", database=target)
    else:
        url = sa.make_url(target)
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _settle_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine
