"""Certificate chains of claim signers (C2PA 2.4, section 14.5), judged with `cryptography` alone.

A leaf must be fit for claims and valid now; then each certificate must be issued by the next, and
the last by an anchor. Nothing is fetched: no revocation is asked for, and no missing issuer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from provenance.manifest.finding import Reason

CLAIM_SIGNING = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")  # c2pa-kp-claimSigning
DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336
ACCEPTED_USAGES = (CLAIM_SIGNING, DOCUMENT_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION)
_ALONE = (  # a leaf for one of these is for nothing else
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    ExtendedKeyUsageOID.TIME_STAMPING,
    ExtendedKeyUsageOID.OCSP_SIGNING,
)


UNFIT = (  # what `cryptography` raises for a certificate it cannot make sense of
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class Refused(Exception):
    """The chain does not carry a claim: why, and in one line what."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def check_leaf(leaf: x509.Certificate, *, now: datetime) -> ec.EllipticCurvePublicKey:
    """The P-256 key of a certificate that may sign claims now; raises Refused."""
    try:
        public = leaf.public_key()
        _check_profile(leaf)
    except UNFIT as e:
        raise Refused(Reason.BAD_CERTIFICATE, f"the leaf is not fit for claims: {e}") from e
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(
        public.curve, ec.SECP256R1
    ):
        raise Refused(Reason.BAD_CERTIFICATE, "the leaf's key is not on P-256, as ES256 asks")
    _check_time(leaf, now)
    return public


def check_path(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], *, now: datetime
) -> None:
    """Raise Refused, with FOREIGN_ROOT, unless the chain, leaf first, leads to an anchor."""
    current = chain[0]
    for below, following in enumerate([*chain[1:], None]):
        if any(_issued(current, anchor, below, now) for anchor in anchors):
            return
        if following is None or not _issued(current, following, below, now):
            break
        current = following
    issuer = current.issuer.rfc4514_string()[:200]
    raise Refused(Reason.FOREIGN_ROOT, f"no trusted authority stands behind {issuer!r}")


def check_authority(certificate: x509.Certificate, *, below: int) -> None:
    """Raise ValueError unless it may issue, with `below` authorities between it and the leaf."""
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    if not constraints.ca or not usage.key_cert_sign:
        raise ValueError("not the certificate of an authority")
    if constraints.path_length is not None and constraints.path_length < below:
        raise ValueError("an authority further from the leaf than it may be")


def _issued(subject: x509.Certificate, issuer: x509.Certificate, below: int, now: datetime) -> bool:
    """Whether the issuer, valid now, signed the subject and may have."""
    try:
        subject.verify_directly_issued_by(issuer)
        check_authority(issuer, below=below)
        _check_time(issuer, now)
    except (*UNFIT, InvalidSignature, Refused):
        return False
    return True


def _check_profile(leaf: x509.Certificate) -> None:
    """Raise ValueError or ExtensionNotFound unless the extensions are those of a claim signer."""
    find = leaf.extensions.get_extension_for_class
    usage, purposes = find(x509.KeyUsage).value, find(x509.ExtendedKeyUsage).value
    find(x509.AuthorityKeyIdentifier)
    if leaf.version is not x509.Version.v3:
        raise ValueError("not version 3")
    if not usage.digital_signature or usage.key_cert_sign:
        raise ValueError("a key usage other than signing data")
    if not any(purpose in purposes for purpose in ACCEPTED_USAGES):
        raise ValueError("no extended key usage of claim signers")
    if any(purpose in purposes for purpose in _ALONE):
        raise ValueError("an extended key usage that stands alone")
    if _is_authority(leaf):
        raise ValueError("the certificate of an authority")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check_time(certificate: x509.Certificate, now: datetime) -> None:
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not first <= now <= last:
        raise Refused(Reason.EXPIRED, f"valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}")
