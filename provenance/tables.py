"""The tables of the database, alike on SQLite and PostgreSQL; only migrations change them.

Of the log's tables (entries, nodes, checkpoints, timestamps, lookups) no row is ever changed or
deleted: triggers made by the migrations refuse it. Only `openings`, the salts and values behind
commitments, may be deleted, which is what erasure means. The rows of `fingerprints` repeat what
records say, for the search.
"""

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# An INTEGER primary key is the row's own number in SQLite, which BIGINT would not be.
Index = BigInteger().with_variant(Integer, "sqlite")


class Table(DeclarativeBase):
    """What every table shares: constraints have names that do not depend on the database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class EntryRow(Table):
    """The canonical bytes of the record at each index, from 0 without a gap."""

    __tablename__ = "entries"

    index: Mapped[int] = mapped_column(Index, primary_key=True, autoincrement=False)
    record: Mapped[bytes] = mapped_column(LargeBinary)


class NodeRow(Table):
    """The root of every complete subtree; level 0 holds the leaves."""

    __tablename__ = "nodes"
    __table_args__ = {"sqlite_with_rowid": False}

    level: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(Index, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class CheckpointRow(Table):
    """Every signed checkpoint, and again with more cosignatures; the last number is the newest."""

    __tablename__ = "checkpoints"

    number: Mapped[int] = mapped_column(Index, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[bytes] = mapped_column(LargeBinary)


class TimestampRow(Table):
    """A checkpoint with one signature of the log, and an RFC 3161 response over these bytes."""

    __tablename__ = "timestamps"

    number: Mapped[int] = mapped_column(Index, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[bytes] = mapped_column(LargeBinary)
    response: Mapped[bytes] = mapped_column(LargeBinary)


class LookupRow(Table):
    """What an entry can be found by: a fact of its record, repeated here for its index."""

    __tablename__ = "lookups"
    __table_args__ = {"sqlite_with_rowid": False}

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    entry: Mapped[int] = mapped_column(
        Index, ForeignKey(EntryRow.index), primary_key=True, autoincrement=False
    )


class OpeningRow(Table):
    """The personal value behind a commitment, with its salt; the only rows that may be deleted."""

    __tablename__ = "openings"

    entry: Mapped[int] = mapped_column(
        Index, ForeignKey(EntryRow.index), primary_key=True, autoincrement=False
    )
    field: Mapped[str] = mapped_column(String(512), primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    value: Mapped[bytes] = mapped_column(LargeBinary)


class FingerprintRow(Table):
    """What the picture that an entry records looks like: PDQ's 32 bytes and quality, 0 to 100."""

    __tablename__ = "fingerprints"

    entry: Mapped[int] = mapped_column(
        Index, ForeignKey(EntryRow.index), primary_key=True, autoincrement=False
    )
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    quality: Mapped[int] = mapped_column(Integer)
