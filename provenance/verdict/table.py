"""The verdict: what all findings prove together, by one table.

Exactly one row fits every case. The classifier is no column of it. No evidence is "no evidence",
never "real"; a mark alone is unconfirmed, since a stolen list forges it; a fingerprint alone is a
likeness; a manifest counts only if it is trusted. What was brought here to be marked is never "made
here": it has outcomes of its own, by the same rows. Where findings contradict each other, the
contradiction has a name. docs/verdict.md shows the same table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

from provenance.verdict.finding import (
    Findings,
    FingerprintState,
    ManifestState,
    MarkState,
    OriginState,
    RecordState,
    RevocationState,
)

VERSION = "verdict/2"  # changes when any case is decided otherwise


class Outcome(StrEnum):
    INTACT = "intact"
    REVOKED = "revoked"
    STRIPPED = "stripped"
    EDITED = "edited after signing"
    UPLOAD_INTACT = "marked on request, intact"
    UPLOAD_REVOKED = "marked on request, revoked"
    UPLOAD_STRIPPED = "marked on request, stripped"
    UPLOAD_EDITED = "marked on request, edited after signing"
    MANIFEST_SUBSTITUTED = "manifest substituted"
    MARK_TRANSPLANTED = "mark transplanted"
    UNRECORDED = "signed but not recorded"
    READERS_DISAGREE = "readers disagree"
    MARKED = "marked, origin unconfirmed"
    SIMILAR = "similar, origin unconfirmed"
    SIGNED_ELSEWHERE = "signed elsewhere"
    NO_EVIDENCE = "no evidence"


ON_REQUEST = {  # what is said of an upload where of a drawing "made here" is
    Outcome.INTACT: Outcome.UPLOAD_INTACT,
    Outcome.REVOKED: Outcome.UPLOAD_REVOKED,
    Outcome.STRIPPED: Outcome.UPLOAD_STRIPPED,
    Outcome.EDITED: Outcome.UPLOAD_EDITED,
}
MADE_HERE = frozenset(ON_REQUEST)
MARKED_HERE = frozenset(ON_REQUEST.values())


class Apart(StrEnum):
    """Which findings name another picture than the one that the pixels themselves point to."""

    NONE = "none apart"
    MANIFEST = "manifest apart"
    MARK = "mark apart"
    BOTH = "both apart"


@dataclass(frozen=True)
class Case:
    """The findings as the table sees them."""

    record: RecordState
    manifest: ManifestState
    mark: MarkState
    fingerprint: FingerprintState
    apart: Apart
    revocation: RevocationState
    origin: OriginState


@dataclass(frozen=True)
class Row:
    """An outcome and the states it takes, any of each column; a column left out takes all."""

    outcome: Outcome
    record: tuple[RecordState, ...] = tuple(RecordState)
    manifest: tuple[ManifestState, ...] = tuple(ManifestState)
    mark: tuple[MarkState, ...] = tuple(MarkState)
    fingerprint: tuple[FingerprintState, ...] = tuple(FingerprintState)
    apart: tuple[Apart, ...] = tuple(Apart)
    revocation: tuple[RevocationState, ...] = tuple(RevocationState)
    origin: tuple[OriginState, ...] = tuple(OriginState)

    def fits(self, case: Case) -> bool:
        """Whether every column of this row takes the case's state."""
        return (
            case.record in self.record
            and case.manifest in self.manifest
            and case.mark in self.mark
            and case.fingerprint in self.fingerprint
            and case.apart in self.apart
            and case.revocation in self.revocation
            and case.origin in self.origin
        )


@dataclass(frozen=True)
class Verdict:
    """What was decided, by which row (from 1) of which table, about which entries, from what."""

    outcome: Outcome
    row: int
    table: str
    entries: tuple[int, ...]
    findings: Findings


_FILE, _PIXELS = (RecordState.FILE,), (RecordState.PIXELS,)
_RECORDED, _UNRECORDED = (*_FILE, *_PIXELS), (RecordState.NONE,)
_ABSENT, _OURS, _FOREIGN, _UNTRUSTED, _UNBOUND, _INVALID, _DISAGREEMENT = (
    (state,) for state in ManifestState
)
_NO_MANIFEST = (*_ABSENT, *_UNTRUSTED, *_INVALID)  # none that says anything
_DETECTED, _UNDETECTED = (
    (MarkState.DETECTED, MarkState.UPLOAD),
    (MarkState.INCONCLUSIVE, MarkState.NOT_DETECTED),
)
_ALIKE, _UNALIKE, _UNKNOWN = (
    (FingerprintState.MATCH,),
    (FingerprintState.NONE,),
    (FingerprintState.INCONCLUSIVE,),
)
_UNMATCHED = (*_UNALIKE, *_UNKNOWN)
_TOGETHER = (Apart.NONE,)
_MARK_APART = (Apart.MARK,)
_MANIFEST_HOLDS, _MARK_HOLDS = (Apart.NONE, Apart.MARK), (Apart.NONE, Apart.MANIFEST)
_MANIFEST_STRAYS, _MARK_STRAYS = (Apart.MANIFEST, Apart.BOTH), (Apart.MARK, Apart.BOTH)
_STANDS, _REVOKED = (RevocationState.STANDS,), (RevocationState.REVOKED,)

# fmt: off
_ROWS: tuple[Row, ...] = (
    # The exact picture is in the log.
    Row(Outcome.REVOKED, _RECORDED, revocation=_REVOKED),
    Row(Outcome.INTACT, _FILE, revocation=_STANDS),
    Row(Outcome.INTACT, _PIXELS, _OURS, apart=_MANIFEST_HOLDS, revocation=_STANDS),
    Row(Outcome.STRIPPED, _PIXELS, _ABSENT, apart=_MANIFEST_HOLDS, revocation=_STANDS),
    Row(Outcome.EDITED, _PIXELS, (*_UNBOUND, *_INVALID, *_DISAGREEMENT), apart=_MANIFEST_HOLDS,
        revocation=_STANDS),
    Row(Outcome.MANIFEST_SUBSTITUTED, _PIXELS, (*_FOREIGN, *_UNTRUSTED), apart=_MANIFEST_HOLDS,
        revocation=_STANDS),
    Row(Outcome.MANIFEST_SUBSTITUTED, _PIXELS, apart=_MANIFEST_STRAYS, revocation=_STANDS),
    # It is not, whatever its manifest says.
    Row(Outcome.READERS_DISAGREE, _UNRECORDED, _DISAGREEMENT),
    Row(Outcome.UNRECORDED, _UNRECORDED, _OURS),
    # Our manifest, of other bytes.
    Row(Outcome.EDITED, _UNRECORDED, _UNBOUND, fingerprint=_ALIKE, apart=_TOGETHER,
        revocation=_STANDS),
    Row(Outcome.REVOKED, _UNRECORDED, _UNBOUND, fingerprint=_ALIKE, apart=_TOGETHER,
        revocation=_REVOKED),
    Row(Outcome.MARK_TRANSPLANTED, _UNRECORDED, _UNBOUND, fingerprint=_ALIKE, apart=_MARK_APART),
    Row(Outcome.MANIFEST_SUBSTITUTED, _UNRECORDED, _UNBOUND, fingerprint=_ALIKE,
        apart=_MANIFEST_STRAYS),
    Row(Outcome.MARKED, _UNRECORDED, _UNBOUND, _DETECTED, _UNMATCHED, _MANIFEST_HOLDS),
    Row(Outcome.MANIFEST_SUBSTITUTED, _UNRECORDED, _UNBOUND, _DETECTED, _UNMATCHED,
        _MANIFEST_STRAYS),
    Row(Outcome.MANIFEST_SUBSTITUTED, _UNRECORDED, _UNBOUND, _UNDETECTED, _UNMATCHED),
    # Another maker's manifest, of these bytes.
    Row(Outcome.MANIFEST_SUBSTITUTED, _UNRECORDED, _FOREIGN, _DETECTED, _ALIKE, _MARK_HOLDS),
    Row(Outcome.MARK_TRANSPLANTED, _UNRECORDED, _FOREIGN, _DETECTED, _ALIKE, _MARK_STRAYS),
    Row(Outcome.MARK_TRANSPLANTED, _UNRECORDED, _FOREIGN, _DETECTED, _UNALIKE),
    Row(Outcome.MARKED, _UNRECORDED, _FOREIGN, _DETECTED, _UNKNOWN),
    Row(Outcome.SIGNED_ELSEWHERE, _UNRECORDED, _FOREIGN, _UNDETECTED),
    # No manifest that says anything.
    Row(Outcome.STRIPPED, _UNRECORDED, _ABSENT, _DETECTED, _ALIKE, _MARK_HOLDS, _STANDS),
    Row(Outcome.EDITED, _UNRECORDED, _INVALID, _DETECTED, _ALIKE, _MARK_HOLDS, _STANDS),
    Row(Outcome.REVOKED, _UNRECORDED, (*_ABSENT, *_INVALID), _DETECTED, _ALIKE, _MARK_HOLDS,
        _REVOKED),
    Row(Outcome.MANIFEST_SUBSTITUTED, _UNRECORDED, _UNTRUSTED, _DETECTED, _ALIKE, _MARK_HOLDS),
    Row(Outcome.MARK_TRANSPLANTED, _UNRECORDED, _NO_MANIFEST, _DETECTED, _ALIKE, _MARK_STRAYS),
    Row(Outcome.MARKED, _UNRECORDED, _NO_MANIFEST, _DETECTED, _UNMATCHED),
    Row(Outcome.SIMILAR, _UNRECORDED, _NO_MANIFEST, _UNDETECTED, _ALIKE),
    Row(Outcome.NO_EVIDENCE, _UNRECORDED, _NO_MANIFEST, _UNDETECTED, _UNMATCHED),
)
# fmt: on
ROWS = (
    *(replace(r, origin=(OriginState.MADE,)) if r.outcome in MADE_HERE else r for r in _ROWS),
    *(
        replace(r, outcome=ON_REQUEST[r.outcome], origin=(OriginState.ON_REQUEST,))
        for r in _ROWS
        if r.outcome in MADE_HERE
    ),
)


def decide(findings: Findings) -> Verdict:
    """What the findings prove together."""
    case, entries = read_case(findings)
    row = _row(case)
    return Verdict(ROWS[row - 1].outcome, row, VERSION, entries, findings)


@cache
def _row(case: Case) -> int:
    [row] = [number for number, row in enumerate(ROWS, start=1) if row.fits(case)]
    return row


def read_case(findings: Findings) -> tuple[Case, tuple[int, ...]]:
    """The findings as the table sees them, and the entries they are about.

    Digest and fingerprint are of the pixels themselves. A manifest, which anyone can glue in, and a
    record number in the mark must name one of the entries these point to; where these point
    nowhere, the two must name the same. A mark without a number can be that of any entry of its
    kind: an upload's mark is none of a drawing's, nor the other way round.
    """
    pixels = {*(findings.record.entries or findings.fingerprint.entries)}
    manifest, mark = {*findings.manifest.entries}, {*findings.mark.entries}
    signed = findings.manifest.state in (ManifestState.OURS, ManifestState.UNBOUND)
    if pixels and not mark:
        mark = _marked(findings, pixels)
        unlike = findings.mark.state in _DETECTED and not mark
    else:
        unlike = bool(mark) and not mark & pixels
    if pixels:
        strays = signed and not manifest & pixels, unlike
    else:
        strays = (bool(manifest and mark) and not manifest & mark,) * 2
    apart = _APART[strays]
    about = _common([pixels, set() if strays[0] else manifest, set() if strays[1] else mark])
    if not about:
        about = pixels or manifest | mark
    revoked = RevocationState.REVOKED if about & {*findings.revocation.entries} else None
    case = Case(
        findings.record.state,
        findings.manifest.state,
        findings.mark.state,
        findings.fingerprint.state,
        apart,
        revoked or RevocationState.STANDS,
        OriginState.ON_REQUEST if about & {*findings.origin.entries} else OriginState.MADE,
    )
    return case, tuple(sorted(about))


_APART = {
    (False, False): Apart.NONE,
    (True, False): Apart.MANIFEST,
    (False, True): Apart.MARK,
    (True, True): Apart.BOTH,
}


def _marked(findings: Findings, pixels: set[int]) -> set[int]:
    """Those entries, of those that the pixels point to, that a mark without a number can be of."""
    uploads = {*findings.origin.entries}
    match findings.mark.state:
        case MarkState.DETECTED:
            return pixels - uploads
        case MarkState.UPLOAD:
            return pixels & uploads
        case MarkState.INCONCLUSIVE | MarkState.NOT_DETECTED:
            return set()


def _common(named: list[set[int]]) -> set[int]:
    """The entries in all of these sets that are not empty."""
    return set.intersection(*([entries for entries in named if entries] or [set()]))
