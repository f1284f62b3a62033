"""Signed notes against the vectors of Go and C2SP, and against hostile bytes."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provenance.ledger.errors import LedgerError, Malformed, NotProven, UnknownKey
from provenance.ledger.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Algorithm,
    Signer,
    cosign_note,
    format_note,
    format_skey,
    format_vkey,
    open_note,
    parse_note,
    parse_skey,
    parse_vkey,
    sign_note,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "ledger_note.json").read_text(encoding="utf-8")
)
GO = VECTORS["go"]
PETER, ENOCH = parse_vkey(GO["vkey"]), parse_vkey(GO["other_vkey"])
BOTH = (GO["text"] + "\n" + GO["line"] + GO["other_line"]).encode()
LOG = Signer("example.com/log", Algorithm.ED25519, sha256(b"log").digest())
WITNESS = Signer("example.com/witness", Algorithm.COSIGNATURE, sha256(b"witness").digest())
NOTE = cosign_note(sign_note("a text\n", [LOG]), WITNESS, seconds=1_700_000_000)


def test_signing_gives_the_bytes_that_go_gives() -> None:
    assert sign_note(GO["text"], [parse_skey(GO["skey"])]).decode() == (
        GO["text"] + "\n" + GO["line"]
    )


def test_the_c2sp_example_opens_with_its_published_key() -> None:
    example_ = VECTORS["c2sp"]
    opened = open_note(example_["note"].encode(), [parse_vkey(example_["vkey"])])
    assert opened.text == "This is an example message.\n"
    with pytest.raises(NotProven):
        open_note(
            example_["note"].replace("an example", "no example").encode(),
            [parse_vkey(example_["vkey"])],
        )


def test_a_text_may_hold_empty_lines() -> None:
    data = VECTORS["quasimodo"]["note"].encode()
    assert parse_note(data).text == VECTORS["quasimodo"]["text"]
    assert format_note(parse_note(data)) == data


def test_keys_read_back_as_they_are_written() -> None:
    assert format_vkey(PETER) == GO["vkey"]
    assert format_skey(parse_skey(GO["skey"])) == GO["skey"]
    assert parse_skey(GO["skey"]).verifier == PETER
    assert parse_vkey(format_vkey(WITNESS.verifier)) == WITNESS.verifier


@pytest.mark.parametrize("bad", GO["bad_vkeys"])
def test_parse_vkey_rejects_what_go_rejects(bad: str) -> None:
    with pytest.raises(Malformed):
        parse_vkey(bad)


@pytest.mark.parametrize(("parse", "good"), [(parse_vkey, GO["vkey"]), (parse_skey, GO["skey"])])
def test_keys_reject_every_part_and_every_changed_character(parse: Any, good: str) -> None:
    assert parse(good)
    bad = {good[i:j] for i in range(len(good)) for j in range(i, len(good) + 1)} - {good}
    bad |= {good[:i] + chr(ord(c) + 1) + good[i + 1 :] for i, c in enumerate(good)}
    for text in bad:
        with pytest.raises(Malformed):
            parse(text)


def test_a_private_key_is_not_shown_by_its_repr() -> None:
    assert LOG.seed.hex() not in repr(LOG)
    assert repr(LOG.seed) not in repr(LOG)


def test_opening_ignores_unknown_keys_and_names_the_known_ones() -> None:
    assert open_note(BOTH, [PETER]).signers == (PETER,)
    assert open_note(BOTH, [ENOCH, PETER]).signers == (PETER, ENOCH)
    repeated = (GO["text"] + "\n" + GO["line"] * 3).encode()
    assert open_note(repeated, [PETER]).signers == (PETER,)


def test_opening_needs_a_known_key() -> None:
    with pytest.raises(UnknownKey, match=r"PeterNeumann\+c74f20a3"):
        open_note(BOTH, [])
    with pytest.raises(UnknownKey):
        open_note(BOTH, [LOG.verifier])


def test_one_wrong_signature_of_a_known_key_refuses_the_note() -> None:
    line = GO["line"]
    wrong = (GO["text"] + "\n" + line[:60] + "ABCD" + line[60:] + GO["other_line"]).encode()
    assert open_note(wrong, [ENOCH]).signers == (ENOCH,)
    with pytest.raises(NotProven, match="PeterNeumann"):
        open_note(wrong, [ENOCH, PETER])


@pytest.mark.parametrize(
    "bad",
    [
        GO["text"],
        GO["text"] + "\n",
        GO["text"] + "\n" + GO["line"][:-1],
        "\x01" + GO["text"] + "\n" + GO["line"],
        GO["text"] + "\n" + GO["line"].replace("PeterNeumann", "Bad Name"),
        GO["text"] + "\n" + GO["line"].replace("PeterNeumann", "Bad\u2003Name"),
        GO["text"] + "\n" + GO["line"].replace("PeterNeumann", ""),
        GO["text"] + "\n" + GO["line"].replace("PeterNeumann", "a+b"),
        GO["text"] + "\n" + GO["line"] + "Unexpected line.\n",
        GO["text"] + "\n" + GO["line"].replace("AM=\n", "AN=\n"),
        GO["text"] + "\n" + GO["line"].replace("=\n", "\n"),
        GO["text"] + "\n" + "— PeterNeumann x08gow==\n",
        GO["text"] + "\n" + "— PeterNeumann AAAA\n",
        GO["text"] + "\n" + GO["line"] * (MAX_SIGNATURES + 1),
        "x" * MAX_NOTE_BYTES + "\n\n" + GO["line"],
    ],
)
def test_malformed_notes_are_named_so(bad: str) -> None:
    good = (GO["text"] + "\n" + GO["line"]).encode()
    assert open_note(good, [PETER]).signers == (PETER,)
    with pytest.raises(Malformed):
        open_note(bad.encode(), [PETER])


def test_bytes_that_are_not_utf8_are_malformed() -> None:
    with pytest.raises(Malformed, match="byte 0"):
        parse_note(b"\xff" + BOTH)


@pytest.mark.parametrize("text", ["", "no newline", "a\n\x07\n", "\ud800\n"])
def test_sign_note_refuses_a_text_it_could_not_read_back(text: str) -> None:
    with pytest.raises(Malformed):
        sign_note(text, [LOG])


def test_a_log_key_and_a_witness_key_sign_each_their_own_kind() -> None:
    with pytest.raises(Malformed):
        sign_note("a text\n", [WITNESS])
    with pytest.raises(Malformed):
        cosign_note(NOTE, LOG, seconds=1)


def test_a_cosignature_binds_the_text_and_the_time() -> None:
    opened = open_note(NOTE, [WITNESS.verifier])
    assert opened.times == {WITNESS.verifier: 1_700_000_000}
    again = cosign_note(NOTE, WITNESS, seconds=1_700_000_001)
    assert open_note(again, [WITNESS.verifier]).times == {WITNESS.verifier: 1_700_000_001}
    assert len(parse_note(again).signatures) == 2
    note = parse_note(NOTE)
    blob = note.signatures[1].blob
    moved = NOTE.replace(
        format_note(note).splitlines()[-1],
        format_note(parse_note(again)).splitlines()[-1],
    ).replace(b"a text", b"b text")
    with pytest.raises(NotProven):
        open_note(moved, [WITNESS.verifier])
    assert int.from_bytes(blob[:8], "big") == 1_700_000_000


@pytest.mark.parametrize("place", range(72))
def test_every_byte_of_a_cosignature_counts(place: int) -> None:
    note = parse_note(NOTE)
    line = note.signatures[1]
    blob = bytearray(line.blob)
    blob[place] ^= 1
    bad = format_note(
        type(note)(note.text, (note.signatures[0], type(line)(line.name, line.key_id, bytes(blob))))
    )
    with pytest.raises(NotProven):
        open_note(bad, [WITNESS.verifier])


def test_the_form_of_the_c2sp_cosignature_example_is_read() -> None:
    want = VECTORS["cosigned"]
    line = parse_note(want["note"].encode()).signatures[1]
    assert line.name == "witness.example.com/w1"
    assert line.key_id.hex() == want["witness_key_id"]
    assert int.from_bytes(line.blob[:8], "big") == want["witness_time"]


@given(st.binary(max_size=300))
@example(b"\n\n\xe2\x80\x94 a AAAAAAA=\n")
def test_any_bytes_either_read_back_exactly_or_are_malformed(data: bytes) -> None:
    try:
        note = parse_note(data)
    except Malformed:
        return
    assert format_note(note) == data


@given(place=st.integers(0, len(NOTE) - 1), old=st.integers(0, 3), new=st.binary(max_size=3))
def test_no_change_of_a_note_is_accepted_as_another_text(place: int, old: int, new: bytes) -> None:
    changed = NOTE[:place] + new + NOTE[place + old :]
    try:
        opened = open_note(changed, [LOG.verifier, WITNESS.verifier])
    except LedgerError:
        return
    assert opened.text == "a text\n"


@given(st.text(max_size=60))
def test_any_text_is_a_key_that_reads_back_or_malformed(text: str) -> None:
    try:
        verifier = parse_vkey(text)
    except Malformed:
        return
    assert format_vkey(verifier) == text
