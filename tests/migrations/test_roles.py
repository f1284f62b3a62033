"""On PostgreSQL the service appends and reads; nothing else is left to it, triggers or not."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

import migrations
from provenance.database import connect, transaction
from provenance.ledger.log import erase
from provenance.ledger.record import Subject
from provenance.tables import Table
from tests.databases import migrated_database
from tests.provenance.ledger.logs import AT, LOG, Log, personal

SCRIPT = (Path(migrations.__file__).parent / "roles.sql").read_text(encoding="utf-8")
ONLY_GROW = ("entries", "nodes", "checkpoints", "timestamps", "lookups", "policies")


def run(engine: sa.Engine, script: str) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(script)


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """The owner of a migrated database."""
    with migrated_database("postgresql", tmp_path_factory.mktemp("roles")) as engine:
        yield engine


@pytest.fixture(scope="module")
def service(owner: sa.Engine) -> Iterator[sa.Engine]:
    """A login in the role of the script, under a name of its own: roles are the server's."""
    role = f"countermark_test_{uuid4().hex}"
    for _ in range(2):
        run(owner, SCRIPT.replace("countermark_service", role))
    run(owner, f"CREATE ROLE {role}_login LOGIN INHERIT IN ROLE {role}")
    engine = connect(owner.url.set(username=f"{role}_login").render_as_string(hide_password=False))
    try:
        yield engine
    finally:
        engine.dispose()
        run(owner, f"DROP OWNED BY {role}; DROP ROLE {role}_login; DROP ROLE {role}")


@pytest.fixture(scope="module")
def log(service: sa.Engine, tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log whose service has appended, signed, erased and checked."""
    made = Log(service, LOG, tmp_path_factory.mktemp("anchor") / "anchor")
    (entry,) = made.append(personal("a"))
    with transaction(service) as session:
        erase(session, Subject(entry.index, entry.leaf), ["prompt"], reason="request", at=AT)
    made.sign()
    return made


def test_the_service_appends_signs_erases_and_checks(log: Log) -> None:
    log.append(personal("b"))
    log.sign()
    log.check()


@pytest.mark.parametrize("table", ONLY_GROW)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {0} SET {1} = {1}",
        "DELETE FROM {0}",
        "TRUNCATE {0} CASCADE",
        "DROP TABLE {0} CASCADE",
        "ALTER TABLE {0} DISABLE TRIGGER ALL",
        "DROP TRIGGER {0}_only_grow ON {0}",
        "CREATE RULE quiet AS ON DELETE TO {0} DO INSTEAD NOTHING",
    ],
)
def test_the_service_cannot_change_the_log(log: Log, table: str, change: str) -> None:
    column = Table.metadata.tables[table].columns.values()[-1].name
    with (
        pytest.raises(DBAPIError, match="permission denied|must be owner"),
        transaction(log.engine) as session,
    ):
        session.execute(sa.text(change.format(table, column)))
    log.check()


@pytest.mark.parametrize(
    "act",
    [
        "UPDATE openings SET value = salt",
        "TRUNCATE openings",
        "UPDATE alembic_version SET version_num = '0001'",
        "CREATE TABLE mine (a int)",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN OLD; END $$",
        "SET session_replication_role = replica",
    ],
)
def test_the_service_cannot_make_room_for_a_change(log: Log, act: str) -> None:
    with (
        pytest.raises(DBAPIError, match="permission denied|must be owner"),
        log.engine.connect() as connection,
    ):
        connection.exec_driver_sql(act)


def test_the_service_may_do_to_each_table_what_it_is_for(log: Log) -> None:
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    columns = ", ".join(f"has_table_privilege(oid, '{right}')" for right in rights)
    query = f"SELECT relname, {columns} FROM pg_class WHERE relkind = 'r'"
    query += " AND relnamespace = 'public'::regnamespace"
    with log.engine.connect() as connection:
        rows = connection.execute(sa.text(query)).all()
    found = {
        name: {r for r, has in zip(rights, given, strict=True) if has} for name, *given in rows
    }
    expected = {name: {"SELECT", "INSERT", "UPDATE", "DELETE"} for name in Table.metadata.tables}
    expected |= {name: {"SELECT", "INSERT"} for name in ONLY_GROW}
    expected |= {"openings": {"SELECT", "INSERT", "DELETE"}, "alembic_version": {"SELECT"}}
    assert found == expected
