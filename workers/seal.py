"""Sign what is given out and record it: a picture leaves with its record, or not at all.

The order is the promise. The manifest is signed into the file and read back; then record and
fingerprint are committed in one transaction; then a checkpoint covers them; only then are the bytes
handed out. A crash in between leaves a record of a picture that nobody got, never a picture without
a record.

A drawing's manifest and record say what drew it. Those of a picture that was brought to be marked
say that, and nothing of how it was made: its own manifest is kept, and of the file that was brought
the record has a salted commitment alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from typing import Generic, TypeVar
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
from provenance.ledger.record import (
    SALT_BYTES,
    Digest,
    GivenOut,
    Marking,
    MarkNumber,
    Opening,
    Picture,
    commit,
)
from provenance.manifest.claim import Claim, Model
from provenance.manifest.finding import State
from provenance.manifest.parent import Parent
from provenance.manifest.read import Trust, read
from provenance.manifest.write import Signer, sign
from provenance.pki import find_test
from provenance.watermark.keys import Key
from workers.folder import DataFolder
from workers.generate import Marked
from workers.mark import MarkedUpload
from workers.marking import Marker
from workers.policy import OtherPolicy
from workers.softbinding import bind_looks, bind_mark

POLICY = "marked/1"  # every picture carries a mark; no concept is erased


class Untrusted(ProvenanceError):
    """The signer's certificate does not lead to the authority that verifying trusts."""


M = TypeVar("M", Marked, MarkedUpload)


@dataclass(frozen=True)
class Sealed(Generic[M]):
    """A picture ready to be given out: its signed file, its record, and where the log has it."""

    marked: M
    file: bytes
    record: GivenOut
    index: int
    proof: bytes  # a .tlog-proof file against the checkpoint that covers the record


@dataclass(frozen=True)
class _Signed(Generic[M]):
    """A signed file that is not recorded yet."""

    marked: M
    file: bytes
    record: GivenOut
    opening: Opening
    fingerprint: Fingerprint


def seal(
    folder: DataFolder,
    signer: Signer,
    pictures: Sequence[Marked],
    *,
    trust: Trust,
    marker: Marker,
    key: Key,
) -> list[Sealed[Marked]]:
    """Sign and record pictures that `key` marked; all of them or none.

    Raises Untrusted if verifying with this trust would not believe what was signed, and OtherPolicy
    for a picture without the labels that the folder's policy asks for.
    """
    if any(picture.labels != folder.labels for picture in pictures):
        raise OtherPolicy("a picture does not have the labels that the policy of its folder says")
    now = datetime.now(UTC).replace(microsecond=0)
    signed = [_sign(picture, signer, marker, key, now) for picture in pictures]
    return _record(folder, signed, trust)


def seal_upload(
    folder: DataFolder,
    signer: Signer,
    upload: MarkedUpload,
    *,
    original: bytes,
    parent: Parent,
    trust: Trust,
    marker: Marker,
    key: Key,
) -> Sealed[MarkedUpload]:
    """Sign and record a picture that was brought as `original`, and that `key` marked.

    Raises Untrusted as `seal` does, and Duplicate if another record took its number meanwhile.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    signed = _sign_upload(upload, signer, marker, key, now, original=original, parent=parent)
    return _record(folder, [signed], trust)[0]


def _record(folder: DataFolder, signed: Sequence[_Signed[M]], trust: Trust) -> list[Sealed[M]]:
    """Read back, append, cover by a checkpoint, prove: in this order."""
    for one in signed:
        _check_trusted(one.file, trust)
    with transaction(folder.engine) as session:
        entries = append(session, [Draft(one.record, (one.opening,)) for one in signed])
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


def _sign(
    marked: Marked, signer: Signer, marker: Marker, key: Key, now: datetime
) -> _Signed[Marked]:
    assert marked.finding.match is not None, "a mark that is not found is not given out"
    mark = ledger.Mark(marker.scheme(marked.mark).name, key.key_id)
    number, labels = str(uuid4()), marked.labels
    test = find_test(signer.chain) is not None
    policy = Policy(POLICY, test=test, producer=labels.producer, label=labels.text)
    labelled = labels.write(marked.png, number)
    pixels = read_image(labelled, name="the picture just drawn")
    looks = fingerprint.fingerprint(pixels)
    weights, software = marker.spec.transformer.digest, version("countermark")
    claim = Claim(
        manifest=uuid4(),
        when=now,
        model=Model(marker.name, software, weights),
        mark=bind_mark(mark, marked.finding.match.list_index, None),
        looks=bind_looks(looks),
    )
    file = sign(labelled, claim, signer).file
    opening = _opening("prompt", marked.drawn.request.prompt.encode())
    record = Picture(
        at=now,
        id=number,
        software=f"countermark {software}",
        generator=marker.name,
        weights=Digest(weights),
        mark=mark,
        policy=format_policy(policy),
        erased=(),
        pixels=Digest(pixel_digest(pixels)),
        file=Digest(sha256(file).digest()),
        fingerprint=format_fingerprint(looks),
        manifest=claim.label,
        commitments=(commit(opening),),
    )
    return _Signed(marked, file, record, opening, looks)


def _sign_upload(
    upload: MarkedUpload,
    signer: Signer,
    marker: Marker,
    key: Key,
    now: datetime,
    *,
    original: bytes,
    parent: Parent,
) -> _Signed[MarkedUpload]:
    mark = ledger.Mark(marker.posthoc.scheme.name, key.key_id)
    pixels = read_image(upload.png, name="the picture just marked")
    looks = fingerprint.fingerprint(pixels)
    numbered = upload.number is not None  # which binds to this picture alone
    claim = Claim(
        manifest=uuid4(),
        when=now,
        model=None,
        mark=bind_mark(mark, upload.list_index, upload.number),
        looks=None if numbered else bind_looks(looks),
    )
    file = sign(upload.png, claim, signer, parent=parent).file
    opening = _opening("original", sha256(original).digest())
    record = Marking(
        at=now,
        id=str(uuid4()),
        software=f"countermark {version('countermark')}",
        codec=marker.name,
        weights=Digest(marker.spec.codec.digest),
        mark=mark,
        number=None if upload.number is None else MarkNumber(upload.number),
        pixels=Digest(pixel_digest(pixels)),
        file=Digest(sha256(file).digest()),
        fingerprint=format_fingerprint(looks),
        manifest=claim.label,
        commitments=(commit(opening),),
    )
    return _Signed(upload, file, record, opening, looks)


def _opening(field: str, value: bytes) -> Opening:
    return Opening(field, secrets.token_bytes(SALT_BYTES), value)
