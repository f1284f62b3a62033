"""Proof files, good ones and bad ones, for whoever checks the checkers.

The bad ones are broken in one thing each: bytes of the file, parts of the proof, keys, and records
that are signed and in the tree but not in canonical form.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

from provenance.ledger.checkpoint import Checkpoint, format_checkpoint
from provenance.ledger.merkle import Hash, grow, leaf_hash, prove_inclusion, tree_root
from provenance.ledger.note import Algorithm, Signer, cosign_note, format_vkey, sign_note
from provenance.ledger.proof import Proof, format_proof
from provenance.ledger.record import (
    VERSION_LINE,
    Deletion,
    Digest,
    Erasure,
    KeyRotation,
    Number,
    Revocation,
    SignedVerdict,
    Subject,
    ThresholdChange,
    format_record,
)
from tests.provenance.ledger.logs import AT, LOG, marking, picture

OTHER = Signer("example.com/log", Algorithm.ED25519, sha256(b"other").digest())
ELSEWHERE = Signer("example.org/log", Algorithm.ED25519, sha256(b"log").digest())
WITNESS = Signer("w.example", Algorithm.COSIGNATURE, sha256(b"witness").digest())
KEY, WITNESS_KEY = format_vkey(LOG.verifier), format_vkey(WITNESS.verifier)
SIZE = 300


@dataclass(frozen=True)
class Case:
    """A proof file, and whom its reader trusts."""

    data: bytes
    log: str = KEY
    witnesses: tuple[str, ...] = ()


class Log:
    """A signed log of such records in memory."""

    def __init__(self, records: list[bytes]) -> None:
        self.records = records
        self.nodes = grow(0, {}, [leaf_hash(one) for one in records])

    def prove(self, index: int, size: int, *signers: Signer) -> Proof:
        """The proof under a checkpoint of this size."""

        def read(nodes):  # type: ignore[no-untyped-def]
            return {node: self.nodes[node] for node in nodes}

        checkpoint = Checkpoint(LOG.name, size, tree_root(size, read))
        note = sign_note(format_checkpoint(checkpoint), signers or [LOG])
        path = prove_inclusion(index, size, read)
        return Proof(self.records[index], index, path, note)


def records(count: int) -> list[bytes]:
    """Records of every kind, no two alike, with letters beyond ASCII."""
    subject = Subject(3, Hash(sha256(b"leaf").digest()))
    digest = Digest(sha256(b"statement").digest())
    made = []
    for n in range(count):
        kinds = (
            picture(f"picture {n}"),
            replace(picture(f"Bild {n} ä 𝒳"), mark=None, erased=("a", "ä", "𝒳")),
            marking(f"upload {n}", n + 1),
            marking(f"upload {n}", None),
            Revocation(AT, subject, f"reason {n}: „quoted“ / \\ \U0001f9fe"),
            KeyRotation(AT, "mark", f"a.{n}", "b", datetime(2024, 2, 29, tzinfo=UTC)),
            KeyRotation(AT, "log", f"a.{n}", "b", None),
            Erasure(AT, subject, ("prompt",), f"asked {n}"),
            Deletion(AT, subject, ("file",), f"asked {n}"),
            ThresholdChange(AT, "mark", f"{n}", Number("1e-6"), Number("-0.25"), "measured"),
            SignedVerdict(AT, digest, f"key {n}"),
        )
        made.append(format_record(kinds[n % len(kinds)]))
    return made


def good(rng: random.Random, count: int) -> Iterator[Case]:
    """Proofs that hold, some of them with witnesses and more signatures than needed."""
    log = Log(records(SIZE))
    for n in range(count):
        size = rng.randint(1, SIZE)
        proof = log.prove(rng.randrange(size), size, *([LOG, OTHER] if n % 3 == 0 else [LOG]))
        if n % 5 == 0:
            noted = cosign_note(proof.checkpoint, WITNESS, seconds=1_700_000_000 + n)
            yield Case(format_proof(replace(proof, checkpoint=noted)), witnesses=(WITNESS_KEY,))
        else:
            yield Case(format_proof(proof))


def bad(rng: random.Random, count: int) -> Iterator[Case]:
    """Proofs that do not hold, or that nobody should read."""
    yield from _bad_records()
    log = Log(records(SIZE))
    for n in range(count):
        size = rng.randint(2, SIZE)
        proof = log.prove(rng.randrange(size), size)
        yield _break(rng, n % len(_BREAKS), proof, log)


_BREAKS = range(14)


def _break(rng: random.Random, how: int, proof: Proof, log: Log) -> Case:
    """One proof, broken in one way."""
    data, path = format_proof(proof), proof.path
    place = rng.randrange(len(data))
    turned = bytes([data[place] ^ (1 << rng.randrange(8))])
    other = next(i for i in range(len(log.records)) if i != proof.index)
    noted = proof.checkpoint
    ways = (
        lambda: Case(data[:place] + turned + data[place + 1 :]),
        lambda: Case(data[:place]),
        lambda: Case(data[:place] + data[place + 1 :]),
        lambda: Case(data[:place] + b"\n" + data[place:]),
        lambda: Case(data + b"\n"),
        lambda: Case(data.replace(b"\n", b"\r\n")),
        lambda: Case(format_proof(replace(proof, index=other))),
        lambda: Case(format_proof(replace(proof, path=(*path, Hash(bytes(32)))))),
        lambda: Case(format_proof(replace(proof, path=path[1:]))),
        lambda: Case(format_proof(replace(proof, record=log.records[other]))),
        lambda: Case(data, log=format_vkey(OTHER.verifier)),
        lambda: Case(data, log=format_vkey(ELSEWHERE.verifier)),
        lambda: Case(data, witnesses=(WITNESS_KEY,)),
        lambda: Case(format_proof(replace(proof, checkpoint=noted.replace(b"\n", b" \n", 1)))),
    )
    assert len(ways) == len(_BREAKS), "each is tried"
    return ways[how]()


_BENT = [
    (":", ": "),
    ("{", '{"kind":"picture",'),
    ('"id":"p"', '"id":"p","id":"p"'),
    ('"id":"p"', '"id":"\\u0070"'),
    ('"id":"p"', '"id":"\u200bp\x85"'),
    ('"id":"p"', '"id":"\\ud800"'),
    ('"id":"p"', '"id":""'),
    ('"id":"p"', f'"id":"{"x" * 513}"'),
    ('"id":"p"', '"id":7'),
    ('"id":"p"', '"id":"p","more":"x"'),
    ('"erased":["violence"]', '"erased":["b","a"]'),
    ('"erased":["violence"]', '"erased":["a","a"]'),
    ('"erased":["violence"]', '"erased":{}'),
    ("2026-11-22", "2026-02-29"),
    ("2026-11-22", "0000-11-22"),
    ("10:56:18Z", "24:00:00Z"),
    ("10:56:18Z", "10:56:60Z"),
    ("10:56:18Z", "10:56:18+00:00"),
    ('"kind":"picture"', '"kind":"portrait"'),
    ('"kind":"picture"', '"kind":"constructor"'),
    ('"commitments":{}', '"commitments":{"__proto__":"x"}'),
    ('"commitments":{}', '"commitments":[]'),
    ('"mark":{', '"mark":{"more":"x",'),
]
"""One thing wrong in a record of a picture each."""
_TEXTS = ["[]\n", "null\n", '{"kind":"picture"}\n', "{", "[" * 5000 + "\n", "NaN\n"]
_INDEXES = ["3.0", "3e0", "-0", "-1", "9007199254740992", '"3"', "03", "true", "1" * 5000]
_NUMBERS = ["01", "+1", ".5", "1.", "1e+6", "1E6", "1e06", "Infinity", "1\\n"]


def _bad_records() -> Iterator[Case]:
    """Signed and in the tree, but in no canonical form."""
    line, record = VERSION_LINE, format_record(picture("p"))
    text = record.removeprefix(line).decode()
    texts = [text.replace(old, new, 1) for old, new in _BENT]
    texts += [text.rstrip("\n"), text + "\n", *_TEXTS]
    subject = Subject(3, Hash(bytes(32)))
    revocation = format_record(Revocation(AT, subject, "r")).removeprefix(line).decode()
    texts += [revocation.replace('"index":3', f'"index":{number}') for number in _INDEXES]
    change = ThresholdChange(AT, "d", "v", Number("1"), Number("2"), "r")
    changed = format_record(change).removeprefix(line).decode()
    texts += [changed.replace('"old":"1"', f'"old":"{number}"') for number in _NUMBERS]
    every = [line + one.encode() for one in texts]
    every += [text.encode(), b"countermark-record/2\n" + text.encode(), record + b"\xff"]
    every += [b"\xef\xbb\xbf" + record, b"", b"x" * 65_536]
    for data in every:
        assert data != record, "each is broken"
        yield Case(format_proof(Log([*records(4), data]).prove(4, 5)))
