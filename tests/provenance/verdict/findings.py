"""Findings to decide about: every one of a check that may be made, and some by name."""

from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from itertools import product
from typing import TypeVar

from provenance.ledger.record import Number
from provenance.verdict.finding import (
    MAY_NAME,
    MUST_NAME,
    Check,
    Finding,
    Findings,
    FingerprintState,
    ManifestState,
    MarkState,
    OriginState,
    RecordState,
    RevocationState,
)

CHECK = Check("check/1", "bits that differ", Number("12"), Number("31"), "proves nothing alone")
S = TypeVar("S", bound=StrEnum)
"""Entries that findings may name: two are enough to agree, to differ and to overlap."""
NAMED = [(), (3,), (7,), (3, 7)]


def finding(state: S, *entries: int) -> Finding[S]:
    return Finding(state, CHECK, entries)


NOTHING = Findings(
    record=finding(RecordState.NONE),
    manifest=finding(ManifestState.ABSENT),
    mark=finding(MarkState.NOT_DETECTED),
    fingerprint=finding(FingerprintState.NONE),
    revocation=finding(RevocationState.STANDS),
    origin=finding(OriginState.MADE),
)
RECORDED = replace(NOTHING, record=finding(RecordState.FILE, 3))
OURS = finding(ManifestState.OURS, 3)
UNBOUND = finding(ManifestState.UNBOUND, 3)
MARKED = finding(MarkState.DETECTED)
ALIKE = finding(FingerprintState.MATCH, 3)
UPLOAD = finding(OriginState.ON_REQUEST, 3)
REVOKED = finding(RevocationState.REVOKED, 3)


def variants(kind: type[S]) -> Iterator[Finding[S]]:
    """Every finding of one check that may be made."""
    for state, entries in product(kind, NAMED):
        if (entries or state not in MUST_NAME) and (not entries or state in MAY_NAME):
            yield finding(state, *entries)
