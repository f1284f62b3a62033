"""A timestamp is kept once, and only over a checkpoint that this log has signed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provenance.database import snapshot, transaction
from provenance.ledger.checkpoint import Checkpoint, Timestamp, format_checkpoint
from provenance.ledger.dating import all_timestamps, keep_timestamp, read_timestamps
from provenance.ledger.errors import LedgerError, NotProven
from provenance.ledger.log import Draft
from provenance.ledger.merkle import Hash
from provenance.ledger.note import sign_note
from provenance.timestamp import Dated, request_timestamp
from tests.provenance.authority import AT, Authority, authority
from tests.provenance.ledger.logs import LOG, Log, picture

GIVEN = authority()


def keep(log: Log, timestamp: Timestamp, given: Authority = GIVEN) -> Dated:
    with transaction(log.engine) as session:
        return keep_timestamp(session, timestamp, log=[log.signer.verifier], roots=[given.root])


def kept(log: Log) -> list[Timestamp]:
    with snapshot(log.engine) as session:
        return all_timestamps(session)


def stamp(note: bytes) -> Timestamp:
    dated, _ = request_timestamp(note, LOG.verifier)
    return Timestamp(dated, GIVEN.respond(dated))


def test_timestamps_are_kept_once_and_found_by_their_checkpoint(log: Log) -> None:
    log.append(Draft(picture("a")))
    first = log.sign()
    log.append(Draft(picture("b")))
    second = log.sign()
    stamps = [stamp(second), stamp(first)]
    for one in [*stamps, *stamps]:
        dated = keep(log, one)
        assert dated.at == AT + timedelta(seconds=1)
    assert kept(log) == stamps
    with snapshot(log.engine) as session:
        assert read_timestamps(session, first) == [stamps[1]]
        other = sign_note(format_checkpoint(Checkpoint(LOG.name, 1, Hash(b"\x05" * 32))), [LOG])
        assert read_timestamps(session, other) == []
    log.check()


def test_what_does_not_hold_is_not_kept(sqlite_log: Log) -> None:
    sqlite_log.append(Draft(picture("a")))
    good = stamp(sqlite_log.sign())
    unknown = sign_note(format_checkpoint(Checkpoint(LOG.name, 1, Hash(b"\x05" * 32))), [LOG])
    for bad, given, says in (
        (replace(good, response=good.response[:-1]), GIVEN, "not an RFC 3161 response"),
        (good, authority(), "does not hold"),
        (stamp(unknown), GIVEN, "no checkpoint of size 1 like"),
    ):
        with pytest.raises(LedgerError, match=says):
            keep(sqlite_log, bad, given)
    assert kept(sqlite_log) == []
    with pytest.raises(NotProven):
        keep(sqlite_log, replace(good, response=GIVEN.respond(b"another")))
    keep(sqlite_log, good)
    assert kept(sqlite_log) == [good]
