"""A pack gathered from the log opens offline, says what revokes it, and is the same every time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provenance.database import snapshot, transaction
from provenance.ledger import packing
from provenance.ledger.anchor import add_cosignatures
from provenance.ledger.checkpoint import Timestamp
from provenance.ledger.dating import keep_timestamp
from provenance.ledger.errors import NotLogged
from provenance.ledger.evidence import Evidence, format_pack, open_pack
from provenance.ledger.log import Draft, erase
from provenance.ledger.note import Algorithm, Signer, cosign_note
from provenance.ledger.packing import find_period, gather_pack
from provenance.ledger.record import Revocation, Subject
from provenance.timestamp import request_timestamp
from tests.provenance.authority import authority
from tests.provenance.ledger.logs import AT, LOG, Log, personal, picture

GIVEN = authority()
WITNESS = Signer("w.example", Algorithm.COSIGNATURE, b"\x03" * 32)


def packed(log: Log, *indexes: int) -> bytes:
    with snapshot(log.engine) as session:
        return format_pack(gather_pack(session, indexes, log=[LOG.verifier], attached={}))


def opened(data: bytes) -> Evidence:
    return open_pack(data, [LOG.verifier])


def period(log: Log, first: int, last: int) -> range:
    with snapshot(log.engine) as session:
        return find_period(session, AT + timedelta(hours=first), AT + timedelta(hours=last))


def date(log: Log, note: bytes) -> Timestamp:
    dated, _ = request_timestamp(note, LOG.verifier)
    timestamp = Timestamp(dated, GIVEN.respond(dated))
    with transaction(log.engine) as session:
        keep_timestamp(session, timestamp, log=[LOG.verifier], roots=[GIVEN.root])
    return timestamp


def test_a_pack_holds_an_entry_and_what_was_stated_about_it(log: Log) -> None:
    first, second = log.append(personal("a"), Draft(picture("b")))
    subject = Subject(first.index, first.leaf)
    with transaction(log.engine) as session:
        erase(session, subject, ["prompt"], reason="request", at=AT)
    log.append(Draft(picture("c")), Draft(Revocation(AT, subject, "mistaken")))
    log.sign()
    found = opened(packed(log, 0))
    assert [one.index for one in found.entries] == [0, 2, 4]
    assert [one.record.kind for one in found.entries] == ["picture", "erasure", "revocation"]
    assert [one.index for one in opened(packed(log, second.index)).entries] == [1]
    assert packed(log, 0) == packed(log, 0, 0)


def test_an_entry_without_a_checkpoint_has_no_pack(sqlite_log: Log) -> None:
    sqlite_log.append(Draft(picture("a")))
    with pytest.raises(NotLogged, match="entry 0 is in no checkpoint yet"):
        packed(sqlite_log, 0)
    sqlite_log.sign()
    assert opened(packed(sqlite_log, 0)).signed.checkpoint.size == 1
    sqlite_log.append(Draft(picture("b")))
    for index in (1, 7):
        with pytest.raises(NotLogged, match="in no checkpoint yet"):
            packed(sqlite_log, index)


def test_a_pack_is_over_the_earliest_dated_checkpoint_with_its_witnesses(log: Log) -> None:
    notes = []
    for name in "abcd":
        log.append(Draft(picture(name)))
        notes.append(log.sign())
        seen = cosign_note(notes[-1], WITNESS, seconds=7)
        add_cosignatures(log.engine, seen, [LOG.verifier], [WITNESS.verifier])
    stamps = {size: date(log, notes[size - 1]) for size in (3, 2)}
    for index, size in ((0, 2), (1, 2), (2, 3)):
        found = open_pack(packed(log, index), [LOG.verifier], witnesses=[WITNESS.verifier])
        assert found.signed.checkpoint.size == size
        assert found.signed.witnessed == {WITNESS.verifier: 7}
        assert found.pack.timestamps == (stamps[size],)
    found = opened(packed(log, 3))
    assert (found.signed.checkpoint.size, found.pack.timestamps) == (4, ())


def test_a_period_reaches_from_the_first_to_the_last_of_its_entries(log: Log) -> None:
    hours = (0, 2, 1, 9, 3, 4)  # by clocks that do not agree
    pictures = [replace(picture(f"{h}"), at=AT + timedelta(hours=h)) for h in hours]
    log.append(*map(Draft, pictures))
    assert period(log, 0, 4) == range(5)
    assert period(log, 2, 3) == range(1, 2)
    assert period(log, 4, 9) == range(5, 6)
    for first, last in ((5, 9), (3, 3), (4, 3)):
        with pytest.raises(NotLogged, match="no entry is dated"):
            period(log, first, last)
    log.sign()
    found = opened(packed(log, *period(log, 0, 4)))
    assert [one.index for one in found.entries] == [0, 1, 2, 3, 4]


def test_too_much_for_one_pack_is_refused(sqlite_log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_log.append(*(Draft(picture(name)) for name in "abc"))
    sqlite_log.sign()
    monkeypatch.setattr(packing, "MAX_EXHIBITS", 2)
    assert opened(packed(sqlite_log, 0, 1)).entries
    for indexes in ((0, 1, 2), ()):
        with pytest.raises(NotLogged, match="a pack has 1 to 2 entries"):
            packed(sqlite_log, *indexes)
