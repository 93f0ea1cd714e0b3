"""What tests of several folders ask for: a place for a ledger, in each database that is supported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from tests.postgresql import postgresql


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    with postgresql() as url:
        yield url


def _new_database(url: str) -> str:
    """An empty database of its own on the server."""
    name = f"t{uuid4().hex}"
    target = sa.make_url(url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(target, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return sa.make_url(url).set(database=name).render_as_string()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger may be opened: a SQLite file, and a database of a real PostgreSQL server."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.sqlite")
    return _new_database(request.getfixturevalue("postgresql_url"))
