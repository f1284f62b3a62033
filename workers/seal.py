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
from typing import Generic, Protocol, TypeVar
from uuid import uuid4

from sqlalchemy.orm import Session

from provenance import fingerprint
from provenance.database import snapshot, transaction
from provenance.errors import ProvenanceError
from provenance.fingerprint import Fingerprint, format_fingerprint
from provenance.image import Pixels, pixel_digest, read_image
from provenance.ledger import record as ledger
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.log import Draft, Entry, append, prove
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
from workers.erasing import Erased
from workers.folder import DataFolder
from workers.generate import Marked
from workers.mark import MarkedUpload
from workers.marking import Marker
from workers.policy import Labels, OtherPolicy
from workers.softbinding import bind_looks, bind_mark

POLICY = "marked/1"  # every picture carries a mark


class Untrusted(ProvenanceError):
    """The signer's certificate does not lead to the authority that verifying trusts."""


class Changed(ProvenanceError):
    """Signing a file changed what it shows, so the mark that was read back is not that of it."""


class Brought(Protocol):
    """A picture that was brought to be marked, as it is signed."""

    @property
    def file(self) -> bytes: ...

    @property
    def list_index(self) -> int: ...

    @property
    def number(self) -> int | None: ...


M = TypeVar("M")
U = TypeVar("U", bound=Brought)


@dataclass(frozen=True)
class Sealed(Generic[M]):
    """A picture ready to be given out: its signed file, its record, and where the log has it."""

    marked: M
    file: bytes
    record: GivenOut
    index: int
    proof: bytes  # a .tlog-proof file against the checkpoint that covers the record


@dataclass(frozen=True)
class Signed(Generic[M]):
    """A signed file that is not recorded yet, and so must not be given out."""

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
    erased: Erased,
) -> list[Sealed[Marked]]:
    """Sign and record pictures that `key` marked; all of them or none.

    Raises Untrusted if verifying with this trust would not believe what was signed, and OtherPolicy
    for a picture without the labels that the folder's policy asks for.
    """
    ids = [str(uuid4()) for _ in pictures]
    signed = sign_pictures(
        signer,
        pictures,
        ids,
        labels=folder.labels,
        trust=trust,
        marker=marker,
        key=key,
        erased=erased,
    )
    return _record(folder, signed)


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
    id, digest = str(uuid4()), sha256(original).digest()
    signed = sign_upload(signer, upload, id, original=digest, parent=parent, marker=marker, key=key)
    check_trusted(signed.file, trust)
    return _record(folder, [signed])[0]


def _record(folder: DataFolder, signed: Sequence[Signed[M]]) -> list[Sealed[M]]:
    """Append, cover by a checkpoint, prove: in this order."""
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
    labels: Labels,
    trust: Trust,
    marker: Marker,
    key: Key,
    erased: Erased,
) -> list[Signed[Marked]]:
    """Pictures that `key` marked, signed, to be recorded under these ids.

    Raises OtherPolicy for a picture without the labels that the policy says, and Untrusted.
    """
    if any(picture.labels != labels for picture in pictures):
        raise OtherPolicy("a picture does not have the labels that the policy of its folder says")
    now = datetime.now(UTC).replace(microsecond=0)
    signed = [
        _sign(picture, id, signer, marker, key, erased, now)
        for picture, id in zip(pictures, ids, strict=True)
    ]
    for one in signed:
        check_trusted(one.file, trust)
    return signed


def record(session: Session, signed: Sequence[Signed[M]]) -> list[Entry]:
    """The entries and fingerprints of signed pictures, once the caller's transaction commits."""
    entries = append(session, [Draft(one.record, (one.opening,)) for one in signed])
    for one, entry in zip(signed, entries, strict=True):
        fingerprint.store(session, entry.index, one.fingerprint)
    return entries


def check_trusted(file: bytes, trust: Trust) -> None:
    """Raise Untrusted unless verifying with this trust believes what was just signed."""
    found = read(file, trust, now=datetime.now(UTC))
    if found.state is not State.TRUSTED:
        raise Untrusted(f"the manifest just signed reads as {found.state}: {found.detail}")


def _policy(labels: Labels, erased: Erased, *, test: bool) -> Policy:
    """What a record says was done besides drawing."""
    return Policy(
        POLICY,
        test=test,
        concepts=erased.digest.hex() if erased.names else None,
        deltas=tuple(one.hex() for one in erased.deltas),
        producer=labels.producer,
        label=labels.text,
    )


def _sign(
    marked: Marked,
    id: str,
    signer: Signer,
    marker: Marker,
    key: Key,
    erased: Erased,
    now: datetime,
) -> Signed[Marked]:
    assert marked.finding.match is not None, "a mark that is not found is not given out"
    mark = ledger.Mark(marker.scheme(marked.mark).name, key.key_id)
    labels = marked.labels
    test = find_test(signer.chain) is not None
    policy = _policy(labels, erased, test=test)
    labelled = labels.write(marked.file, id)
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
    _check_shows(file, read_image(marked.file, name="the picture just drawn"))
    opening = _opening("prompt", marked.drawn.request.prompt.encode())
    made = Picture(
        at=now,
        id=id,
        software=f"countermark {software}",
        generator=marker.name,
        weights=Digest(weights),
        mark=mark,
        policy=format_policy(policy),
        erased=erased.names,
        pixels=Digest(pixel_digest(pixels)),
        file=Digest(sha256(file).digest()),
        fingerprint=format_fingerprint(looks),
        manifest=claim.label,
        commitments=(commit(opening),),
    )
    return Signed(marked, file, made, opening, looks)


def sign_upload(
    signer: Signer,
    upload: U,
    id: str,
    *,
    original: bytes,
    parent: Parent,
    marker: Marker,
    key: Key,
) -> Signed[U]:
    """An upload that `key` marked, signed, to be recorded under this id and read back before.

    `original` is the SHA-256 of the file that was brought.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    mark = ledger.Mark(marker.posthoc.scheme.name, key.key_id)
    pixels = read_image(upload.file, name="the picture just marked")
    looks = fingerprint.fingerprint(pixels)
    numbered = upload.number is not None  # which binds to this picture alone
    claim = Claim(
        manifest=uuid4(),
        when=now,
        model=None,
        mark=bind_mark(mark, upload.list_index, upload.number),
        looks=None if numbered else bind_looks(looks),
    )
    file = sign(upload.file, claim, signer, parent=parent).file
    _check_shows(file, pixels)
    opening = _opening("original", original)
    made = Marking(
        at=now,
        id=id,
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
    return Signed(upload, file, made, opening, looks)


def _check_shows(file: bytes, marked: Pixels) -> None:
    """Raise Changed unless a signed file shows exactly the pixels that the mark was read from."""
    if pixel_digest(read_image(file, name="the picture just signed")) != pixel_digest(marked):
        raise Changed("the signed file does not show the picture that the mark was read from")


def _opening(field: str, value: bytes) -> Opening:
    return Opening(field, secrets.token_bytes(SALT_BYTES), value)
