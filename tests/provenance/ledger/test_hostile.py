"""Mutated notes, proofs, records and requests are refused, or mean exactly what they meant before.

COUNTERMARK_MUTATIONS sets how many of each are tried; archives, packs and timestamps have such a
test beside their others.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from provenance.ledger.checkpoint import Checkpoint, format_checkpoint, open_checkpoint
from provenance.ledger.errors import LedgerError
from provenance.ledger.merkle import grow, leaf_hash, prove_consistency, prove_inclusion, tree_root
from provenance.ledger.note import (
    Algorithm,
    Signer,
    cosign_note,
    format_vkey,
    parse_note,
    parse_vkey,
    sign_note,
)
from provenance.ledger.proof import Proof, format_proof, open_proof
from provenance.ledger.record import format_record, parse_record
from provenance.ledger.tiles import format_bundle, parse_bundle
from provenance.ledger.witness import Request, cosign, format_request, parse_request
from tests.provenance.ledger.logs import LOG, personal, picture
from tests.provenance.ledger.mutations import mutations

WITNESS = Signer("w.example", Algorithm.COSIGNATURE, b"\x03" * 32)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
DATA = [format_record(picture(f"p{i}")) for i in range(7)]
NODES = grow(0, {}, [leaf_hash(one) for one in DATA])
LOGS, WITNESSES = [LOG.verifier], [WITNESS.verifier]


def note(size: int) -> bytes:
    root = tree_root(size, lambda _: NODES)
    signed = sign_note(format_checkpoint(Checkpoint(LOG.name, size, root)), [LOG])
    return cosign_note(signed, WITNESS, seconds=9)


PROOF = format_proof(Proof(DATA[5], 5, prove_inclusion(5, 7, lambda _: NODES), note(7)))
REQUEST = format_request(Request(3, prove_consistency(3, 7, lambda _: NODES), note(7)))
VKEY = format_vkey(LOG.verifier).encode()


def as_record(data: bytes) -> object:
    """A record is not signed by itself: it must only have one form."""
    assert format_record(parse_record(data)) == data
    return None


def as_bundle(data: bytes) -> object:
    records = parse_bundle(data, 7)
    assert format_bundle(records) == data
    return None


def as_checkpoint(data: bytes) -> object:
    return open_checkpoint(data, LOGS).checkpoint


def as_witnessed(data: bytes) -> object:
    return open_checkpoint(data, LOGS, witnesses=WITNESSES, quorum=1)


def as_proof(data: bytes) -> object:
    proven = open_proof(data, LOGS)
    return proven.record, proven.index, proven.leaf, proven.signed.checkpoint


def as_request(data: bytes) -> object:
    return parse_note(cosign(parse_request(data), note(3), log=LOGS, witness=WITNESS, now=NOW)).text


def as_vkey(data: bytes) -> object:
    return parse_vkey(data.decode("utf-8", "replace"))


@pytest.mark.parametrize(
    ("good", "read"),
    [
        (DATA[0], as_record),
        (format_record(personal("x").record), as_record),
        (format_bundle(DATA), as_bundle),
        (note(7), as_checkpoint),
        (note(7), as_witnessed),
        (PROOF, as_proof),
        (REQUEST, as_request),
        (VKEY, as_vkey),
    ],
    ids=["record", "personal", "bundle", "checkpoint", "witnessed", "proof", "request", "vkey"],
)
def test_a_mutation_is_refused_or_means_the_same(
    good: bytes, read: Callable[[bytes], object]
) -> None:
    meant = read(good)
    refused = 0
    for bad in mutations(good):
        try:
            found = read(bad)
        except LedgerError:
            refused += 1
            continue
        assert found == meant, bad
    assert refused > 0
