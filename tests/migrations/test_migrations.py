"""Migrations make the tables of the models, go both ways, and guard what must only grow."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from migrations import downgrade, upgrade
from provenance.database import connect, transaction
from provenance.tables import (
    CheckpointRow,
    EntryRow,
    LookupRow,
    NodeRow,
    OpeningRow,
    PolicyRow,
    Table,
    TimestampRow,
)
from tests.databases import KINDS, empty_database, migrated_database

ONLY_GROW = ("entries", "nodes", "checkpoints", "timestamps", "lookups", "policies")


@pytest.fixture(params=KINDS, scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def engine(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    with migrated_database(kind, tmp_path_factory.mktemp(kind)) as made:
        with transaction(made) as session:
            session.add_all([EntryRow(index=0, record=b"a"), NodeRow(level=0, place=0, hash=b"h")])
            session.add(CheckpointRow(number=0, size=1, note=b"n"))
            session.add(TimestampRow(number=0, size=1, note=b"n", response=b"r"))
            session.flush()
            session.add(LookupRow(name="id", value=b"x", entry=0))
            session.add(OpeningRow(entry=0, field="prompt", salt=b"s", value=b"v"))
            made_at = datetime(2026, 1, 1, tzinfo=UTC)
            session.add(
                PolicyRow(
                    tenant="*",
                    model="*",
                    number=1,
                    document={},
                    digest=b"d",
                    author="operator",
                    created=made_at,
                )
            )
        yield made


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names()) - {"alembic_version"}


def test_migrations_go_up_down_and_up_again(kind: str, tmp_path: Path) -> None:
    with empty_database(kind, tmp_path) as url:
        engine = connect(url)
        upgrade(engine)
        assert tables(engine) == set(Table.metadata.tables)
        downgrade(engine, "base")
        assert tables(engine) == set()
        upgrade(engine)
        upgrade(engine)
        assert tables(engine) == set(Table.metadata.tables)
        engine.dispose()


def test_migrations_make_exactly_the_models(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


@pytest.mark.parametrize("table", ONLY_GROW)
@pytest.mark.parametrize("change", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
def test_the_log_refuses_update_and_delete(engine: sa.Engine, table: str, change: str) -> None:
    column = Table.metadata.tables[table].columns.values()[-1].name
    with (
        pytest.raises(DBAPIError, match=f"table {table} only grows"),
        transaction(engine) as session,
    ):
        session.execute(sa.text(change.format(table, column)))
    with engine.connect() as connection:
        assert connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) == 1


@pytest.mark.parametrize("table", ONLY_GROW)
def test_sqlite_refuses_replace_even_where_triggers_are_not_recursive(
    tmp_path: Path, table: str
) -> None:
    with migrated_database("sqlite", tmp_path):
        names = [column.name for column in Table.metadata.tables[table].columns]
        values = ", ".join(f"{i}" for i in range(len(names)))
        insert = f"INSERT OR REPLACE INTO {table} VALUES ({values})"
        with closing(sqlite3.connect(tmp_path / "countermark.db")) as plain:
            plain.execute(insert)
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                plain.execute(insert)


@pytest.mark.parametrize("table", ONLY_GROW)
def test_no_database_truncates_the_log(engine: sa.Engine, table: str) -> None:
    with (
        pytest.raises(DBAPIError, match='only grows|near "TRUNCATE"'),
        transaction(engine) as session,
    ):
        session.execute(sa.text(f"TRUNCATE {table} CASCADE"))


def test_openings_can_be_erased(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sa.delete(OpeningRow))
        assert connection.scalar(sa.select(sa.func.count()).select_from(OpeningRow)) == 0
        connection.rollback()
