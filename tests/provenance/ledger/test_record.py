"""Records have one form, and say nothing personal once a salt is gone."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.ledger.errors import Malformed, NotProven
from provenance.ledger.merkle import Hash
from provenance.ledger.record import (
    KINDS,
    MAX_RECORD_BYTES,
    MAX_TEXT,
    VERSION_LINE,
    Digest,
    Erasure,
    KeyRotation,
    Mark,
    Marking,
    MarkNumber,
    Number,
    Opening,
    Picture,
    Record,
    Revocation,
    Subject,
    ThresholdChange,
    check_commitment,
    commit,
    format_record,
    parse_record,
)

AT = datetime(2026, 11, 22, 10, 56, 18, tzinfo=UTC)
PROMPT = Opening("prompt", b"\x05" * 32, b"a heron at dusk")
CALLER = Opening("caller", b"\x06" * 32, b"account 17")
SUBJECT = Subject(3, Hash(b"\x07" * 32))


def digest(text: str) -> Digest:
    return Digest(sha256(text.encode()).digest())


PICTURE = Picture(
    at=AT,
    id="01JD8Q7Z",
    software="countermark 0.1.0",
    generator="raster-256",
    weights=digest("weights"),
    mark=Mark("green-list/1", "mark-2026-11"),
    policy="house/1",
    erased=("violence", "été"),
    pixels=digest("pixels"),
    file=digest("file"),
    fingerprint="pdq1:" + "9f" * 32,
    manifest="urn:c2pa:3fa85f64-5717-4562-b3fc-2c963f66afa6",
    commitments=(commit(CALLER), commit(PROMPT)),
)
MARKING = Marking(
    at=AT,
    id="01JD8Q7Z",
    software="countermark 0.1.0",
    codec="raster-256",
    weights=digest("codec"),
    mark=Mark("posthoc/2", "mark-2026-11"),
    number=MarkNumber(0xC0FFEE4242),
    pixels=digest("pixels"),
    file=digest("file"),
    fingerprint="pdq1:" + "9f" * 32,
    manifest="urn:c2pa:3fa85f64-5717-4562-b3fc-2c963f66afa6",
    commitments=(commit(Opening("original", b"\x05" * 32, b"digest of what was brought")),),
)
RECORDS: list[Record] = [
    PICTURE,
    MARKING,
    replace(MARKING, number=None),
    replace(PICTURE, mark=None, erased=(), commitments=()),
    Revocation(AT, SUBJECT, "withdrawn by the maker"),
    KeyRotation(AT, "mark", "mark-2026-10", "mark-2026-11", None),
    KeyRotation(AT, "claim", "k1", "k2", AT - timedelta(days=1)),
    Erasure(AT, SUBJECT, ("caller", "prompt"), "request of the caller"),
    ThresholdChange(AT, "lexical", "1", Number("1e-6"), Number("0.0000005"), "recalibrated"),
]
GOOD = format_record(PICTURE)


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.kind)
def test_every_kind_reads_back_as_it_is_written(record: Record) -> None:
    data = format_record(record)
    assert data.startswith(b"countermark-record/1\n{")
    assert data.endswith(b"}\n")
    assert parse_record(data) == record


def test_the_tests_cover_every_kind() -> None:
    assert {r.kind for r in RECORDS} == set(KINDS)


def test_the_bytes_of_version_one_never_change() -> None:
    vectors = Path(__file__).parents[2] / "vectors"
    assert (vectors / "ledger_record_picture.txt").read_bytes() == GOOD
    assert (vectors / "ledger_record_marking.txt").read_bytes() == format_record(MARKING)


@pytest.mark.parametrize("number", ["0", "-1", "1099511627776", "1.0", '"7"', "true", "[7]"])
def test_a_mark_carries_no_number_or_one_of_forty_bits_from_one(number: str) -> None:
    good = format_record(MARKING)
    for fine in ("1", "1099511627775", "null"):
        parse_record(good.replace(b"828927525442", fine.encode()))
    with pytest.raises(Malformed):
        parse_record(good.replace(b"828927525442", number.encode()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("record/1", "record/2"),
        ('"policy"', '"Policy"'),
        ('"id":', '"id": '),
        ('"id":"01JD8Q7Z"', '"id":"01JD8Q7Z","id":"01JD8Q7Z"'),
        ('"id":"01JD8Q7Z"', '"id":"01JD8Q7Z","ie":"x"'),
        ('"id":"01JD8Q7Z",', ""),
        ('"01JD8Q7Z"', '""'),
        ('"01JD8Q7Z"', "17"),
        ('"01JD8Q7Z"', "null"),
        ('"01JD8Q7Z"', '"\\u0030"'),
        ('"01JD8Q7Z"', '"\\u0007"'),
        ('"01JD8Q7Z"', '"\\ud800"'),
        ('"01JD8Q7Z"', '"' + "x" * (MAX_TEXT + 1) + '"'),
        ("été", "\\u00e9t\\u00e9"),
        ('"violence","été"', '"été","violence"'),
        ('"violence","été"', '"violence","violence"'),
        ("10:56:18Z", "10:56:18"),
        ("10:56:18Z", "10:56:18+00:00"),
        ("10:56:18Z", "10:56:61Z"),
        ("2026-11-22T", "2026-11-22 "),
        ('"picture"', '"painting"'),
        ('"picture"', "[]"),
        ('"kind"', '"kin"'),
        ('"key":"mark-2026-11"', '"key":"mark-2026-11","more":1'),
        ("{", "[{"),
        ("}\n", "}"),
        ("}\n", "}\n\n"),
        ("}\n", "}\n{}"),
        ("\n{", "\n\ufeff{"),
        ("\n{", "\n" + "[" * 5_000 + "{"),
        ("\n{", "\n" + "9" * 5_000 + "{"),
    ],
)
def test_parse_record_rejects_one_thing_wrong(old: str, new: str) -> None:
    text = GOOD.decode()
    assert old in text
    at = text.rindex(old) if old == "}\n" else text.index(old)
    with pytest.raises(Malformed):
        parse_record((text[:at] + new + text[at + len(old) :]).encode())


def test_a_digest_has_one_spelling() -> None:
    text = GOOD.decode()
    spelled = digest("pixels").hex()
    for bad in (spelled.upper(), spelled[:-2], spelled + "00", spelled[:-1] + "g"):
        with pytest.raises(Malformed, match="picture.pixels"):
            parse_record(text.replace(spelled, bad).encode())


def test_a_record_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(Malformed, match=str(MAX_RECORD_BYTES)):
        parse_record(VERSION_LINE + b"x" * MAX_RECORD_BYTES)


@pytest.mark.parametrize(
    "change",
    [
        {"at": AT.replace(tzinfo=None)},
        {"at": AT.replace(microsecond=1)},
        {"at": AT.astimezone(timezone(timedelta(hours=1)))},
        {"id": ""},
        {"id": 17},
        {"pixels": b"short"},
        {"pixels": "text"},
        {"erased": ("b", "a")},
        {"erased": "ab"},
        {"commitments": (commit(PROMPT), commit(CALLER))},
        {"commitments": (commit(PROMPT), commit(PROMPT))},
        {"mark": "green-list/1"},
    ],
    ids=str,
)
def test_format_record_refuses_what_has_no_canonical_form(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        format_record(replace(PICTURE, **change))


@pytest.mark.parametrize("number", ["0", "-1.50", "1e-6", "12e3"])
def test_numbers_keep_their_spelling(number: str) -> None:
    record = ThresholdChange(AT, "d", "1", Number(number), Number("0"), "r")
    assert f'"old":"{number}"'.encode() in format_record(record)


@pytest.mark.parametrize("number", ["", "01", "1.", ".5", "+1", "nan", "inf", "1e+5", "0x1", "1\n"])
def test_what_is_no_decimal_number_is_refused(number: str) -> None:
    with pytest.raises(Malformed):
        format_record(ThresholdChange(AT, "d", "1", Number(number), Number("0"), "r"))


@pytest.mark.parametrize("index", [-1, True, 2**53, 1.0])
def test_what_is_no_index_is_refused(index: Any) -> None:
    with pytest.raises(Malformed):
        format_record(Revocation(AT, Subject(index, SUBJECT.leaf), "r"))


def test_a_commitment_opens_with_its_own_salt_and_value_only() -> None:
    check_commitment(PICTURE, PROMPT)
    for wrong in (
        replace(PROMPT, value=b"a heron at dawn"),
        replace(PROMPT, salt=b"\x08" * 32),
        replace(PROMPT, field="caller"),
    ):
        with pytest.raises(NotProven):
            check_commitment(PICTURE, wrong)
    with pytest.raises(NotProven):
        check_commitment(RECORDS[2], PROMPT)


def test_a_commitment_needs_a_whole_salt() -> None:
    with pytest.raises(Malformed):
        commit(replace(PROMPT, salt=b"short"))


def test_field_and_value_of_a_commitment_cannot_be_shifted() -> None:
    with pytest.raises(Malformed):
        commit(replace(PROMPT, field="a\nb"))


def test_no_personal_value_is_in_the_bytes() -> None:
    assert PROMPT.value not in GOOD
    assert CALLER.value not in GOOD


@given(place=st.integers(0, len(GOOD)), old=st.integers(0, 4), new=st.binary(max_size=4))
def test_any_change_is_read_exactly_or_malformed(place: int, old: int, new: bytes) -> None:
    data = GOOD[:place] + new + GOOD[place + old :]
    try:
        record = parse_record(data)
    except Malformed:
        return
    assert format_record(record) == data


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(name=st.sampled_from(sorted(json.loads(GOOD.split(b"\n")[1]))), value=JSON)
def test_any_json_in_any_field_is_read_exactly_or_malformed(name: str, value: Any) -> None:
    document = json.loads(GOOD.split(b"\n")[1]) | {name: value}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data = VERSION_LINE + text.encode(errors="surrogatepass") + b"\n"
    try:
        record = parse_record(data)
    except Malformed:
        return
    assert format_record(record) == data
