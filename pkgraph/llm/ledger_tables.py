"""The ledger's tables and how a SQLite file is opened so that an acknowledged answer survives a power cut."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event

from pkgraph.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

# SQLite takes at most 32 766 values in one statement; 500 keep the statement short as well.
CHUNK = 500

METADATA = sa.MetaData()
# SQLite counts only INTEGER primary keys up by itself; PostgreSQL gets 64 bits.
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")

PROMPTS = sa.Table(
    "prompts",
    METADATA,
    sa.Column("prompt_id", sa.String(64), primary_key=True),
    sa.Column("messages", sa.Text, nullable=False),
)


def _key_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("prompt_id", sa.String(64), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("sample", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
    ]


def _call_columns() -> list[sa.Column[object]]:
    return [
        *_key_columns(),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("finish_reason", sa.Text),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cost_usd", sa.Double),
        sa.Column("latency_s", sa.Double),
        sa.Column("detail", sa.Text),
        sa.Column("asked_at", sa.Text, nullable=False),
        # What the provider calls the model that answered: an alias may point elsewhere tomorrow.
        sa.Column("provider_model", sa.Text),
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
# A row a request that was allowed: "open" until it is settled, or lost with its holder.
# What was set aside for it counts as spent until its cost is known.
LEASES = sa.Table(
    "leases",
    METADATA,
    *_key_columns(),
    sa.Column("response_id", sa.String(64), nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Column("reserved_usd", sa.Double, nullable=False),
    sa.Column("cost_usd", sa.Double),
    sqlite_autoincrement=True,
)
_IS_OPEN = LEASES.c.state == "open"
sa.Index(
    "one_lease_a_question",
    LEASES.c.response_id,
    unique=True,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)
# They hold all that the sums of a day and of a run read: no row is looked up for them.
sa.Index("spent_a_day", LEASES.c.day, LEASES.c.cost_usd, LEASES.c.reserved_usd)
sa.Index("spent_a_run", LEASES.c.run, LEASES.c.cost_usd, LEASES.c.reserved_usd)

# A row a batch: "prepared", "submitted" once the provider's id of it is known, "done".
BATCHES = sa.Table(
    "batches",
    METADATA,
    sa.Column("token", sa.String(32), primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("batch_id", sa.Text),
    sa.Column("prepared_at", sa.Double, nullable=False),
)

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


def _settle_postgresql(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # A server may be set to acknowledge before the disk has it; this ledger never does.
    cursor = connection.cursor()
    cursor.execute("SET synchronous_commit TO on")
    cursor.close()
    connection.commit()


def _begin_postgresql(connection: sa.Connection) -> None:
    """One writer at a time, as SQLite has it: what is left of a budget is read and taken in one step."""
    if connection.get_execution_options().get("pkgraph_writes", False):
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK)))


# Any number will do that all processes agree on: the first seven bytes of the SHA-256 of "pkgraph ledger".
_WRITER_LOCK = 0x99D0394A5ED574


@contextmanager
def translated(store: str) -> Iterator[None]:
    """Errors of a database as errors of the store in it, without the statement, whose values are people's.

    Args:
        store: What cannot be used, as the beginning of a sentence.
    """
    try:
        yield
    except (sa.exc.SQLAlchemyError, OSError) as error:
        reason = getattr(error, "orig", None) or type(error).__name__
        raise LedgerError(
            f"{store} cannot be used: {reason}.",
            remedy="What it acknowledged is kept. Check path, permissions and free space, then run again.",
        ) from error


def make_tables(connection: sa.Connection) -> None:
    """Make what is missing; a ledger of an earlier release gets the columns that were added since."""
    make_missing(METADATA, connection)


def make_missing(metadata: sa.MetaData, connection: sa.Connection) -> None:
    """Make the tables, and the nullable columns, that are not there yet."""
    metadata.create_all(connection)
    found = sa.inspect(connection)
    for table in metadata.sorted_tables:
        there = {column["name"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                kind = column.type.compile(connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")


def engine_for(url_or_path: str | Path) -> sa.Engine:
    """An engine for a SQLAlchemy URL, or for a SQLite file whose folder is made if need be.

    Raises:
        LedgerError: The URL is of another database, or its driver is not installed.
    """
    target = str(url_or_path)
    if "://" not in target:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        url = sa.URL.create("sqlite", database=target)
    else:
        url = sa.make_url(target)
    if url.get_backend_name() not in _SETTLE:
        raise LedgerError(
            f"A ledger in {url.get_backend_name()} is not supported.",
            remedy="Give a SQLite or PostgreSQL URL.",
        )
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    try:
        engine = sa.create_engine(url)
    except ModuleNotFoundError as error:
        raise LedgerError(
            f"The ledger's database driver {error.name} is not installed.",
            remedy="Install pkgraph[pipeline,postgres].",
        ) from None
    connected, begun = _SETTLE[engine.dialect.name]
    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    return engine


_SETTLE = {
    "sqlite": (_settle_sqlite, _begin_sqlite),
    "postgresql": (_settle_postgresql, _begin_postgresql),
}
