"""check_log finds every kind of damage that someone with the database file could do."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from provenance.database import connect, snapshot, transaction
from provenance.ledger.audit import CHUNK, check_log
from provenance.ledger.checkpoint import Checkpoint, format_checkpoint
from provenance.ledger.errors import Broken
from provenance.ledger.log import Draft, erase
from provenance.ledger.merkle import Hash, leaf_hash
from provenance.ledger.note import Algorithm, Signer, sign_note
from provenance.ledger.record import Revocation, Subject
from tests.databases import FILE
from tests.provenance.ledger.logs import AT, Log, personal, picture


def filled(log: Log) -> None:
    log.append(Draft(picture("a")), personal("b"), Draft(picture("c")))
    log.sign()
    (entry,) = log.append(personal("d"))
    subject = Subject(entry.index, entry.leaf)
    with transaction(log.engine) as session:
        erase(session, subject, ["prompt"], reason="request", at=AT)
    log.append(Draft(Revocation(AT, subject, "withdrawn")))
    log.sign()


def tamper(path: Path, statements: str) -> None:
    """What an administrator of the database can do: drop the triggers, then anything."""
    with closing(sqlite3.connect(path)) as plain:
        names = plain.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            plain.execute(f"DROP TRIGGER {name}")
        plain.executescript(statements)
        plain.commit()


def test_a_whole_log_passes(log: Log) -> None:
    log.check()
    filled(log)
    log.check()


def test_a_log_of_several_chunks_passes(sqlite_log: Log) -> None:
    sqlite_log.append(*(Draft(picture(f"p{i}")) for i in range(CHUNK - 1)))
    sqlite_log.sign()
    sqlite_log.append(*(Draft(picture(f"q{i}")) for i in range(CHUNK + 5)))
    sqlite_log.sign()
    sqlite_log.check()


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        ('DELETE FROM entries WHERE "index" = 5', "signed for 6|nodes"),
        ('DELETE FROM entries WHERE "index" = 1', "entry 1 is missing"),
        ('UPDATE entries SET "index" = -1 WHERE "index" = 5', "below 0"),
        (
            "UPDATE entries SET record = CAST(record || x'20' AS BLOB) WHERE \"index\" = 0",
            "node 0 of level 0",
        ),
        (
            "UPDATE entries SET record = CAST(replace(CAST(record AS TEXT), 'house/1', 'house/2')"
            ' AS BLOB) WHERE "index" = 0',
            "node 0 of level 0",
        ),
        ("UPDATE nodes SET hash = zeroblob(32) WHERE level = 1 AND place = 1", "node 1 of level 1"),
        ("DELETE FROM nodes WHERE level = 2", "node 0 of level 2"),
        ("INSERT INTO nodes VALUES (9, 9, zeroblob(32))", "nodes"),
        ("DELETE FROM lookups WHERE name = 'pixels' AND entry = 0", "lookups"),
        ("UPDATE lookups SET entry = 1 WHERE name = 'pixels' AND entry = 0", "lookups"),
        ("INSERT INTO lookups VALUES ('id', x'61', 1)", "lookups"),
        ("UPDATE openings SET value = x'00' WHERE entry = 1", "opening of entry 1"),
        ("INSERT INTO openings VALUES (3, 'prompt', zeroblob(32), x'00')", "was erased"),
        ("INSERT INTO openings VALUES (0, 'prompt', zeroblob(32), x'00')", "opening of entry 0"),
        ("UPDATE checkpoints SET note = x'00' WHERE number = 0", "checkpoint does not hold"),
    ],
)
def test_damage_is_found(sqlite_log: Log, tmp_path: Path, statements: str, why: str) -> None:
    filled(sqlite_log)
    sqlite_log.check()
    sqlite_log.engine.dispose()
    tamper(tmp_path / FILE, statements)
    engine = connect(f"sqlite:///{tmp_path / FILE}")
    with pytest.raises(Broken, match=why), snapshot(engine) as session:
        check_log(session, [sqlite_log.signer.verifier], sqlite_log.anchor)
    engine.dispose()


def test_a_record_that_is_hashed_but_not_canonical_is_found(
    sqlite_log: Log, tmp_path: Path
) -> None:
    sqlite_log.engine.dispose()
    record = b"countermark-record/1\n{}\n"
    tamper(
        tmp_path / FILE,
        f"INSERT INTO entries VALUES (0, x'{record.hex()}');"
        f"INSERT INTO nodes VALUES (0, 0, x'{leaf_hash(record).hex()}');",
    )
    with pytest.raises(Broken, match="entry 0 does not hold"):
        sqlite_log.check()


def test_a_checkpoint_over_other_records_is_found(sqlite_log: Log) -> None:
    filled(sqlite_log)
    for size in (0, 2, 6, 7):
        checkpoint = Checkpoint(sqlite_log.signer.name, size, Hash(b"\x01" * 32))
        note = sign_note(format_checkpoint(checkpoint), [sqlite_log.signer])
        kept = sqlite_log.anchor.read_bytes()
        sqlite_log.anchor.write_bytes(note)
        with pytest.raises(Broken, match="not over these records|signed for 7"):
            sqlite_log.check()
        sqlite_log.anchor.write_bytes(kept)
    sqlite_log.check()


def test_a_missing_anchor_and_an_unknown_key_are_found(sqlite_log: Log) -> None:
    filled(sqlite_log)
    stranger = Signer(sqlite_log.signer.name, Algorithm.ED25519, b"\x09" * 32)
    with pytest.raises(Broken, match="checkpoint"), snapshot(sqlite_log.engine) as session:
        check_log(session, [stranger.verifier], sqlite_log.anchor)
    sqlite_log.anchor.unlink()
    with pytest.raises(Broken, match="anchor"):
        sqlite_log.check()
