"""Entries are appended once, in order, with what they speak about; each can be proven."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from provenance.database import snapshot, transaction
from provenance.ledger.errors import Duplicate, LedgerError, Malformed, NotLogged, NotProven
from provenance.ledger.log import (
    Draft,
    append,
    erase,
    find_entries,
    find_number,
    find_statements,
    log_size,
    prove,
    prove_growth,
    read_record,
)
from provenance.ledger.merkle import Hash
from provenance.ledger.proof import format_proof, open_proof
from provenance.ledger.record import (
    Erasure,
    KeyRotation,
    MarkNumber,
    Number,
    Record,
    Revocation,
    Subject,
    ThresholdChange,
)
from provenance.tables import OpeningRow
from tests.provenance.ledger.logs import AT, Log, digest, marking, personal, picture


def subject_of(log: Log, name: str) -> Subject:
    (entry,) = log.append(Draft(picture(name)))
    return Subject(entry.index, entry.leaf)


def test_entries_are_numbered_without_a_gap_and_read_back(log: Log) -> None:
    entries = log.append(*(Draft(picture(f"p{i}")) for i in range(5)))
    entries += log.append(Draft(picture("p5")))
    assert [entry.index for entry in entries] == list(range(6))
    with snapshot(log.engine) as session:
        assert log_size(session) == 6
        assert read_record(session, 3) == picture("p3")
        with pytest.raises(NotLogged):
            read_record(session, 6)
    log.check()


def test_an_abandoned_transaction_leaves_no_entry(log: Log) -> None:
    def fail() -> None:
        with transaction(log.engine) as session:
            append(session, [Draft(picture("a"))])
            raise LookupError

    log.append(Draft(picture("before")))
    with pytest.raises(LookupError):
        fail()
    assert log.append(Draft(picture("a")))[0].index == 1
    log.check()


def test_an_entry_is_found_by_what_it_says(log: Log) -> None:
    log.append(Draft(picture("a")), Draft(picture("b")))
    log.append(Draft(KeyRotation(AT, "mark", "k1", "k2", None)))
    log.append(Draft(ThresholdChange(AT, "lexical", "1", Number("1"), Number("2"), "r")))
    with snapshot(log.engine) as session:
        assert find_entries(session, "id", b"b") == [1]
        assert find_entries(session, "pixels", digest("pixels of a")) == [0]
        assert find_entries(session, "file", digest("file of b")) == [1]
        assert find_entries(session, "manifest", b"urn:c2pa:a") == [0]
        assert find_entries(session, "key", b"k2") == [2]
        assert find_entries(session, "detector", b"lexical") == [3]
        assert find_entries(session, "pixels", digest("file of a")) == []


def test_a_picture_is_recorded_once(log: Log) -> None:
    log.append(Draft(picture("a")))
    with pytest.raises(Duplicate, match="'a'"):
        log.append(Draft(picture("b")), Draft(picture("a")))
    with pytest.raises(Duplicate, match="'c'"):
        log.append(Draft(picture("c")), Draft(picture("c")))
    with snapshot(log.engine) as session:
        assert log_size(session) == 1
    log.check()


def test_a_revocation_is_found_from_what_it_revokes(log: Log) -> None:
    subject = subject_of(log, "a")
    revocation = Revocation(AT, subject, "withdrawn")
    log.append(Draft(revocation))
    with snapshot(log.engine) as session:
        assert find_statements(session, subject.index) == [revocation]
        assert find_statements(session, 1) == []
    log.check()


@pytest.mark.parametrize(
    ("change", "error"),
    [({"leaf": Hash(b"\x00" * 32)}, NotProven), ({"index": 1}, NotLogged)],
    ids=["another leaf", "an entry to come"],
)
def test_a_revocation_of_something_else_is_refused(
    sqlite_log: Log, change: dict[str, object], error: type[LedgerError]
) -> None:
    subject = subject_of(sqlite_log, "a")
    wrong = Subject(**{"index": subject.index, "leaf": subject.leaf, **change})  # type: ignore[arg-type]
    with pytest.raises(error):
        sqlite_log.append(Draft(Revocation(AT, wrong, "withdrawn")))
    sqlite_log.check()


def test_an_erasure_deletes_the_opening_and_nothing_else(log: Log) -> None:
    (entry,) = log.append(personal("a"))
    log.sign()
    subject = Subject(entry.index, entry.leaf)
    with transaction(log.engine) as session:
        erase(session, subject, ["prompt"], reason="request", at=AT)
    with snapshot(log.engine) as session:
        assert list(session.scalars(sa.select(OpeningRow.field))) == ["caller"]
        assert find_statements(session, 0) == [Erasure(AT, subject, ("prompt",), "request")]
        assert read_record(session, 0) == personal("a").record
        open_proof(format_proof(prove(session, 0)), [log.signer.verifier])
    log.check()


def test_what_is_not_there_cannot_be_erased(log: Log) -> None:
    (entry,) = log.append(personal("a"))
    subject = Subject(entry.index, entry.leaf)
    for fields in (["address"], ["prompt", "address"]):
        with pytest.raises(NotLogged, match="address"), transaction(log.engine) as session:
            erase(session, subject, fields, reason="request", at=AT)
    with snapshot(log.engine) as session:
        assert log_size(session) == 1
        assert len(list(session.scalars(sa.select(OpeningRow.field)))) == 2
    log.check()


def test_an_opening_must_fit_its_commitment(sqlite_log: Log) -> None:
    draft = personal("a")
    wrong = replace(draft.openings[0], value=b"someone else")
    with pytest.raises(NotProven):
        sqlite_log.append(Draft(draft.record, (wrong,)))


def test_a_malformed_record_is_refused(sqlite_log: Log) -> None:
    bad: Record = replace(picture("a"), policy="")
    with pytest.raises(Malformed):
        sqlite_log.append(Draft(picture("b")), Draft(bad))
    with snapshot(sqlite_log.engine) as session:
        assert log_size(session) == 0


def test_every_entry_is_proven_once_a_checkpoint_covers_it(log: Log) -> None:
    log.append(*(Draft(picture(f"p{i}")) for i in range(11)))
    with snapshot(log.engine) as session, pytest.raises(NotLogged):
        prove(session, 0)
    log.sign()
    log.append(Draft(picture("later")))
    with snapshot(log.engine) as session:
        for index in range(11):
            proven = open_proof(format_proof(prove(session, index)), [log.signer.verifier])
            assert (proven.index, proven.record) == (index, picture(f"p{index}"))
        for index in (-1, 11, 12):
            with pytest.raises(NotLogged):
                prove(session, index)
        with pytest.raises(NotLogged):
            prove_growth(session, 5, 13)
    log.check()


def test_a_number_leads_to_its_one_entry(log: Log) -> None:
    log.append(Draft(picture("p0")), Draft(marking("m1", 7)), Draft(marking("m2", None)))
    log.append(Draft(marking("m3", 2**40 - 1)))
    with snapshot(log.engine) as session:
        assert find_number(session, MarkNumber(7)) == 1
        assert find_number(session, MarkNumber(2**40 - 1)) == 3
        assert find_number(session, MarkNumber(8)) is None
        assert find_entries(session, "pixels", digest("pixels of m2")) == [2]
    log.check()


@pytest.mark.parametrize("others", [[("m2", 7)], [("m2", 8), ("m3", 8)], [("m2", 8), ("m1", 9)]])
def test_a_number_or_id_that_is_taken_is_refused(log: Log, others: list[tuple[str, int]]) -> None:
    log.append(Draft(marking("m1", 7)))
    with pytest.raises(Duplicate, match="already holds a (mark of number [78]|picture 'm1')$"):
        log.append(*(Draft(marking(*one)) for one in others))
    with snapshot(log.engine) as session:
        assert log_size(session) == 1
