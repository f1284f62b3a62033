"""One file that proves a record is in a log, checked with a public key and nothing else.

The format is c2sp.org/tlog-proof@v1; its `extra` line holds the record, so the file stands alone.
It proves that the log's key signed a tree with this record at this index. It does not prove that
the record is true, that it still stands (a later entry may revoke it), or that the log shows
everyone the same tree: for that, ask for witnesses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.ledger.checkpoint import Signed, open_checkpoint
from provenance.ledger.encoding import (
    format_base64,
    parse_base64,
    parse_decimal,
    parse_hash,
    parse_utf8,
)
from provenance.ledger.errors import Malformed
from provenance.ledger.merkle import Hash, check_inclusion, leaf_hash
from provenance.ledger.note import Verifier, parse_vkey
from provenance.ledger.record import Record, parse_record

MAX_PROOF_BYTES = 1_200_000  # a note of the greatest length, a record, 63 hashes
_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Proof:
    record: bytes
    index: int
    path: tuple[Hash, ...]
    checkpoint: bytes


@dataclass(frozen=True)
class Proven:
    """A record that is in the log at `index`, as the signed checkpoint says."""

    record: Record
    index: int
    leaf: Hash
    signed: Signed


def format_proof(proof: Proof) -> bytes:
    lines = (
        _HEADER,
        f"extra {format_base64(proof.record)}",
        f"index {proof.index}",
        *(format_base64(sibling) for sibling in proof.path),
    )
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + proof.checkpoint


def parse_proof(data: bytes) -> Proof:
    """The parts of a proof file, unchecked; `format_proof` of them gives `data` back."""
    if len(data) > MAX_PROOF_BYTES:
        raise Malformed(f"proof is longer than {MAX_PROOF_BYTES} bytes")
    head, gap, checkpoint = data.partition(b"\n\n")
    lines = parse_utf8(head, what="proof").split("\n")
    if not gap or lines[0] != _HEADER:
        raise Malformed(f"proof does not start with {_HEADER!r}")
    if len(lines) < 3 or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise Malformed("proof does not have an extra line with the record, then an index line")
    return Proof(
        record=parse_base64(lines[1].removeprefix("extra "), what="record of the proof"),
        index=parse_decimal(lines[2].removeprefix("index "), what="index of the proof"),
        path=tuple(parse_hash(line, what="hash of the proof") for line in lines[3:]),
        checkpoint=checkpoint,
    )


def open_proof(
    data: bytes, log: Sequence[Verifier], *, witnesses: Sequence[Verifier] = (), quorum: int = 0
) -> Proven:
    """What the file proves about its record to someone who trusts the keys of `log`.

    Raises Malformed, WrongLog, UnknownKey or NotProven, and never anything else.
    """
    proof = parse_proof(data)
    signed = open_checkpoint(proof.checkpoint, log, witnesses=witnesses, quorum=quorum)
    leaf = leaf_hash(proof.record)
    size, root = signed.checkpoint.size, signed.checkpoint.root
    check_inclusion(proof.path, index=proof.index, size=size, leaf=leaf, root=root)
    return Proven(parse_record(proof.record), proof.index, leaf, signed)


def open_proof_file(path: Path, vkey: str) -> Proven:
    """`open_proof` for a file and the text of the log's verifier key; raises OSError as well."""
    log = [parse_vkey(vkey)]
    with path.open("rb") as file:
        return open_proof(file.read(MAX_PROOF_BYTES + 1), log)
