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

from provenance import fingerprint
from provenance.database import snapshot, transaction
from provenance.errors import ProvenanceError
from provenance.fingerprint import Fingerprint, format_fingerprint
from provenance.image import pixel_digest, read_image
from provenance.ledger import record as ledger
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.log import Draft, append, prove
from provenance.ledger.policy import Policy, format_policy
from provenance.ledger.proof import format_proof
from provenance.ledger.record import SALT_BYTES, Digest, Opening, Picture, commit
from provenance.manifest.claim import Claim, Model
from provenance.manifest.finding import Binding, State
from provenance.manifest.read import Trust, read
from provenance.manifest.write import Signer, sign
from provenance.pki import find_test
from provenance.watermark.keys import Key
from workers.folder import DataFolder
from workers.generate import Marked
from workers.marking import Marker
from workers.policy import OtherPolicy

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
class _Signed:
    """A signed file that is not recorded yet."""

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

    Raises Untrusted if verifying with this trust would not believe what was signed, and OtherPolicy
    for a picture without the labels that the folder's policy asks for.
    """
    if any(picture.labels != folder.labels for picture in pictures):
        raise OtherPolicy("a picture does not have the labels that the policy of its folder says")
    now = datetime.now(UTC).replace(microsecond=0)
    signed = [_sign(picture, signer, marker, key, now) for picture in pictures]
    for one in signed:
        _check_trusted(one.file, trust)
    with transaction(folder.engine) as session:
        entries = append(session, [one.draft for one in signed])
        for one, entry in zip(signed, entries, strict=True):
            fingerprint.store(session, entry.index, one.fingerprint)
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


def _check_trusted(file: bytes, trust: Trust) -> None:
    found = read(file, trust, now=datetime.now(UTC))
    if found.state is not State.TRUSTED:
        raise Untrusted(f"the manifest just signed reads as {found.state}: {found.detail}")


def algorithm(scheme: str) -> str:
    """The soft binding's name of a mark's scheme: lexical/1 is countermark.lexical.1."""
    return f"countermark.{scheme.replace('/', '.')}"


def _sign(marked: Marked, signer: Signer, marker: Marker, key: Key, now: datetime) -> _Signed:
    weights, scheme = marker.spec.transformer.digest, marker.scheme(marked.mark).name
    software = version("countermark")
    model = Model(marker.name, software, weights)
    binding = Binding(algorithm(scheme), key.key_id.encode())
    claim = Claim(manifest=uuid4(), when=now, model=model, mark=binding)
    number, labels = str(uuid4()), marked.labels
    test = find_test(signer.chain) is not None
    policy = Policy(POLICY, test=test, producer=labels.producer, label=labels.text)
    file = sign(labels.write(marked.png, number), claim, signer).file
    pixels = read_image(file, name="the picture just signed")
    looks = fingerprint.fingerprint(pixels)
    wish = marked.drawn.request.prompt.encode()
    prompt = Opening("prompt", secrets.token_bytes(SALT_BYTES), wish)
    record = Picture(
        at=now,
        id=number,
        software=f"countermark {software}",
        generator=marker.name,
        weights=Digest(weights),
        mark=ledger.Mark(scheme, key.key_id),
        policy=format_policy(policy),
        erased=(),
        pixels=Digest(pixel_digest(pixels)),
        file=Digest(sha256(file).digest()),
        fingerprint=format_fingerprint(looks),
        manifest=claim.label,
        commitments=(commit(prompt),),
    )
    return _Signed(marked, file, Draft(record, (prompt,)), record, looks)
