"""The label store's two tables; triggers refuse whoever would change or delete a row."""

from __future__ import annotations

import sqlalchemy as sa

from pkgraph.llm.ledger_tables import make_missing

METADATA = sa.MetaData()


def _pair_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("relation_id", sa.Text, nullable=False, index=True),
        sa.Column("prompt_id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("statement", sa.String(12), nullable=False),
        sa.Column("target_kind_id", sa.Text),
    ]


# A row a verdict, or the undoing of one (`undoes`, with `holds` null).
LABELS = sa.Table(
    "labels",
    METADATA,
    *_pair_columns(),
    sa.Column("holds", sa.Boolean),
    sa.Column("fit", sa.Integer),
    sa.Column("reason", sa.Text),
    sa.Column("annotator", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("drawn", sa.Text, nullable=False),
    sa.Column("draw", sa.Integer),
    sa.Column("undoes", sa.Integer, unique=True),
    sa.Column("created_at", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
# A row a draw of the audit stream, made before anybody judged the pair.
DRAWS = sa.Table(
    "draws",
    METADATA,
    *_pair_columns(),
    sa.Column("draw", sa.Integer, nullable=False, unique=True),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("population", sa.Text, nullable=False),
    sa.Column("n_population", sa.Integer, nullable=False),
    sa.Column("seed", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    # The sample whose certificate was in force; null in rows from before it was noted.
    sa.Column("sample", sa.Text),
    sqlite_autoincrement=True,
)

_GUARD = (
    "CREATE TRIGGER IF NOT EXISTS {table}_are_never_{verb}d BEFORE {verb} ON {table} "
    "BEGIN SELECT RAISE(ABORT, '{table} are never changed: a later row supersedes'); END"
)


def make_tables(connection: sa.Connection) -> None:
    """Make what is missing; a store of an earlier release gets the columns that were added since."""
    make_missing(METADATA, connection)
    for table in METADATA.sorted_tables:
        for verb in ("update", "delete"):
            connection.exec_driver_sql(_GUARD.format(table=table.name, verb=verb))
