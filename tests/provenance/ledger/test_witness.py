"""A witness signs one growing log, never two versions of it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.ledger.checkpoint import Checkpoint, format_checkpoint, open_checkpoint
from provenance.ledger.errors import LedgerError, Malformed, NotProven, Refused
from provenance.ledger.merkle import Hash, Node, grow, leaf_hash, prove_consistency, tree_root
from provenance.ledger.note import Algorithm, Signer, sign_note
from provenance.ledger.witness import Request, cosign, format_request, parse_request

LOG = Signer("example.com/log", Algorithm.ED25519, b"\x01" * 32)
WITNESS = Signer("w.example", Algorithm.COSIGNATURE, b"\x02" * 32)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
NODES = grow(0, {}, [leaf_hash(bytes([i])) for i in range(20)])
FORKED = grow(0, {}, [leaf_hash(bytes([i ^ 1])) for i in range(20)])


def asked(old: int, new: int, tree: dict[Node, Hash] = NODES) -> Request:
    root = tree_root(new, lambda _: tree)
    note = sign_note(format_checkpoint(Checkpoint(LOG.name, new, root)), [LOG])
    proof = prove_consistency(old, new, lambda _: tree) if old else ()
    return Request(old, proof, note)


def signed(request: Request, last: bytes | None) -> bytes:
    return cosign(request, last, log=[LOG.verifier], witness=WITNESS, now=NOW)


def test_a_witness_follows_a_growing_log() -> None:
    last = None
    for old, new in ((0, 0), (0, 5), (5, 5), (5, 20)):
        last = signed(asked(old, new), last)
        got = open_checkpoint(last, [LOG.verifier], witnesses=[WITNESS.verifier], quorum=1)
        assert got.checkpoint.size == new
        assert got.witnessed == {WITNESS.verifier: int(NOW.timestamp())}


def test_a_witness_never_signs_a_fork_or_a_smaller_log() -> None:
    last = signed(asked(0, 5), None)
    with pytest.raises(NotProven):
        signed(asked(5, 20, FORKED), last)
    with pytest.raises(NotProven):
        signed(asked(5, 5, FORKED), last)
    with pytest.raises(NotProven):
        signed(Request(5, (), asked(0, 3).checkpoint), last)


def test_a_witness_starts_from_where_it_is() -> None:
    last = signed(asked(0, 5), None)
    with pytest.raises(Refused, match="size 5, not at 0"):
        signed(asked(0, 20), last)
    with pytest.raises(Refused, match="size 0, not at 5"):
        signed(asked(5, 20), None)
    with pytest.raises(Malformed):
        signed(Request(0, asked(5, 20).proof, asked(0, 20).checkpoint), None)


def test_a_witness_trusts_only_a_state_it_signed_itself() -> None:
    with pytest.raises(LedgerError):
        signed(asked(5, 20), asked(0, 5).checkpoint)


@pytest.mark.parametrize(
    ("old", "new"),
    [("old 5", "old 05"), ("old 5", "new 5"), ("\n\n", "\n"), ("=\n", "\n"), ("old 5\n", "")],
)
def test_parse_request_rejects_one_thing_wrong(old: str, new: str) -> None:
    good = format_request(asked(5, 20))
    assert parse_request(good) == asked(5, 20)
    with pytest.raises(Malformed):
        parse_request(good.replace(old.encode(), new.encode(), 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_that_writes_back_or_malformed(tail: bytes) -> None:
    data = b"old " + tail
    try:
        request = parse_request(data)
    except Malformed:
        return
    assert format_request(request) == data
