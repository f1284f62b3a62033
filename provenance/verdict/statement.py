"""A verdict as bytes that can be signed, logged and replayed.

A statement is the line `countermark-verdict/2`, then one JSON object in the canonical form of
RFC 8785 (keys sorted, no spaces, UTF-8, no fractions: numbers that were measured are decimal text),
then a newline. `parse_statement` decides the findings anew and accepts only the very bytes that
`format_statement` writes of the result, so a statement whose outcome does not follow from its
findings is refused. It holds digests and findings: no name of a file, and nobody's address.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from provenance.errors import ProvenanceError
from provenance.ledger.record import Digest, Number
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
)
from provenance.verdict.table import VERSION, Verdict, decide

VERSION_LINE = b"countermark-verdict/2\n"
MAX_BYTES = 65_535  # of a statement, as of a record
_TIME = "%Y-%m-%dT%H:%M:%SZ"

S = TypeVar("S", bound=StrEnum)


class BadStatement(ProvenanceError):
    """Bytes that are no canonical statement, or one that does not follow from its findings."""


@dataclass(frozen=True)
class Statement:
    """When what was decided about which file: SHA-256 of its bytes, and of its pixels."""

    at: datetime  # UTC, whole seconds
    file: Digest
    pixels: Digest
    verdict: Verdict


def format_statement(statement: Statement) -> bytes:
    """The bytes that are signed; raises BadStatement if a field has no canonical form."""
    data = _write(statement)
    if _read(data) != statement:
        raise BadStatement("a statement has a field with no canonical form, or another verdict")
    return data


def parse_statement(data: bytes) -> Statement:
    """The statement, decided anew; raises BadStatement for all but its canonical bytes."""
    statement = _read(data)
    if _write(statement) != data:
        raise BadStatement(
            "not in canonical form, or the verdict does not follow from its findings"
        )
    return statement


def _write(statement: Statement) -> bytes:
    verdict = statement.verdict
    document = {
        "at": statement.at.strftime(_TIME),
        "file": statement.file.hex(),
        "pixels": statement.pixels.hex(),
        "table": verdict.table,
        "row": verdict.row,
        "outcome": verdict.outcome.value,
        "entries": list(verdict.entries),
        "findings": _write_findings(verdict.findings),
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data = VERSION_LINE + text.encode() + b"\n"
    if len(data) > MAX_BYTES:
        raise BadStatement(f"a statement is longer than {MAX_BYTES} bytes")
    return data


def _write_findings(findings: Findings) -> dict[str, Any]:
    return {
        "record": _write_finding(findings.record),
        "manifest": _write_finding(findings.manifest),
        "mark": _write_finding(findings.mark),
        "fingerprint": _write_finding(findings.fingerprint),
        "revocation": _write_finding(findings.revocation),
        "origin": _write_finding(findings.origin),
        "classifier": None if findings.classifier is None else _write_finding(findings.classifier),
    }


def _write_finding(finding: Finding[S]) -> dict[str, Any]:
    check = finding.check
    return {
        "state": finding.state.value,
        "entries": list(finding.entries),
        "version": check.version,
        "quantity": check.quantity,
        "value": check.value,
        "threshold": check.threshold,
        "caveat": check.caveat,
    }


def _read(data: bytes) -> Statement:
    if len(data) > MAX_BYTES or not data.startswith(VERSION_LINE):
        raise BadStatement(f"not {VERSION_LINE.decode().strip()!r} of at most {MAX_BYTES} bytes")
    try:
        document = json.loads(data.removeprefix(VERSION_LINE).decode())
        if document["table"] != VERSION:
            raise BadStatement(f"decided by another table than {VERSION}")
        return Statement(
            datetime.strptime(document["at"], _TIME).replace(tzinfo=UTC),
            _read_digest(document["file"]),
            _read_digest(document["pixels"]),
            decide(_read_findings(document["findings"])),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as e:
        raise BadStatement("not a statement: a field is missing or of the wrong form") from e
    except ProvenanceError as e:
        raise BadStatement(f"not a statement: {e}") from e


def _read_findings(document: dict[str, Any]) -> Findings:
    classifier = document["classifier"]
    return Findings(
        record=_read_finding(RecordState, document["record"]),
        manifest=_read_finding(ManifestState, document["manifest"]),
        mark=_read_finding(MarkState, document["mark"]),
        fingerprint=_read_finding(FingerprintState, document["fingerprint"]),
        revocation=_read_finding(RevocationState, document["revocation"]),
        origin=_read_finding(OriginState, document["origin"]),
        classifier=None if classifier is None else _read_finding(ClassifierState, classifier),
    )


def _read_finding(kind: type[S], document: dict[str, Any]) -> Finding[S]:
    threshold = document["threshold"]
    check = Check(
        version=_read_text(document["version"]),
        quantity=_read_text(document["quantity"]),
        value=Number(_read_text(document["value"])),
        threshold=None if threshold is None else Number(_read_text(threshold)),
        caveat=_read_text(document["caveat"]),
    )
    entries = tuple(_read_index(entry) for entry in document["entries"])
    return Finding(kind(document["state"]), check, entries)


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadStatement(f"{value!r:.100} is not a text")
    return value


def _read_index(value: Any) -> int:
    if type(value) is not int:  # nor a truth value
        raise BadStatement(f"{value!r:.100} is not an index")
    return value


def _read_digest(text: str) -> Digest:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise BadStatement("a digest is 64 lower-case hexadecimal digits")
    return Digest(bytes.fromhex(text))
