"""A proof file stands alone: one changed bit, another log or another key, and it proves nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.ledger.checkpoint import Checkpoint, format_checkpoint
from provenance.ledger.errors import LedgerError, Malformed, NotProven, UnknownKey, WrongLog
from provenance.ledger.merkle import Hash, grow, leaf_hash, prove_inclusion, tree_root
from provenance.ledger.note import Algorithm, Signer, cosign_note, format_vkey, sign_note
from provenance.ledger.proof import (
    MAX_PROOF_BYTES,
    Proof,
    Proven,
    format_proof,
    open_proof,
    open_proof_file,
    parse_proof,
)
from provenance.ledger.record import Revocation, Subject, format_record

ORIGIN = "example.com/log"
LOG = Signer(ORIGIN, Algorithm.ED25519, b"\x01" * 32)
STRANGER = Signer(ORIGIN, Algorithm.ED25519, b"\x02" * 32)
OTHER = Signer("example.com/other", Algorithm.ED25519, b"\x03" * 32)
WITNESS = Signer("w.example", Algorithm.COSIGNATURE, b"\x04" * 32)
AT = datetime(2026, 11, 22, tzinfo=UTC)
RECORDS = [Revocation(AT, Subject(i, Hash(b"\x07" * 32)), f"reason {i}") for i in range(7)]
DATA = [format_record(record) for record in RECORDS]
NODES = grow(0, {}, [leaf_hash(data) for data in DATA])


def proof_of(index: int, size: int = 7, *, signer: Signer = LOG) -> Proof:
    root = tree_root(size, lambda _: NODES)
    note = sign_note(format_checkpoint(Checkpoint(signer.name, size, root)), [signer])
    return Proof(DATA[index], index, prove_inclusion(index, size, lambda _: NODES), note)


def opened(data: bytes) -> Proven:
    return open_proof(data, [LOG.verifier])


GOOD = format_proof(proof_of(5))
TEXT = GOOD.decode()


@pytest.mark.parametrize("index", range(7))
def test_a_proof_of_every_entry_opens(index: int) -> None:
    proven = opened(format_proof(proof_of(index)))
    assert (proven.record, proven.index) == (RECORDS[index], index)
    assert proven.leaf == leaf_hash(DATA[index])
    assert proven.signed.checkpoint.size == 7


def test_a_log_of_one_entry_has_an_empty_path() -> None:
    data = format_proof(proof_of(0, 1))
    assert b"\nindex 0\n\nexample.com/log\n1\n" in data
    assert opened(data).record == RECORDS[0]


def test_no_flipped_bit_of_a_proof_file_is_accepted() -> None:
    assert opened(GOOD).index == 5
    survivors = []
    for place in range(len(GOOD)):
        for bit in range(8):
            bad = bytearray(GOOD)
            bad[place] ^= 1 << bit
            try:
                survivors.append(opened(bytes(bad)))
            except LedgerError:
                continue
    assert not survivors


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("proof@v1", "proof@v2"),
        ("extra ", "extra  "),
        ("index 5", "index 05"),
        ("index 5", "index -5"),
        ("index 5", "index 5 "),
        ("index 5\n", ""),
        ("index 5\n", "index 5\nindex 5\n"),
        ("\n\n", "\n"),
        ("=\n", "\n"),
        ("\n", "\r\n"),
    ],
)
def test_one_thing_wrong_in_a_proof_is_malformed(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(Malformed):
        opened(TEXT.replace(old, new, 1).encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("index 5", "index 4"),
        ("index 5", "index 7"),
        ("\n\n", "\n\n\n"),
        ("Y291bnRlcm1hcms", "Y291bnRlcm1hcmt"),
    ],
)
def test_another_index_record_or_checkpoint_is_not_proven(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(NotProven):
        opened(TEXT.replace(old, new, 1).encode())


def test_a_proof_of_another_log_is_named_so() -> None:
    with pytest.raises(WrongLog):
        opened(format_proof(proof_of(5, signer=OTHER)))


def test_an_unknown_key_is_named_so() -> None:
    with pytest.raises(UnknownKey):
        opened(format_proof(proof_of(5, signer=STRANGER)))


def test_a_checkpoint_of_a_larger_size_is_not_proven() -> None:
    proof = proof_of(5)
    root = tree_root(7, lambda _: NODES)
    larger = sign_note(format_checkpoint(Checkpoint(ORIGIN, 2**40, root)), [LOG])
    with pytest.raises(NotProven):
        opened(format_proof(Proof(proof.record, 5, proof.path, larger)))


def test_a_quorum_of_witnesses_can_be_asked_for() -> None:
    proof = proof_of(5)
    keys, trusted = [LOG.verifier], [WITNESS.verifier]
    with pytest.raises(NotProven, match="0 trusted witnesses"):
        open_proof(GOOD, keys, witnesses=trusted, quorum=1)
    cosigned = cosign_note(proof.checkpoint, WITNESS, seconds=99)
    data = format_proof(Proof(proof.record, 5, proof.path, cosigned))
    proven = open_proof(data, keys, witnesses=trusted, quorum=1)
    assert proven.signed.witnessed == {WITNESS.verifier: 99}


def test_a_file_is_opened_with_the_text_of_a_key(tmp_path: Path) -> None:
    path = tmp_path / "5.tlog-proof"
    path.write_bytes(GOOD)
    assert open_proof_file(path, format_vkey(LOG.verifier)) == opened(GOOD)
    with pytest.raises(Malformed):
        open_proof_file(path, "no key")
    path.write_bytes(GOOD + b"\n" * MAX_PROOF_BYTES)
    with pytest.raises(Malformed, match="longer than"):
        open_proof_file(path, format_vkey(LOG.verifier))


@given(st.binary(max_size=400))
def test_any_bytes_after_the_header_read_back_exactly_or_are_malformed(tail: bytes) -> None:
    data = b"c2sp.org/tlog-proof@v1\nextra " + tail
    try:
        proof = parse_proof(data)
    except Malformed:
        return
    assert format_proof(proof) == data


@given(place=st.integers(0, len(GOOD)), old=st.integers(0, 5), new=st.binary(max_size=5))
def test_no_change_of_a_proof_proves_something_else(place: int, old: int, new: bytes) -> None:
    changed = GOOD[:place] + new + GOOD[place + old :]
    try:
        proven = opened(changed)
    except LedgerError:
        return
    assert (proven.record, proven.index) == (RECORDS[5], 5)
