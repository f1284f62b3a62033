"""Everything that can be looked up about one file, and the verdict it comes to.

The record is looked for by the digests of the file and of its pixels, the manifest is read by two
readers, the mark with its number and the fingerprint are searched in the pixels, and every entry
that one of them points to is checked for a revocation, and for whether it was only marked here.
The checks' own findings are put into the verdict's words; `provenance.verdict` decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy.orm import Session

from provenance import fingerprint
from provenance.database import snapshot
from provenance.fingerprint import FingerprintIndex
from provenance.image import Pixels, pixel_digest
from provenance.keys import KeyState, Purpose
from provenance.ledger import record as ledger
from provenance.ledger.log import find_entries, find_statements, log_size, read_record
from provenance.ledger.record import Marking, Revocation
from provenance.manifest import finding as manifests
from provenance.manifest.read import Trust, read
from provenance.pki import TEST_ORGANIZATION, names_test
from provenance.verdict.finding import (
    Check,
    Finding,
    Findings,
    FingerprintState,
    ManifestState,
    MarkState,
    OriginState,
    RecordState,
    RevocationState,
    number,
)
from provenance.watermark import detect as marks
from workers.folder import DataFolder, load_trust
from workers.marking import UPLOADS
from workers.softbinding import find_marked, shown

MANIFEST_VERSION, RECORD_VERSION, MARK_VERSION = "c2pa-2.4/1", "digest/1", "mark/2"


@dataclass(frozen=True)
class Library:
    """What files are compared with: one state of the log, its fingerprints, trusted signers."""

    session: Session
    index: FingerprintIndex
    trust: Trust
    claim_keys: frozenset[bytes]
    lost_claim_keys: frozenset[bytes]  # that others may have had


@contextmanager
def open_library(folder: DataFolder) -> Iterator[Library]:
    """The folder's log as it is now; every file examined meanwhile sees the same."""
    trust = load_trust(folder, now=datetime.now(UTC))
    ours = frozenset(key.material for key in folder.keyring.checking(Purpose.CLAIM))
    lost = frozenset(
        key.material
        for key in folder.keyring.keys
        if key.purpose is Purpose.CLAIM and key.state is KeyState.COMPROMISED
    )
    with snapshot(folder.engine) as session:
        index = FingerprintIndex()
        index.load(session)
        yield Library(session, index, trust, ours, lost)


def examine(library: Library, data: bytes, pixels: Pixels, mark: marks.Finding) -> Findings:
    """All findings about a file, given its pixels (3, H, W) and what the search for marks found."""
    record = record_finding(library, data, pixels)
    manifest = manifest_finding(library, data)
    looks = fingerprint_finding(library, pixels)
    marked = mark_finding(library, mark)
    named = sorted({*record.entries, *manifest.entries, *looks.entries, *marked.entries})
    return Findings(
        record=record,
        manifest=manifest,
        mark=marked,
        fingerprint=looks,
        revocation=revocation_finding(library, named),
        origin=origin_finding(library, named),
    )


def record_finding(library: Library, data: bytes, pixels: Pixels) -> Finding[RecordState]:
    """Whether the log has this file, or its pixels."""
    session = library.session
    for state, name, digest in (
        (RecordState.FILE, "file", sha256(data).digest()),
        (RecordState.PIXELS, "pixels", pixel_digest(pixels)),
    ):
        if entries := find_entries(session, name, digest):
            caveat = "whether what the record says is true"
            return Finding(state, _lookup(len(entries), caveat), tuple(entries))
    searched = f"not among the {log_size(session)} entries of this log; one bit is enough to miss"
    return Finding(RecordState.NONE, _lookup(0, searched))


def manifest_finding(library: Library, data: bytes) -> Finding[ManifestState]:
    """What the two readers come to, and whose manifest it is."""
    found = read(data, library.trust, now=datetime.now(UTC))
    state = manifest_state(found, library.claim_keys, library.lost_claim_keys)
    entries: Sequence[int] = ()
    if state in (ManifestState.OURS, ManifestState.UNBOUND) and found.statement is not None:
        entries = find_entries(library.session, "manifest", found.statement.label.encode())
    agree = int(found.state is not manifests.State.DISPUTED)
    caveat = found.caveat
    if found.statement is not None and names_test(found.statement.signer):
        caveat = f"signed with a certificate of a test, {TEST_ORGANIZATION}: {caveat}"
    check = Check(MANIFEST_VERSION, "readers that agree", number(1 + agree), None, caveat)
    return Finding(state, check, tuple(entries))


def manifest_state(
    found: manifests.Finding, ours: frozenset[bytes], lost: frozenset[bytes]
) -> ManifestState:
    """The verdict's word for a reading; a signer is ours if its key is one of our claim keys.

    Whoever has a lost key can make what is signed with it, so that counts as signed by anyone.
    """
    key = None if found.statement is None else found.statement.key
    own = key in ours
    match found.state:
        case manifests.State.ABSENT:
            return ManifestState.ABSENT
        case manifests.State.TRUSTED if key in lost:
            return ManifestState.UNTRUSTED
        case manifests.State.TRUSTED:
            return ManifestState.OURS if own else ManifestState.FOREIGN
        case manifests.State.UNBOUND:
            return ManifestState.UNBOUND if own else ManifestState.INVALID
        case manifests.State.UNTRUSTED | manifests.State.UNCONFIRMED:
            return ManifestState.UNTRUSTED
        case manifests.State.DISPUTED:
            return ManifestState.DISAGREEMENT
        case manifests.State.INVALID:
            return ManifestState.INVALID


def mark_finding(library: Library, found: marks.Finding) -> Finding[MarkState]:
    """The search's outcome with its corrected p, and the entry that a number in the mark names.

    Under a lost key it is neither for nor against.
    """
    state, entries, caveat = _mark_state(found), tuple[int, ...](), found.caveat
    match = found.match
    if match is not None and match.key_state is KeyState.COMPROMISED:
        caveat = f"fits key {match.key_id}, which others may have: anyone can have marked it"
    elif match is not None and match.number is not None:
        mark = ledger.Mark(match.scheme, match.key_id)
        entry = find_marked(library.session, mark, match.number)
        entries = () if entry is None else (entry,)
        where = "which this log does not have" if entry is None else f"that of entry {entry}"
        caveat = f"has record number {shown(match.number)}, {where}; {caveat}"
    quantity = f"corrected p, {found.test} test, {found.family.size} trials"
    p, threshold = number(found.corrected), number(found.threshold)
    return Finding(state, Check(MARK_VERSION, quantity, p, threshold, caveat), entries)


def _mark_state(found: marks.Finding) -> MarkState:
    match found.outcome:
        case marks.Outcome.NOT_DETECTED:
            return MarkState.NOT_DETECTED
        case marks.Outcome.INCONCLUSIVE:
            return MarkState.INCONCLUSIVE
        case marks.Outcome.DETECTED:
            assert found.match is not None, "what is detected is matched"
            if found.match.key_state is KeyState.COMPROMISED:
                return MarkState.INCONCLUSIVE
            upload = found.match.scheme == UPLOADS
            return MarkState.UPLOAD if upload else MarkState.DETECTED


def fingerprint_finding(library: Library, pixels: Pixels) -> Finding[FingerprintState]:
    """The recorded pictures that look alike."""
    found = library.index.search(fingerprint.fingerprint(pixels))
    state = {
        fingerprint.Outcome.MATCH: FingerprintState.MATCH,
        fingerprint.Outcome.NONE: FingerprintState.NONE,
        fingerprint.Outcome.INCONCLUSIVE: FingerprintState.INCONCLUSIVE,
    }[found.outcome]
    if found.matches:
        quantity, value = "bits of 256 that differ", found.matches[0].distance
        threshold = number(found.threshold)
    else:
        quantity, value = f"matches within {found.threshold} bits of 256", 0
        threshold = None
    caveat = f"{found.caveat}; how sure the threshold is: {found.basis}"
    check = Check(fingerprint.VERSION, quantity, number(value), threshold, caveat)
    return Finding(state, check, tuple(sorted(match.entry for match in found.matches)))


def revocation_finding(library: Library, named: Sequence[int]) -> Finding[RevocationState]:
    """Which of the entries that were pointed to are revoked."""
    revoked = tuple(
        index
        for index in named
        if any(isinstance(one, Revocation) for one in find_statements(library.session, index))
    )
    state = RevocationState.REVOKED if revoked else RevocationState.STANDS
    caveat = f"as of {log_size(library.session)} entries; a later entry may revoke"
    check = Check(RECORD_VERSION, "revoked entries", number(len(revoked)), None, caveat)
    return Finding(state, check, revoked)


def origin_finding(library: Library, named: Sequence[int]) -> Finding[OriginState]:
    """Which of the entries that were pointed to are of pictures that were only marked here."""
    brought = tuple(
        index for index in named if isinstance(read_record(library.session, index), Marking)
    )
    state = OriginState.ON_REQUEST if brought else OriginState.MADE
    caveat = "an upload's record says nothing of how the picture was made"
    check = Check(RECORD_VERSION, "entries of uploads", number(len(brought)), None, caveat)
    return Finding(state, check, brought)


def _lookup(entries: int, caveat: str) -> Check:
    return Check(RECORD_VERSION, "entries with this digest", number(entries), None, caveat)
