"""What is known about a file's manifest: two opinions, and what they come to.

Only TRUSTED is evidence about the file. Anyone can make a manifest that is UNTRUSTED: well formed,
hashes right, signed by a certificate of their own. ABSENT says nothing: a re-encoded file has lost
its manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """What a reader makes of a file."""

    ABSENT = "absent"
    TRUSTED = "trusted"
    UNBOUND = "trusted for other bytes"  # all holds but the hash over the file
    UNTRUSTED = "valid but untrusted"
    INVALID = "invalid"
    UNCONFIRMED = "unconfirmed"  # as an opinion: a form this reader does not read
    DISPUTED = "disputed"  # never an opinion, only what two opinions come to


class Reason(StrEnum):
    """Why a manifest is no evidence."""

    HASH_MISMATCH = "hash mismatch"
    ASSERTION_MISMATCH = "assertion mismatch"
    BAD_SIGNATURE = "bad signature"
    EXPIRED = "expired certificate"
    BAD_CERTIFICATE = "certificate not fit for claims"
    FOREIGN_ROOT = "foreign root"
    REMOTE = "remote URL refused"
    TOO_LARGE = "too large"
    MALFORMED = "malformed"
    UNSUPPORTED = "form not read by the second reader"
    READERS_DISAGREE = "readers disagree"


@dataclass(frozen=True)
class Opinion:
    """What one reader says; `detail` is one line for a person."""

    state: State
    reason: Reason | None = None
    detail: str = ""


@dataclass(frozen=True)
class Binding:
    """A soft binding as the manifest states it: an algorithm and the value it reads."""

    algorithm: str
    value: bytes


@dataclass(frozen=True)
class Statement:
    """What the manifest says. Of this file believe it only if the finding is TRUSTED."""

    label: str
    claim_digest: bytes  # SHA-256 of the signed bytes: with the label, the manifest's identity
    generator: str
    actions: tuple[str, ...]
    source_types: tuple[str, ...]
    when: datetime | None  # by the signer's clock
    model: str
    model_digest: bytes
    bindings: tuple[Binding, ...]
    ingredients: tuple[str, ...]  # labels of the manifests of the pictures it was made from
    signer: str  # subject of the certificate, RFC 4514
    serial: int
    key: bytes  # SHA-256 of the SubjectPublicKeyInfo that signed: whose key it was


@dataclass(frozen=True)
class Finding:
    """What the two readers come to, and what each of them said."""

    state: State
    reason: Reason | None
    detail: str
    official: Opinion
    independent: Opinion
    statement: Statement | None

    @property
    def caveat(self) -> str:
        """What the state does not mean."""
        return CAVEATS[self.state]


CAVEATS = {
    State.ABSENT: "no manifest says nothing: it is lost whenever a file is re-encoded or uploaded",
    State.TRUSTED: "the file is as it was signed by a certificate of the trust list; whether what "
    "was signed is true, and still stands, is for the ledger",
    State.UNBOUND: "a trusted signer signed other bytes: the file was changed since, or the "
    "manifest was taken from another file; the manifest alone cannot tell which",
    State.UNTRUSTED: "anyone can sign such a manifest with a certificate of their own",
    State.INVALID: "an invalid manifest proves nothing about the picture, nor against it",
    State.UNCONFIRMED: "only one of two readers could read this form, which is not enough",
    State.DISPUTED: "the two readers disagree, so neither is believed",
}
