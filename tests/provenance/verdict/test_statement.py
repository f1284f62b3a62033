"""Statements are read back as they were written, and nothing else is read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.ledger.record import Digest
from provenance.verdict.finding import (
    ClassifierState,
    Findings,
    FingerprintState,
    ManifestState,
    MarkState,
    OriginState,
    RecordState,
    RevocationState,
)
from provenance.verdict.statement import (
    MAX_BYTES,
    BadStatement,
    Statement,
    format_statement,
    parse_statement,
)
from provenance.verdict.table import Outcome, decide
from tests.provenance.verdict.findings import MARKED, NOTHING, OURS, RECORDED, finding, variants


def digest(text: str) -> Digest:
    return Digest(sha256(text.encode()).digest())


AT = datetime(2026, 11, 22, 10, 56, 18, tzinfo=UTC)
FOUND = replace(RECORDED, mark=MARKED, manifest=OURS, classifier=finding(ClassifierState.EVIDENCE))
STATEMENT = Statement(AT, digest("file"), digest("pixels"), decide(FOUND))
GOOD = format_statement(STATEMENT)


@given(st.data())
def test_statements_are_read_as_they_were_written(data: st.DataObject) -> None:
    kinds = (
        RecordState,
        ManifestState,
        MarkState,
        FingerprintState,
        RevocationState,
        OriginState,
    )
    found = Findings(*(data.draw(st.sampled_from(list(variants(kind)))) for kind in kinds))  # type: ignore[arg-type]
    statement = replace(STATEMENT, verdict=decide(found))
    assert parse_statement(format_statement(statement)) == statement


def test_a_statement_has_no_fractions_and_sorted_keys() -> None:
    assert GOOD.startswith(b'countermark-verdict/2\n{"at":"2026-11-22T10:56:18Z","entries":[3],')
    assert b'"outcome":"intact"' in GOOD
    assert b'"threshold":"31"' in GOOD
    assert GOOD.endswith(b"}\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("countermark-verdict/2", "countermark-verdict/3"),
        ('"table":"verdict/2"', '"table":"verdict/3"'),
        ('"outcome":"intact"', '"outcome":"no evidence"'),
        ('"outcome":"intact"', '"outcome":"revoked"'),
        ('"row":2', '"row":3'),
        ('"row":2', '"row":2.0'),
        ('"entries":[3],"file"', '"entries":[4],"file"'),
        ('"entries":[3],"file"', '"entries":[3.0],"file"'),
        ('"entries":[3],"file"', '"entries": [3],"file"'),
        ('"entries":[3],"quantity"', '"entries":[3.0],"quantity"'),
        ('"entries":[3],"quantity"', '"entries":[true],"quantity"'),
        ('"version":"check/1"', '"version":["c","h"]'),
        ('"threshold":"31"', '"threshold":false'),
        ('"state":"file"', '"state":"not recorded"'),
        ('"state":"detected"', '"state":"match"'),
        ('"value":"12"', '"value":12'),
        ('"value":"12"', '"value":"1e+1"'),
        ("10:56:18Z", "10:56:18+00:00"),
        ("10:56:18Z", "10:56:61Z"),
        ("2026-11", "2026-1"),
        ('"classifier":{', '"klassifier":{'),
        ('{"at"', '{"aa":1,"at"'),
        ('{"at"', '{"at":"x","at"'),
        ("}\n", "}"),
        ("}\n", "}\n\n"),
        ("}\n", "\n"),
    ],
)
def test_parse_statement_rejects_one_thing_wrong(old: str, new: str) -> None:
    assert parse_statement(GOOD) == STATEMENT
    assert old in GOOD.decode()
    changed = new.join(GOOD.decode().rsplit(old, 1)) if old == "}\n" else GOOD.decode()
    with pytest.raises(BadStatement):
        parse_statement((changed if old == "}\n" else changed.replace(old, new, 1)).encode())


@pytest.mark.parametrize("data", [b"", b"\xff", b"countermark-verdict/2\n" + b"[" * 60_000])
def test_parse_statement_rejects_what_is_no_statement(data: bytes) -> None:
    with pytest.raises(BadStatement):
        parse_statement(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_parse_statement_rejects_or_reads_back_every_changed_byte(place: int, flip: int) -> None:
    changed = bytearray(GOOD)
    changed[place] ^= flip
    try:
        statement = parse_statement(bytes(changed))
    except BadStatement:
        return
    assert format_statement(statement) == changed
    assert statement != STATEMENT


@pytest.mark.parametrize(
    "wrong",
    [
        replace(STATEMENT, at=AT.replace(tzinfo=None)),
        replace(STATEMENT, at=AT + timedelta(microseconds=1)),
        replace(STATEMENT, file=Digest(b"short")),
        replace(STATEMENT, verdict=replace(STATEMENT.verdict, outcome=Outcome.REVOKED)),
        replace(STATEMENT, verdict=replace(STATEMENT.verdict, findings=NOTHING)),
        replace(STATEMENT, verdict=replace(STATEMENT.verdict, table="verdict/0")),
    ],
)
def test_format_statement_refuses_what_it_could_not_read(wrong: Statement) -> None:
    with pytest.raises(BadStatement):
        format_statement(wrong)


def test_format_statement_refuses_what_no_record_could_hold() -> None:
    many = finding(FingerprintState.MATCH, *range(MAX_BYTES))
    verdict = decide(replace(NOTHING, fingerprint=many))
    with pytest.raises(BadStatement, match="longer than"):
        format_statement(replace(STATEMENT, verdict=verdict))
