"""One engine a process, and `transaction()`: the only place that commits.

A transaction is durable once `transaction()` returns: SQLite syncs its write-ahead log at every
commit, PostgreSQL does so by default. On SQLite a transaction takes the write lock when it begins,
so two of them never decide on the same state; a snapshot takes none, sees one state, and commits
nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from provenance.errors import ProvenanceError

BUSY_SECONDS = 30  # a batch of records is written in less; a longer wait is a stuck process
_BEGIN = "sqlite_begin"


class UnknownDatabase(ProvenanceError):
    """A database that is neither SQLite nor PostgreSQL."""


class Busy(ProvenanceError):
    """Others wrote to the SQLite file for so long that nothing could be begun; nothing was."""


def connect(url: str) -> Engine:
    """An engine for `sqlite:///file` or `postgresql+psycopg://host/name`, not yet connected."""
    match make_url(url).get_backend_name():
        case "postgresql":
            return create_engine(url, pool_pre_ping=True)
        case "sqlite":
            engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        case other:
            raise UnknownDatabase(f"database {other!r} is neither sqlite nor postgresql")


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """All of the block or nothing of it."""
    with Session(engine) as session:
        yield session
        session.commit()


@contextmanager
def snapshot(engine: Engine) -> Iterator[Session]:
    """One unchanging state of the database, to read."""
    options: dict[str, Any] = {_BEGIN: "BEGIN"}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with (
        engine.connect().execution_options(**options) as connection,
        Session(connection) as session,
    ):
        yield session
        session.rollback()


def _configure_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing on its own: _begin_sqlite does
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "recursive_triggers = ON",  # INSERT OR REPLACE must ask the triggers before it deletes
        "secure_delete = ON",  # what is erased is overwritten, not only unlinked
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    how = connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE")
    try:
        connection.exec_driver_sql(how)
    except OperationalError as e:
        if getattr(e.orig, "sqlite_errorname", "") != "SQLITE_BUSY":
            raise
        file = connection.engine.url.database
        raise Busy(f"{file} was locked by others for {BUSY_SECONDS} s: try again") from e
