"""Everything that can be looked up about one file, and the verdict it comes to.

The record is looked for by the digests of the file and of its pixels, the manifest is read by two
readers, the mark with its number and the fingerprint are searched in the pixels, and every entry
that one of them points to is checked for a revocation, and for whether it was only marked here.
The checks' own findings are put into the verdict's words; `provenance.verdict` decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy.orm import Session

from provenance import fingerprint, pictures
from provenance.database import snapshot
from provenance.fingerprint import Fingerprint, FingerprintIndex
from provenance.forensics.answer import Answer
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
    ClassifierState,
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
from workers.classifying import classifier_finding
from workers.folder import DataFolder, load_trust
from workers.marking import UPLOADS
from workers.softbinding import find_marked, shown

MANIFEST_VERSION, RECORD_VERSION, MARK_VERSION = "c2pa-2.4/1", "digest/1", "mark/2"


@dataclass(frozen=True)
class Records:
    """One state of the log, and its fingerprints, as far as whoever asks may be told of them."""

    session: Session
    index: FingerprintIndex
    tenant: str | None = None  # who asks, and is told of no other's entries; None: the operator

    def find(self, name: str, value: bytes) -> list[int]:
        """The entries under this name and value that may be told of."""
        return self.visible(find_entries(self.session, name, value))

    def visible(self, entries: Sequence[int]) -> list[int]:
        """Those of the entries that may be told of."""
        if self.tenant is None:
            return list(entries)
        return pictures.visible(self.session, entries, self.tenant)


@dataclass(frozen=True)
class Library:
    """What files are compared with: the log, and trusted signers."""

    records: Records
    trust: Trust
    claim_keys: frozenset[bytes]
    lost_claim_keys: frozenset[bytes]  # that others may have had


@dataclass(frozen=True)
class Numbered:
    """A number that a mark carries, and under which mark."""

    mark: ledger.Mark
    number: int


@dataclass(frozen=True)
class Seen:
    """What a file shows by itself, before anything is looked up."""

    file: bytes  # SHA-256
    pixels: bytes  # see pixel_digest
    looks: Fingerprint
    manifest: Finding[ManifestState]
    label: str | None  # of the manifest, if it is to be looked up
    mark: Finding[MarkState]
    number: Numbered | None  # what the mark carries, if it is to be looked up
    classifier: Finding[ClassifierState] | None = None


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
        yield Library(Records(session, index), trust, ours, lost)


def examine(
    library: Library,
    data: bytes,
    pixels: Pixels,
    mark: marks.Finding,
    answer: Answer | None = None,
) -> Findings:
    """All findings about a file, given its pixels (3, H, W) and what was found in them."""
    reading = read(data, library.trust, now=datetime.now(UTC))
    keys = library.claim_keys, library.lost_claim_keys
    return look_up(library.records, look(data, pixels, mark, reading, *keys, answer))


def look(
    data: bytes,
    pixels: Pixels,
    mark: marks.Finding,
    reading: manifests.Finding,
    ours: frozenset[bytes],
    lost: frozenset[bytes],
    answer: Answer | None = None,
) -> Seen:
    """What a file shows, given what was found in its pixels and read in its manifest.

    `ours` and `lost` are claim keys; `answer` is the classifier's.
    """
    manifest, label = manifest_finding(reading, ours, lost)
    return Seen(
        sha256(data).digest(),
        pixel_digest(pixels),
        fingerprint.fingerprint(pixels),
        manifest,
        label,
        *mark_finding(mark),
        None if answer is None else classifier_finding(answer),
    )


def look_up(records: Records, seen: Seen) -> Findings:
    """All findings about a file, given what it shows by itself."""
    record = record_finding(records, seen)
    manifest = seen.manifest
    if seen.label is not None:
        entries = tuple(records.find("manifest", seen.label.encode()))
        manifest = Finding(manifest.state, manifest.check, entries)
    looks = fingerprint_finding(records, seen.looks)
    marked = numbered_finding(records, seen)
    named = sorted({*record.entries, *manifest.entries, *looks.entries, *marked.entries})
    return Findings(
        record=record,
        manifest=manifest,
        mark=marked,
        fingerprint=looks,
        revocation=revocation_finding(records, named),
        origin=origin_finding(records, named),
        classifier=seen.classifier,
    )


def record_finding(records: Records, seen: Seen) -> Finding[RecordState]:
    """Whether the log has this file, or its pixels."""
    for state, name, digest in (
        (RecordState.FILE, "file", seen.file),
        (RecordState.PIXELS, "pixels", seen.pixels),
    ):
        if entries := records.find(name, digest):
            caveat = "whether what the record says is true"
            return Finding(state, _lookup(len(entries), caveat), tuple(entries))
    size = log_size(records.session)
    searched = f"not among the {size} entries of this log; one bit is enough to miss"
    return Finding(RecordState.NONE, _lookup(0, searched))


def manifest_finding(
    found: manifests.Finding, ours: frozenset[bytes], lost: frozenset[bytes]
) -> tuple[Finding[ManifestState], str | None]:
    """What the two readers come to, whose manifest it is, and its label if that tells an entry."""
    state = manifest_state(found, ours, lost)
    label = None
    if state in (ManifestState.OURS, ManifestState.UNBOUND) and found.statement is not None:
        label = found.statement.label
    agree = int(found.state is not manifests.State.DISPUTED)
    caveat = found.caveat
    if found.statement is not None and names_test(found.statement.signer):
        caveat = f"signed with a certificate of a test, {TEST_ORGANIZATION}: {caveat}"
    check = Check(MANIFEST_VERSION, "readers that agree", number(1 + agree), None, caveat)
    return Finding(state, check), label


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


def mark_finding(found: marks.Finding) -> tuple[Finding[MarkState], Numbered | None]:
    """The search's outcome with its corrected p, and the number in the mark, to be looked up.

    Under a lost key it is neither for nor against.
    """
    state, carried, caveat = _mark_state(found), None, found.caveat
    match = found.match
    if match is not None and match.key_state is KeyState.COMPROMISED:
        caveat = f"fits key {match.key_id}, which others may have: anyone can have marked it"
    elif match is not None and match.number is not None:
        carried = Numbered(ledger.Mark(match.scheme, match.key_id), match.number)
    quantity = f"corrected p, {found.test} test, {found.family.size} trials"
    p, threshold = number(found.corrected), number(found.threshold)
    return Finding(state, Check(MARK_VERSION, quantity, p, threshold, caveat)), carried


def numbered_finding(records: Records, seen: Seen) -> Finding[MarkState]:
    """What was found of a mark, with the entry that a number in it names."""
    if seen.number is None:
        return seen.mark
    found = find_marked(records.session, seen.number.mark, seen.number.number)
    entries = tuple(records.visible([] if found is None else [found]))
    where = f"that of entry {entries[0]}" if entries else "which this log does not have"
    caveat = f"has record number {shown(seen.number.number)}, {where}; {seen.mark.check.caveat}"
    return Finding(seen.mark.state, replace(seen.mark.check, caveat=caveat), entries)


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


def fingerprint_finding(records: Records, looks: Fingerprint) -> Finding[FingerprintState]:
    """The recorded pictures that look alike."""
    found = _told(records, records.index.search(looks))
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


def _told(records: Records, found: fingerprint.Finding) -> fingerprint.Finding:
    """What a search found, without the matches that may not be told of."""
    told = set(records.visible([match.entry for match in found.matches]))
    matches = tuple(match for match in found.matches if match.entry in told)
    if len(matches) == len(found.matches):
        return found
    outcome = found.outcome if matches else fingerprint.Outcome.NONE
    return replace(found, outcome=outcome, matches=matches, within=len(matches))


def revocation_finding(records: Records, named: Sequence[int]) -> Finding[RevocationState]:
    """Which of the entries that were pointed to are revoked."""
    revoked = tuple(
        index
        for index in named
        if any(isinstance(one, Revocation) for one in find_statements(records.session, index))
    )
    state = RevocationState.REVOKED if revoked else RevocationState.STANDS
    caveat = f"as of {log_size(records.session)} entries; a later entry may revoke"
    check = Check(RECORD_VERSION, "revoked entries", number(len(revoked)), None, caveat)
    return Finding(state, check, revoked)


def origin_finding(records: Records, named: Sequence[int]) -> Finding[OriginState]:
    """Which of the entries that were pointed to are of pictures that were only marked here."""
    brought = tuple(
        index for index in named if isinstance(read_record(records.session, index), Marking)
    )
    state = OriginState.ON_REQUEST if brought else OriginState.MADE
    caveat = "an upload's record says nothing of how the picture was made"
    check = Check(RECORD_VERSION, "entries of uploads", number(len(brought)), None, caveat)
    return Finding(state, check, brought)


def _lookup(entries: int, caveat: str) -> Check:
    return Check(RECORD_VERSION, "entries with this digest", number(entries), None, caveat)
