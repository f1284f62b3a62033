"""A transaction is all or nothing, alone and durable; a snapshot sees one state."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from provenance import database
from provenance.database import Busy, UnknownDatabase, connect, snapshot, transaction
from provenance.tables import EntryRow, LookupRow
from tests.databases import KINDS, migrated_database


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    with migrated_database(request.param, tmp_path) as made:
        yield made


def count(engine: sa.Engine) -> int:
    with snapshot(engine) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(EntryRow)) or 0


def add(engine: sa.Engine, index: int) -> None:
    with transaction(engine) as session:
        session.add(EntryRow(index=index, record=b"a"))


def test_a_transaction_keeps_all_of_its_block(engine: sa.Engine) -> None:
    with transaction(engine) as session:
        session.add_all([EntryRow(index=0, record=b"a"), EntryRow(index=1, record=b"b")])
    assert count(engine) == 2


def test_an_error_keeps_nothing_of_the_block(engine: sa.Engine) -> None:
    def fail() -> None:
        with transaction(engine) as session:
            session.add(EntryRow(index=0, record=b"a"))
            session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert count(engine) == 0


def test_a_snapshot_keeps_nothing_and_sees_one_state(engine: sa.Engine) -> None:
    with snapshot(engine) as session:
        before = session.scalar(sa.select(sa.func.count()).select_from(EntryRow))
        with transaction(engine) as other:
            other.add(EntryRow(index=0, record=b"a"))
        after = session.scalar(sa.select(sa.func.count()).select_from(EntryRow))
    assert (before, after, count(engine)) == (0, 0, 1)


def test_what_a_snapshot_writes_is_gone(engine: sa.Engine) -> None:
    try:
        with snapshot(engine) as session:
            session.execute(sa.insert(EntryRow), [{"index": 0, "record": b"a"}])
    except SQLAlchemyError:
        assert engine.dialect.name == "postgresql"  # it refuses at once
    assert count(engine) == 0


def test_foreign_keys_hold(engine: sa.Engine) -> None:
    with pytest.raises(IntegrityError), transaction(engine) as session:
        session.add(LookupRow(name="id", value=b"x", entry=7))


def test_a_file_that_others_keep_locked_is_one_named_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with migrated_database("sqlite", tmp_path) as engine:
        with transaction(engine) as held:
            held.add(EntryRow(index=0, record=b"a"))
            held.flush()
            with pytest.raises(Busy, match=r"countermark\.db was locked by others"):
                add(engine, 1)
        add(engine, 1)
        assert count(engine) == 2


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(UnknownDatabase, match="mysql"):
        connect("mysql://host/name")


@pytest.mark.parametrize(
    ("pragma", "want"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("recursive_triggers", 1),
        ("secure_delete", 1),
        ("busy_timeout", 30_000),
    ],
)
def test_sqlite_is_set_to_lose_nothing(tmp_path: Path, pragma: str, want: object) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == want
    engine.dispose()


def test_two_sqlite_transactions_never_read_the_same_state(tmp_path: Path) -> None:
    """The second waits at its beginning, not at its first write."""
    with migrated_database("sqlite", tmp_path) as engine:
        program = (
            "import sys, sqlite3\n"
            "c = sqlite3.connect(sys.argv[1], timeout=0.1, isolation_level=None)\n"
            "try: c.execute('BEGIN IMMEDIATE')\n"
            "except sqlite3.OperationalError as e: print(e)\n"
        )
        with transaction(engine) as session:
            session.scalar(sa.select(sa.func.count()).select_from(EntryRow))
            ran = subprocess.run(
                [sys.executable, "-c", program, str(tmp_path / "countermark.db")],
                capture_output=True,
                text=True,
                check=True,
            )
        assert ran.stdout.strip() == "database is locked"
