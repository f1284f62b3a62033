"""Keys of an installation: what each is for, what it may still do, and what it is called.

Every purpose has keys of its own, so a key lost for one proves nothing for another. A key's id is a
name that holds nothing secret and proves nothing by itself. Which state permits what is one table
here; docs/keys.md says why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b, sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from provenance.ledger.encoding import format_base64, parse_base64
from provenance.ledger.errors import Malformed
from provenance.ledger.note import Algorithm, Signer

MATERIAL_BYTES = 32
TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_VERDICT_ID = re.compile(TENANT.pattern + r"\.verdict\.[1-9][0-9]*\.[0-9a-f]{8}")
ORIGIN = re.compile(r"[a-z0-9](?:[a-z0-9./-]{0,198}[a-z0-9])?")


class Purpose(StrEnum):
    """What a key is for, and so which algorithm it serves."""

    CLAIM = "claim"  # ECDSA P-256: manifests
    LOG = "log"  # Ed25519: checkpoints
    MARK = "mark"  # keyed BLAKE2b: the coins of a watermark
    TOKEN = "token"  # noqa: S105 - HMAC of API tokens; a name, not a secret
    VERDICT = "verdict"  # Ed25519: envelopes, see dsse


class KeyState(StrEnum):
    """How far a key is in its life; it never goes back."""

    PENDING = "pending"  # made and perhaps published, not yet used
    ACTIVE = "active"  # the one that signs
    RETIRING = "retiring"  # its successor is active, work begun with it may finish
    RETIRED = "retired"  # what it made is still recognised
    COMPROMISED = "compromised"  # others may have it since a known time


_LASTING = frozenset({KeyState.ACTIVE, KeyState.RETIRING, KeyState.RETIRED})

SIGNING: dict[Purpose, frozenset[KeyState]] = {
    Purpose.CLAIM: frozenset({KeyState.ACTIVE}),
    Purpose.LOG: frozenset({KeyState.ACTIVE, KeyState.RETIRING}),  # every checkpoint, both of them
    Purpose.MARK: frozenset({KeyState.ACTIVE}),
    Purpose.TOKEN: frozenset({KeyState.ACTIVE}),
    Purpose.VERDICT: frozenset({KeyState.ACTIVE}),
}
"""The states in which a key makes something new."""

CHECKING: dict[Purpose, frozenset[KeyState]] = {
    Purpose.CLAIM: _LASTING,
    Purpose.LOG: _LASTING,
    Purpose.MARK: _LASTING | {KeyState.COMPROMISED},  # found, and reported with this state
    Purpose.TOKEN: frozenset({KeyState.ACTIVE, KeyState.RETIRING}),
    Purpose.VERDICT: _LASTING,
}
"""The states in which what a key made is looked for or accepted, with no date from outside."""


@dataclass(frozen=True)
class Key:
    """One epoch of an owner's key for a purpose; times are UTC and whole seconds.

    `material` is the secret; of a claim key, whose private half stays in its own file or token, it
    is the SHA-256 of the public one. The owner is a tenant, or the name of the log (its origin).
    `activated` is None for a key that never signed; `compromised` is since when others may have
    had it.
    """

    material: bytes = field(repr=False)
    purpose: Purpose
    owner: str
    epoch: int
    state: KeyState
    created: datetime
    activated: datetime | None
    compromised: datetime | None = None

    def __post_init__(self) -> None:
        if len(self.material) != MATERIAL_BYTES:
            raise ValueError(f"a key has {MATERIAL_BYTES} bytes, not {len(self.material)}")
        if not (ORIGIN if self.purpose is Purpose.LOG else TENANT).fullmatch(self.owner):
            raise ValueError(f"{self.owner[:100]!r} cannot own a {self.purpose} key")
        if type(self.epoch) is not int or self.epoch < 1:
            raise ValueError(f"epochs are whole numbers from 1, not {self.epoch!r}")
        for moment in (self.created, self.activated, self.compromised):
            if moment is not None and (moment.tzinfo is not UTC or moment.microsecond):
                raise ValueError("a key's times are in UTC and whole seconds")
        if (self.compromised is not None) is not (self.state is KeyState.COMPROMISED):
            raise ValueError(f"a {self.state} key and the time of a compromise do not go together")
        used = self.state in _LASTING
        if (self.state is KeyState.PENDING and self.activated) or (used and not self.activated):
            raise ValueError(f"a {self.state} key and its time of activation do not go together")

    @property
    def key_id(self) -> str:
        """The name of this key and no other, e.g. acme.1.9f31c2aa or example.com/log+530d903a."""
        prefix = f"{self.owner}.{self.purpose}.{self.epoch}"
        match self.purpose:
            case Purpose.CLAIM:
                return f"{prefix}.{self.material.hex()[:8]}"
            case Purpose.LOG:
                return f"{self.owner}+{log_signer(self).verifier.key_id.hex()}"
            case Purpose.MARK:
                return mark_id(self.material, self.owner, self.epoch)
            case Purpose.TOKEN:
                return f"{prefix}.{_check_digits(self.material, b'countermark.tok')}"
            case Purpose.VERDICT:
                return f"{prefix}.{_digest(verdict_key(self).public_key()).hex()[:8]}"


def mark_id(secret: bytes, tenant: str, epoch: int) -> str:
    """Tenant, epoch and eight hex digits that only this secret gives, e.g. acme.1.9f31c2aa."""
    return f"{tenant}.{epoch}.{_check_digits(secret, b'countermark.kid')}"


def log_signer(key: Key) -> Signer:
    """What signs checkpoints under the log's name."""
    assert key.purpose is Purpose.LOG, key.purpose
    return Signer(key.owner, Algorithm.ED25519, key.material)


def verdict_key(key: Key) -> Ed25519PrivateKey:
    """What signs envelopes."""
    assert key.purpose is Purpose.VERDICT, key.purpose
    return Ed25519PrivateKey.from_private_bytes(key.material)


def format_verdict_key(key: Key) -> str:
    """The public half of a verdict key in one line, for whoever checks a verdict."""
    return f"{key.key_id}+{format_base64(verdict_key(key).public_key().public_bytes_raw())}"


def parse_verdict_key(text: str) -> tuple[str, Ed25519PublicKey]:
    """The name and the key of such a line; raises Malformed if they do not belong together."""
    name, _, encoded = text.partition("+")
    data = parse_base64(encoded, what="verdict key")
    try:
        public = Ed25519PublicKey.from_public_bytes(data)
    except ValueError as e:
        raise Malformed("a verdict key has 32 bytes after its name and a plus sign") from e
    if not _VERDICT_ID.fullmatch(name) or name[-8:] != _digest(public).hex()[:8]:
        raise Malformed("the name of a verdict key is not that of the key after it")
    return name, public


def claim_material(certificate: x509.Certificate) -> bytes:
    """What a claim key is known by: SHA-256 of its SubjectPublicKeyInfo (RFC 5280)."""
    return _digest(certificate.public_key())


def _digest(public: CertificatePublicKeyTypes) -> bytes:
    return sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _check_digits(secret: bytes, person: bytes) -> str:
    return blake2b(key=secret, person=person, digest_size=4).hexdigest()
