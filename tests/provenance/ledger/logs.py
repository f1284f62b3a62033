"""What the tests of the log need: a log with its key and anchor, and pictures to record."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Engine

from provenance.database import snapshot, transaction
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.audit import check_log
from provenance.ledger.log import Draft, Entry, append
from provenance.ledger.note import Algorithm, Signer
from provenance.ledger.record import (
    Digest,
    Mark,
    Marking,
    MarkNumber,
    Opening,
    Picture,
    commit,
)

LOG = Signer("example.com/log", Algorithm.ED25519, sha256(b"log").digest())
AT = datetime(2026, 11, 22, 10, 56, 18, tzinfo=UTC)


@dataclass(frozen=True)
class Log:
    """A log under test: its database, its key, its anchor."""

    engine: Engine
    signer: Signer
    anchor: Path

    def append(self, *drafts: Draft) -> list[Entry]:
        with transaction(self.engine) as session:
            return append(session, drafts)

    def sign(self) -> bytes:
        return sign_checkpoint(self.engine, [self.signer], self.anchor)

    def check(self) -> None:
        with snapshot(self.engine) as session:
            check_log(session, [self.signer.verifier], self.anchor)


def picture(name: str) -> Picture:
    return Picture(
        at=AT,
        id=name,
        software="countermark 0.1.0",
        generator="raster-256",
        weights=digest("weights"),
        mark=Mark("green-list/1", "mark-2026-11"),
        policy="house/1",
        erased=("violence",),
        pixels=digest(f"pixels of {name}"),
        file=digest(f"file of {name}"),
        fingerprint="pdq1:" + digest(f"fingerprint of {name}").hex(),
        manifest=f"urn:c2pa:{name}",
        commitments=(),
    )


def marking(name: str, number: int | None) -> Marking:
    """A picture that was brought and marked, with this number or none."""
    return Marking(
        at=AT,
        id=name,
        software="countermark 0.1.0",
        codec="raster-256",
        weights=digest("codec"),
        mark=Mark("posthoc/2", "mark-2026-11"),
        number=None if number is None else MarkNumber(number),
        pixels=digest(f"pixels of {name}"),
        file=digest(f"file of {name}"),
        fingerprint="pdq1:" + digest(f"fingerprint of {name}").hex(),
        manifest=f"urn:c2pa:{name}",
        commitments=(),
    )


def personal(name: str) -> Draft:
    """A picture that commits to a caller and a prompt."""
    openings = tuple(
        Opening(field, digest(f"salt of {name} {field}"), f"{field} of {name}".encode())
        for field in ("caller", "prompt")
    )
    record = replace(picture(name), commitments=tuple(commit(one) for one in openings))
    return Draft(record, openings)


def digest(text: str) -> Digest:
    return Digest(sha256(text.encode()).digest())
