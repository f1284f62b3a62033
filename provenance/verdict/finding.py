"""What a verdict is made of: one finding a check, each with its number, version and caveat.

The types belong to the verdict. Whoever runs the checks says in these words what they found, and
names by their index the log's entries that a finding points to. A finding that contradicts itself
is refused here, so that the table need not ask. No two states have the same text, since members of
different string enumerations are equal if their texts are.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from provenance.errors import ProvenanceError
from provenance.ledger.record import Number

MAX_TEXT = 512  # characters, as in a record
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e-?[1-9][0-9]*)?")  # as in a record


class BadFinding(ProvenanceError):
    """A finding that contradicts itself, or that cannot be written down."""


class RecordState(StrEnum):
    """Looked up in our log by digest."""

    FILE = "file"  # this very file
    PIXELS = "pixels"  # another file with exactly these pixels
    NONE = "not recorded"


class ManifestState(StrEnum):
    """The C2PA manifest in the file, as two independent readers see it."""

    ABSENT = "absent"
    OURS = "ours"  # trusted, signed with our key, and bound to this very file
    FOREIGN = "foreign"  # trusted, signed by another maker, and bound to this very file
    UNTRUSTED = "untrusted"  # valid, and signed by nobody we trust: anyone can make one
    UNBOUND = "unbound"  # trusted and signed with our key, for other bytes than these
    INVALID = "invalid"  # everything else that is no valid manifest
    DISAGREEMENT = "disagreement"  # the readers disagree


class MarkState(StrEnum):
    """The search for our mark in the pixels."""

    DETECTED = "detected"  # as drawings carry it
    UPLOAD = "detected, of an upload"  # as pictures carry it that were brought to be marked
    INCONCLUSIVE = "inconclusive"
    NOT_DETECTED = "not detected"


class FingerprintState(StrEnum):
    """The search for recorded pictures that look alike."""

    MATCH = "match"
    INCONCLUSIVE = "too flat"
    NONE = "no match"


class RevocationState(StrEnum):
    """Whether the log revokes an entry that another finding points to."""

    STANDS = "stands"
    REVOKED = "revoked"


class OriginState(StrEnum):
    """Whether an entry that another finding points to is of a picture that was only marked here."""

    MADE = "none of an upload"
    ON_REQUEST = "of an upload"


class ClassifierState(StrEnum):
    """What a classifier finds in the pixels; it never decides, and never says that one is real."""

    OWN = "our model"  # drawn by a model of ours, or passed through its codec
    EVIDENCE = "AI evidence"
    INSUFFICIENT = "insufficient evidence"
    OUT_OF_SCOPE = "out of scope"


MUST_NAME: frozenset[StrEnum] = frozenset(
    {
        RecordState.FILE,
        RecordState.PIXELS,
        FingerprintState.MATCH,
        RevocationState.REVOKED,
        OriginState.ON_REQUEST,
    }
)
MAY_NAME: frozenset[StrEnum] = MUST_NAME | {
    ManifestState.OURS,
    ManifestState.UNBOUND,
    MarkState.DETECTED,
    MarkState.UPLOAD,
}

S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True)
class Check:
    """How a finding came about: what was measured, against what, and what it does not mean."""

    version: str  # of the check, so that its answer can be had again
    quantity: str  # what `value` counts, e.g. "corrected p", "bits that differ"
    value: Number
    threshold: Number | None
    caveat: str

    def __post_init__(self) -> None:
        for text in (self.version, self.quantity, self.caveat):
            if not 0 < len(text) <= MAX_TEXT:
                raise BadFinding(f"a check needs texts of 1 to {MAX_TEXT} characters, not {text!r}")
            if any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
                raise BadFinding(f"a check's text is one printable line, not {text!r}")
        for value in (self.value, *([] if self.threshold is None else [self.threshold])):
            if not _DECIMAL.fullmatch(value):
                raise BadFinding(f"a check's number is decimal text, not {value!r}")


@dataclass(frozen=True)
class Finding(Generic[S]):
    """What one check found, and the entries of the log it points to, in ascending order."""

    state: S
    check: Check
    entries: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for entry in self.entries:
            if not 0 <= entry < 2**53:  # exact in every JSON reader
                raise BadFinding(f"an entry is an index from 0 to 2**53 - 1, not {entry!r}")
        if list(self.entries) != sorted(set(self.entries)):
            raise BadFinding(f"entries come in ascending order, each once, not {self.entries}")
        if self.entries and self.state not in MAY_NAME:
            raise BadFinding(f"{self._name} points to no entry, and {self.entries} were given")
        if not self.entries and self.state in MUST_NAME:
            raise BadFinding(f"{self._name} must say which entries it points to")

    @property
    def _name(self) -> str:
        return f"{type(self.state).__name__.removesuffix('State').lower()} {self.state.value!r}"


@dataclass(frozen=True)
class Findings:
    """All findings about one file; only the classifier may be left out."""

    record: Finding[RecordState]
    manifest: Finding[ManifestState]
    mark: Finding[MarkState]
    fingerprint: Finding[FingerprintState]
    revocation: Finding[RevocationState]
    origin: Finding[OriginState]
    classifier: Finding[ClassifierState] | None = None


def number(value: float) -> Number:
    """Six significant digits as decimal text, the same on every machine: 1.5, 0.0001, 2e-9."""
    if not math.isfinite(value):
        raise BadFinding(f"{value} is not a number that can be written down")
    digits, _, power = f"{float(value):.6g}".partition("e")
    if digits == "-0":
        digits = "0"
    return Number(f"{digits}e{int(power)}" if power else digits)
