"""Checkpoints are read in one form only, and only from the log they were asked for."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.ledger.checkpoint import (
    Checkpoint,
    format_checkpoint,
    open_checkpoint,
    parse_checkpoint,
)
from provenance.ledger.errors import Malformed, NotProven, UnknownKey, WrongLog
from provenance.ledger.merkle import EMPTY_ROOT
from provenance.ledger.note import Algorithm, Signer, cosign_note, parse_note, sign_note

ORIGIN = "example.com/log"
LOG = Signer(ORIGIN, Algorithm.ED25519, b"\x01" * 32)
NEXT = Signer(ORIGIN, Algorithm.ED25519, b"\x02" * 32)
OTHER = Signer("example.com/other", Algorithm.ED25519, b"\x03" * 32)
WITNESSES = [Signer(f"w{i}.example", Algorithm.COSIGNATURE, bytes([i]) * 32) for i in (4, 5)]
GOOD = format_checkpoint(Checkpoint(ORIGIN, 42, EMPTY_ROOT))


def test_the_c2sp_example_is_read_and_written_back() -> None:
    path = Path(__file__).parents[2] / "vectors" / "ledger_note.json"
    want = json.loads(path.read_text(encoding="utf-8"))["cosigned"]
    text = parse_note(want["note"].encode()).text
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == (want["origin"], want["size"])
    assert checkpoint.root.hex() == want["root"]
    assert format_checkpoint(checkpoint) == text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("42", "-42"),
        ("42", "042"),
        ("42", "+42"),
        ("42", "4_2"),
        ("42", "٤٢"),
        ("42", ""),
        ("42", "9223372036854775808"),
        ("=\n", "="),
        ("=\n", "\n"),
        ("=\n", "=\n\n"),
        ("FU=\n", "FV=\n"),
        ("FU=\n", "\n"),
        ("example.com/log\n", "\n"),
        ("example.com/log\n", ""),
    ],
)
def test_parse_checkpoint_rejects_one_thing_wrong(old: str, new: str) -> None:
    assert parse_checkpoint(GOOD).size == 42
    assert old in GOOD
    with pytest.raises(Malformed):
        parse_checkpoint(GOOD.replace(old, new, 1))


def test_extension_lines_are_kept() -> None:
    assert parse_checkpoint(GOOD + "more\n").extensions == ("more",)
    assert format_checkpoint(parse_checkpoint(GOOD + "more\n")) == GOOD + "more\n"


def test_a_checkpoint_of_another_log_is_named_so() -> None:
    foreign = sign_note(format_checkpoint(Checkpoint(OTHER.name, 1, EMPTY_ROOT)), [OTHER])
    with pytest.raises(WrongLog, match="example.com/other"):
        open_checkpoint(foreign, [LOG.verifier])
    borrowed = sign_note(format_checkpoint(Checkpoint(OTHER.name, 1, EMPTY_ROOT)), [LOG])
    with pytest.raises(WrongLog, match="example.com/other"):
        open_checkpoint(borrowed, [LOG.verifier])


def test_an_unknown_key_of_the_right_name_is_named_so() -> None:
    with pytest.raises(UnknownKey):
        open_checkpoint(sign_note(GOOD, [NEXT]), [LOG.verifier])


def test_either_key_of_a_rotation_opens_a_checkpoint() -> None:
    both = sign_note(GOOD, [LOG, NEXT])
    assert open_checkpoint(both, [LOG.verifier]).signers == (LOG.verifier,)
    assert open_checkpoint(both, [NEXT.verifier]).signers == (NEXT.verifier,)


def test_witnesses_count_once_each_and_never_replace_the_log() -> None:
    trusted = [w.verifier for w in WITNESSES]
    signed = cosign_note(sign_note(GOOD, [LOG]), WITNESSES[0], seconds=7)
    one = open_checkpoint(signed, [LOG.verifier], witnesses=trusted, quorum=1)
    assert one.witnessed == {trusted[0]: 7}
    with pytest.raises(NotProven, match="1 trusted witnesses signed, not the 2"):
        open_checkpoint(signed, [LOG.verifier], witnesses=trusted, quorum=2)
    both = cosign_note(signed, WITNESSES[1], seconds=8)
    assert len(open_checkpoint(both, [LOG.verifier], witnesses=trusted, quorum=2).witnessed) == 2
    alone = cosign_note(sign_note(GOOD, [NEXT]), WITNESSES[0], seconds=7)
    with pytest.raises(UnknownKey):
        open_checkpoint(alone, [LOG.verifier], witnesses=trusted)


def test_keys_of_the_wrong_type_or_of_two_logs_are_refused() -> None:
    data = sign_note(GOOD, [LOG])
    witness = WITNESSES[0].verifier
    with pytest.raises(Malformed):
        open_checkpoint(data, [])
    with pytest.raises(Malformed):
        open_checkpoint(data, [LOG.verifier, OTHER.verifier])
    with pytest.raises(Malformed):
        open_checkpoint(data, [witness])
    with pytest.raises(Malformed):
        open_checkpoint(data, [LOG.verifier], witnesses=[NEXT.verifier])


@given(st.text(max_size=80))
def test_any_text_either_reads_back_exactly_or_is_malformed(text: str) -> None:
    try:
        checkpoint = parse_checkpoint(text)
    except Malformed:
        return
    assert format_checkpoint(checkpoint) == text
