"""The log signs what extends all it signed, and stops where it would contradict itself."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from provenance.database import connect, snapshot, transaction
from provenance.ledger.anchor import add_cosignatures, current_checkpoint, sign_checkpoint
from provenance.ledger.checkpoint import Checkpoint, format_checkpoint, open_checkpoint
from provenance.ledger.errors import NotProven, Refused, UnknownKey
from provenance.ledger.log import Draft, append, latest_checkpoint, prove_growth
from provenance.ledger.merkle import EMPTY_ROOT, check_consistency
from provenance.ledger.note import Algorithm, Signer, cosign_note, sign_note
from provenance.tables import CheckpointRow
from tests.databases import migrated_database
from tests.provenance.ledger.logs import Log, picture

NEXT = Signer("example.com/log", Algorithm.ED25519, b"\x02" * 32)
WITNESS = Signer("w.example", Algorithm.COSIGNATURE, b"\x03" * 32)


def checkpoints(log: Log) -> int:
    with snapshot(log.engine) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(CheckpointRow)) or 0


def copy_database(log: Log, path: Path) -> None:
    assert log.engine.url.database is not None
    with closing(sqlite3.connect(log.engine.url.database)) as plain:
        plain.execute("VACUUM INTO ?", (str(path),))


def opened(log: Log, note: bytes) -> Checkpoint:
    return open_checkpoint(note, [log.signer.verifier]).checkpoint


def test_every_checkpoint_extends_the_one_before(log: Log) -> None:
    before = opened(log, log.sign())
    assert (before.size, before.root) == (0, EMPTY_ROOT)
    for i in range(9):
        log.append(*(Draft(picture(f"p{i}-{j}")) for j in range(i + 1)))
        after = opened(log, log.sign())
        if before.size:
            with snapshot(log.engine) as session:
                proof = prove_growth(session, before.size, after.size)
            check_consistency(
                proof,
                old_size=before.size,
                new_size=after.size,
                old_root=before.root,
                new_root=after.root,
            )
        before = after
    assert before.size == 45
    log.check()


def test_signing_an_unchanged_log_changes_nothing(log: Log) -> None:
    log.append(Draft(picture("a")))
    note = log.sign()
    assert log.sign() == note
    assert log.anchor.read_bytes() == note
    assert checkpoints(log) == 1


def test_a_restored_backup_stops_the_log(sqlite_log: Log, tmp_path: Path) -> None:
    sqlite_log.append(Draft(picture("a")))
    sqlite_log.sign()
    copy_database(sqlite_log, tmp_path / "backup")
    sqlite_log.append(Draft(picture("b")))
    kept = sqlite_log.sign()
    restored = connect(f"sqlite:///{tmp_path / 'backup'}")
    with pytest.raises(Refused, match="has 1 entries, and signed for 2"):
        sign_checkpoint(restored, [sqlite_log.signer], sqlite_log.anchor)
    with transaction(restored) as session:
        append(session, [Draft(picture("another")), Draft(picture("third"))])
    with pytest.raises(Refused, match="contradicts the checkpoint it signed at 2"):
        sign_checkpoint(restored, [sqlite_log.signer], sqlite_log.anchor)
    assert sqlite_log.anchor.read_bytes() == kept
    restored.dispose()
    sqlite_log.check()


def test_an_emptied_database_stops_the_log(sqlite_log: Log, tmp_path: Path) -> None:
    sqlite_log.append(Draft(picture("a")))
    sqlite_log.sign()
    (tmp_path / "empty").mkdir()
    with migrated_database("sqlite", tmp_path / "empty") as empty, pytest.raises(Refused):
        sign_checkpoint(empty, [sqlite_log.signer], sqlite_log.anchor)


def test_a_missing_anchor_stops_the_log(log: Log) -> None:
    log.append(Draft(picture("a")))
    log.sign()
    log.anchor.unlink()
    with pytest.raises(Refused, match="anchor"):
        log.sign()
    assert not log.anchor.exists()


def test_a_foreign_or_damaged_anchor_stops_the_log(sqlite_log: Log) -> None:
    sqlite_log.append(Draft(picture("a")))
    note = sqlite_log.sign()
    foreign = sign_note(format_checkpoint(opened(sqlite_log, note)), [NEXT])
    for bad in (foreign, note[:-1], b"", note.replace(b"\n1\n", b"\n2\n")):
        sqlite_log.anchor.write_bytes(bad)
        with pytest.raises(Refused):
            sqlite_log.sign()
        assert sqlite_log.anchor.read_bytes() == bad


def test_keys_of_two_names_sign_nothing(sqlite_log: Log) -> None:
    other = Signer("example.com/other", Algorithm.ED25519, b"\x02" * 32)
    with pytest.raises(Refused):
        sign_checkpoint(sqlite_log.engine, [sqlite_log.signer, other], sqlite_log.anchor)
    assert not sqlite_log.anchor.exists()
    assert checkpoints(sqlite_log) == 0


def test_a_crash_between_anchor_and_database_is_made_good(sqlite_log: Log) -> None:
    sqlite_log.append(Draft(picture("a")))
    with snapshot(sqlite_log.engine) as session:
        checkpoint = current_checkpoint(session, sqlite_log.signer.name)
    note = sign_note(format_checkpoint(checkpoint), [sqlite_log.signer])
    sqlite_log.anchor.write_bytes(note)
    assert checkpoints(sqlite_log) == 0
    assert sqlite_log.sign() == note
    assert checkpoints(sqlite_log) == 1
    sqlite_log.check()


def test_a_tampered_node_stops_the_log(sqlite_log: Log, tmp_path: Path) -> None:
    sqlite_log.append(*(Draft(picture(f"p{i}")) for i in range(4)))
    sqlite_log.sign()
    copy_database(sqlite_log, tmp_path / "tampered")
    tampered = connect(f"sqlite:///{tmp_path / 'tampered'}")
    with tampered.connect() as connection:
        connection.exec_driver_sql("DROP TRIGGER nodes_no_update")
        connection.exec_driver_sql("UPDATE nodes SET hash = zeroblob(32) WHERE level = 2")
        connection.commit()
    with pytest.raises(Refused, match="contradicts"):
        sign_checkpoint(tampered, [sqlite_log.signer], sqlite_log.anchor)
    tampered.dispose()


def test_a_key_rotates_through_a_checkpoint_of_both_keys(log: Log) -> None:
    log.append(Draft(picture("a")))
    log.sign()
    log.append(Draft(picture("b")))
    with pytest.raises(Refused):
        sign_checkpoint(log.engine, [NEXT], log.anchor)
    both = sign_checkpoint(log.engine, [log.signer, NEXT], log.anchor)
    assert open_checkpoint(both, [NEXT.verifier]).checkpoint == opened(log, both)
    log.append(Draft(picture("c")))
    alone = sign_checkpoint(log.engine, [NEXT], log.anchor)
    with pytest.raises(UnknownKey):
        opened(log, alone)


def test_cosignatures_are_kept_beside_the_logs_own(log: Log) -> None:
    log.append(Draft(picture("a")))
    keys, trusted = [log.signer.verifier], [WITNESS.verifier]
    note = cosign_note(log.sign(), WITNESS, seconds=99)
    add_cosignatures(log.engine, note, keys, trusted)
    add_cosignatures(log.engine, note, keys, trusted)
    assert checkpoints(log) == 2
    with snapshot(log.engine) as session:
        assert latest_checkpoint(session) == note
    assert log.sign() == note
    log.append(Draft(picture("b")))
    log.sign()
    with pytest.raises(NotProven, match="another checkpoint"):
        add_cosignatures(log.engine, note, keys, trusted)
    log.check()
