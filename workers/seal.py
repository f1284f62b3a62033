"""Sign what was drawn and record it: a picture is given out with its record, or not at all.

The order is the promise. The manifest is signed into the file and read back; then record and
fingerprint are committed in one transaction; then a checkpoint covers them; only then are the bytes
handed out. A crash in between leaves a record of a picture that nobody got, never a picture without
a record.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from uuid import uuid4

from sqlalchemy.orm import Session

from provenance import fingerprint
from provenance.database import snapshot, transaction
from provenance.errors import ProvenanceError
from provenance.fingerprint import Fingerprint, format_fingerprint
from provenance.image import pixel_digest, read_image
from provenance.ledger import record as ledger
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.log import Draft, Entry, append, prove
from provenance.ledger.proof import format_proof
from provenance.ledger.record import SALT_BYTES, Digest, Opening, Picture, commit
from provenance.manifest.claim import Claim, Model
from provenance.manifest.finding import Binding, State
from provenance.manifest.read import Trust, read
from provenance.manifest.write import Signer, sign
from provenance.watermark.keys import Key
from workers.folder import DataFolder
from workers.generate import Marked
from workers.marking import Marker

POLICY = "marked/1"  # every picture carries a mark; no concept is erased


class Untrusted(ProvenanceError):
    """The signer's certificate does not lead to the authority that verifying trusts."""


@dataclass(frozen=True)
class Sealed:
    """A picture ready to be given out: its signed file, its record, and where the log has it."""

    marked: Marked
    file: bytes
    record: Picture
    index: int
    proof: bytes  # a .tlog-proof file against the checkpoint that covers the record


@dataclass(frozen=True)
class Signed:
    """A signed file that is not recorded yet, and so must not be given out."""

    marked: Marked
    file: bytes
    draft: Draft
    record: Picture
    fingerprint: Fingerprint


def seal(
    folder: DataFolder,
    signer: Signer,
    pictures: Sequence[Marked],
    *,
    trust: Trust,
    marker: Marker,
    key: Key,
) -> list[Sealed]:
    """Sign and record pictures that `key` marked; all of them or none.

    Raises Untrusted if verifying with this trust would not believe what was signed.
    """
    ids = [str(uuid4()) for _ in pictures]
    signed = sign_pictures(signer, pictures, ids, trust=trust, marker=marker, key=key)
    with transaction(folder.engine) as session:
        entries = record(session, signed)
    sign_checkpoint(folder.engine, folder.keyring.log_signers(), folder.anchor)
    with snapshot(folder.engine) as session:
        return [
            Sealed(
                one.marked,
                one.file,
                one.record,
                entry.index,
                format_proof(prove(session, entry.index)),
            )
            for one, entry in zip(signed, entries, strict=True)
        ]


def sign_pictures(
    signer: Signer,
    pictures: Sequence[Marked],
    ids: Sequence[str],
    *,
    trust: Trust,
    marker: Marker,
    key: Key,
) -> list[Signed]:
    """Pictures that `key` marked, signed, to be recorded under these ids; raises Untrusted."""
    now = datetime.now(UTC).replace(microsecond=0)
    signed = [
        _sign(picture, id, signer, marker, key, now)
        for picture, id in zip(pictures, ids, strict=True)
    ]
    for one in signed:
        _check_trusted(one.file, trust)
    return signed


def record(session: Session, signed: Sequence[Signed]) -> list[Entry]:
    """The entries and fingerprints of signed pictures, once the caller's transaction commits."""
    entries = append(session, [one.draft for one in signed])
    for one, entry in zip(signed, entries, strict=True):
        fingerprint.store(session, entry.index, one.fingerprint)
    return entries


def _check_trusted(file: bytes, trust: Trust) -> None:
    found = read(file, trust, now=datetime.now(UTC))
    if found.state is not State.TRUSTED:
        raise Untrusted(f"the manifest just signed reads as {found.state}: {found.detail}")


def algorithm(scheme: str) -> str:
    """The soft binding's name of a mark's scheme: lexical/1 is countermark.lexical.1."""
    return f"countermark.{scheme.replace('/', '.')}"


def _sign(
    marked: Marked, id: str, signer: Signer, marker: Marker, key: Key, now: datetime
) -> Signed:
    weights, scheme = marker.spec.transformer.digest, marker.scheme(marked.mark).name
    software = version("countermark")
    model = Model(marker.name, software, weights)
    binding = Binding(algorithm(scheme), key.key_id.encode())
    claim = Claim(manifest=uuid4(), when=now, model=model, mark=binding)
    file = sign(marked.png, claim, signer).file
    pixels = read_image(file, name="the picture just signed")
    looks = fingerprint.fingerprint(pixels)
    wish = marked.drawn.request.prompt.encode()
    prompt = Opening("prompt", secrets.token_bytes(SALT_BYTES), wish)
    made = Picture(
        at=now,
        id=id,
        software=f"countermark {software}",
        generator=marker.name,
        weights=Digest(weights),
        mark=ledger.Mark(scheme, key.key_id),
        policy=POLICY,
        erased=(),
        pixels=Digest(pixel_digest(pixels)),
        file=Digest(sha256(file).digest()),
        fingerprint=format_fingerprint(looks),
        manifest=claim.label,
        commitments=(commit(prompt),),
    )
    return Signed(marked, file, Draft(made, (prompt,)), made, looks)
