"""What tests of several folders ask for: a place for a ledger in each database, and a way to say a figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from tests.figures import Figure
from tests.postgresql import postgresql


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Printed at the end of the run: what a test prints itself is not shown where it passes."""
    return lambda text: record_property("figure", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    said = sorted(
        (Path(report.nodeid.partition("::")[0]).stem, str(value))
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == "figure"
    )
    if said:
        terminalreporter.section("figures")
    for file, text in said:
        terminalreporter.write_line(f"{file}: {text}")


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
