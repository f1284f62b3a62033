"""COSE_Sign1 (RFC 9052) with ES256 and a certificate chain (RFC 9360), the claim detached.

C2PA 2.4, section 13.2. The signature is r and s, 32 bytes each; another length is refused, since
half of an odd-length signature is not r.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from provenance.manifest.encoding import format_cbor, parse_cbor
from provenance.manifest.errors import Malformed, Unsupported

SIGNATURE_BYTES = 64
_ALGORITHM, _CHAIN, _ES256 = 1, 33, -7  # IANA COSE registries
_TAG = 18
_MAX_CHAIN = 8


class NotSigned(Exception):
    """The signature is not one of this key over these bytes."""


@dataclass(frozen=True)
class Sign1:
    """The protected header as signed, what it says, and the signature."""

    protected: bytes
    chain: tuple[x509.Certificate, ...]  # leaf first
    signature: bytes


def format_protected(chain: Sequence[x509.Certificate]) -> bytes:
    """The header: ES256, and the certificates, leaf first."""
    ders = [certificate.public_bytes(serialization.Encoding.DER) for certificate in chain]
    return format_cbor({_ALGORITHM: _ES256, _CHAIN: ders[0] if len(ders) == 1 else ders})


def to_be_signed(protected: bytes, claim: bytes) -> bytes:
    """The bytes a signer signs (RFC 9052, section 4.4)."""
    return format_cbor(["Signature1", protected, b"", claim])


def format_sign1(protected: bytes, signature: bytes) -> bytes:
    return format_cbor(cbor2.CBORTag(_TAG, [protected, {}, None, signature]))


def parse_sign1(data: bytes) -> Sign1:
    """The parts, the signature unchecked; bytes that are not signed may only be zeros."""
    message = parse_cbor(data, what="claim signature")
    if not isinstance(message, cbor2.CBORTag) or message.tag != _TAG:
        raise Malformed("claim signature is not a COSE_Sign1")
    match message.value:
        case [bytes() as protected, Mapping() as unprotected, None, bytes() as signature]:
            _check_unprotected(unprotected)
        case _:
            raise Malformed("claim signature is not a COSE_Sign1 of a detached claim")
    if format_cbor(message) != data:
        raise Malformed("claim signature is not in its shortest form")
    if len(signature) != SIGNATURE_BYTES:
        raise Malformed(f"an ES256 signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    return Sign1(protected, _parse_protected(protected), signature)


def check_signature(public: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> None:
    """Raise NotSigned unless r and s are a signature by this P-256 key."""
    if len(signature) != SIGNATURE_BYTES:
        raise NotSigned(f"{len(signature)} bytes, not {SIGNATURE_BYTES}")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        public.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as e:
        raise NotSigned("the signature does not hold") from e


def _check_unprotected(header: Mapping[Any, Any]) -> None:
    """Padding of zeros is passed over; a time stamp would be a claim nobody here checks."""
    if strange := [name for name in header if name not in ("pad", "pad2")]:
        raise Unsupported(f"an unprotected header {str(strange[0])[:40]!r}")
    if any(not isinstance(pad, bytes) or pad.strip(b"\0") for pad in header.values()):
        raise Malformed("padding that is not zeros")


def _parse_protected(data: bytes) -> tuple[x509.Certificate, ...]:
    header = parse_cbor(data, what="protected header")
    if not isinstance(header, dict) or _ALGORITHM not in header:
        raise Malformed("a protected header without an algorithm")
    if header[_ALGORITHM] != _ES256 or set(header) != {_ALGORITHM, _CHAIN}:
        raise Unsupported("a protected header other than ES256 with its certificates")
    ders = header[_CHAIN] if isinstance(header[_CHAIN], list) else [header[_CHAIN]]
    if not 0 < len(ders) <= _MAX_CHAIN or not all(isinstance(der, bytes) for der in ders):
        raise Malformed(f"a chain is 1 to {_MAX_CHAIN} certificates")
    return tuple(_load(der) for der in ders)


def _load(der: bytes) -> x509.Certificate:
    """A certificate of which every field that is read later has been read once.

    The library warns of certificates that break a rule of DER or X.509 in some small way; they are
    refused. While one is loaded, Python warnings are errors in the whole process.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            certificate = x509.load_der_x509_certificate(der)
            _ = certificate.serial_number, certificate.subject, certificate.issuer
            _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, TypeError, x509.InvalidVersion, Warning) as e:
        raise Malformed(f"a certificate that is not X.509: {e}") from e
    return certificate
