"""Real databases for tests: a file of SQLite, or a database of its own on a PostgreSQL server.

COUNTERMARK_TEST_POSTGRES names the server and must then work; without it, tests on PostgreSQL are
skipped where none listens on this machine.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from migrations import upgrade
from provenance.database import connect

FILE = "countermark.db"
KINDS = ("sqlite", "postgresql")
LOCAL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"


@contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a database without tables, gone afterwards."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / FILE}"
        return
    server = os.environ.get("COUNTERMARK_TEST_POSTGRES") or _local_server()
    name = f"countermark_test_{uuid4().hex}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


@contextmanager
def migrated_database(kind: str, folder: Path) -> Iterator[sa.Engine]:
    """An engine on a database with every table."""
    with empty_database(kind, folder) as url:
        if kind == "sqlite":
            (folder / FILE).write_bytes(_migrated_file())
        engine = connect(url)
        try:
            if kind != "sqlite":
                upgrade(engine)
            yield engine
        finally:
            engine.dispose()


@cache
def _migrated_file() -> bytes:
    """A database file as the migrations leave it, so that they run once for all tests."""
    with TemporaryDirectory() as folder, empty_database("sqlite", Path(folder)) as url:
        engine = connect(url)
        upgrade(engine)
        engine.dispose()
        return (Path(folder) / FILE).read_bytes()


def _local_server() -> str:
    try:
        socket.create_connection(("127.0.0.1", 5432), timeout=1).close()
    except OSError:
        pytest.skip("no PostgreSQL on 127.0.0.1:5432, and COUNTERMARK_TEST_POSTGRES names none")
    return LOCAL
