"""Certificates and keys that sign claims: made for a test, or loaded from where they are kept.

`make_test_pki` writes a root of its own that nobody else trusts, and says so in every subject; its
private key is forgotten at once, so it never signs a second leaf. Certificates have the profile of
C2PA 2.4, section 14.5.1, as far as a private root can: no revocation service, no policy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
    ObjectIdentifier,
)

from provenance.errors import ProvenanceError
from provenance.manifest.chain import CLAIM_SIGNING, UNFIT, Refused, check_leaf

TEST_ORGANIZATION = "COUNTERMARK TEST, PROVES NOTHING"
ROOT, CHAIN, KEY = "claim-root.pem", "claim-chain.pem", "claim-key.pem"
CLAIM_USAGES = (CLAIM_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION)
_LEAF_DAYS, _ROOT_DAYS = 365, 3650  # a leaf of C2PA's assurance level 1 lives at most 366 days
_CLOCK_SKEW = timedelta(minutes=5)
_HALF = 32  # bytes of r, and of s


class PkiError(ProvenanceError):
    """The base of everything this module raises."""


class BadCredentials(PkiError):
    """A key or a chain that is missing, unreadable, open to others, or does not fit."""


class TestPki(PkiError):
    """A certificate of a test stands where a real one must."""

    __test__ = False  # not a test case, whatever its name begins with


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


@dataclass(frozen=True)
class FileSigner:
    """A key in memory, read from a file; signs ES256 (RFC 9053)."""

    chain: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        return fixed_width(self.key.sign(message, ec.ECDSA(hashes.SHA256())))


@dataclass(frozen=True)
class DigestSigner:
    """A key that stays elsewhere and signs SHA-256 digests: a token or a key service.

    `sign_digest` answers r and s in 32 bytes each, as PKCS #11's CKM_ECDSA does; give a key service
    that answers in DER as `lambda digest: fixed_width(service(digest))`. What it raises comes
    through.
    """

    chain: tuple[x509.Certificate, ...]
    sign_digest: Callable[[bytes], bytes] = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        return self.sign_digest(sha256(message).digest())


def fixed_width(signature: bytes) -> bytes:
    """r and s, 32 bytes each, of an ECDSA signature over P-256 in DER."""
    try:
        r, s = decode_dss_signature(signature)
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")
    except (ValueError, OverflowError) as e:
        raise BadCredentials("the key service did not answer a P-256 signature in DER") from e


def make_test_pki(folder: Path, *, now: datetime) -> FileSigner:
    """A new root, and a leaf with its key, in three files; existing ones are never touched."""
    if taken := [name for name in (ROOT, CHAIN, KEY) if (folder / name).exists()]:
        raise BadCredentials(f"{folder / taken[0]} exists already")
    root = make_root(TEST_ORGANIZATION, now=now)
    leaf = issue_leaf(root, TEST_ORGANIZATION, now=now)
    private = leaf.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_new(folder / KEY, private, mode=0o600)
    _write_new(folder / CHAIN, pem([leaf.certificate]), mode=0o644)
    _write_new(folder / ROOT, pem([root.certificate]), mode=0o644)
    return FileSigner((leaf.certificate,), leaf.key)


def load_signer(chain: Path, key: Path, *, now: datetime) -> FileSigner:
    """The signer of a PEM chain, leaf first, and a PEM key that only its owner may read."""
    certificates = parse_chain(_read(chain), name=str(chain))
    data = _read(key)
    if key.stat().st_mode & 0o077:
        raise BadCredentials(f"others may read {key}: chmod 600, then replace the key")
    try:
        private = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise BadCredentials(f"{key} is not a private key in PEM without a password") from e
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise BadCredentials(f"{key} is not an elliptic-curve key")
    try:
        public = check_leaf(certificates[0], now=now)
    except Refused as e:
        raise BadCredentials(f"{chain}: {e.reason}: {e}") from e
    if private.public_key() != public:
        raise BadCredentials(f"{key} is not the key of the first certificate in {chain}")
    return FileSigner(certificates, private)


def parse_chain(data: bytes, *, name: str) -> tuple[x509.Certificate, ...]:
    """PEM certificates, leaf first, each issued by the next; raises BadCredentials."""
    try:
        certificates = tuple(x509.load_pem_x509_certificates(data))
        for subject, issuer in zip(certificates, certificates[1:], strict=False):
            subject.verify_directly_issued_by(issuer)
    except (*UNFIT, InvalidSignature) as e:
        raise BadCredentials(f"{name} is not a chain of PEM certificates, leaf first: {e}") from e
    return certificates


def find_test(certificates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The first of a chain or of a trust list that `make_test_pki` made, or whose issuer it did."""
    for certificate in certificates:
        for name in (certificate.subject, certificate.issuer):
            named = name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
            if any(one.value == TEST_ORGANIZATION for one in named):
                return certificate
    return None


def names_test(subject: str) -> bool:
    """Whether a subject in the form of RFC 4514, which escapes commas, is that of a test."""
    return "O=" + TEST_ORGANIZATION.replace(",", "\\,") in subject


def refuse_test_pki(certificates: Sequence[x509.Certificate]) -> None:
    """Raise TestPki if one of a chain or of a trust list was made by `make_test_pki`."""
    if (found := find_test(certificates)) is not None:
        subject = found.subject.rfc4514_string()
        raise TestPki(f"{subject!r} is of a test: get a certificate of a real authority")


def pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def make_root(organization: str, *, now: datetime) -> Issued:
    """A self-signed authority over leaves, on P-384."""
    key = ec.generate_private_key(ec.SECP384R1())
    return _issue_authority(organization, "Claim Root", key, None, now)


def issue_authority(issuer: Issued, organization: str, *, now: datetime) -> Issued:
    """An authority below another one, over leaves, on P-384."""
    key = ec.generate_private_key(ec.SECP384R1())
    return _issue_authority(organization, "Claim Authority", key, issuer, now)


def issue_leaf(
    issuer: Issued,
    organization: str,
    *,
    now: datetime,
    days: int = _LEAF_DAYS,
    usages: Sequence[ObjectIdentifier] = CLAIM_USAGES,
    status_url: str | None = None,
) -> Issued:
    """A claim signer on P-256, valid from now; `status_url` names a revocation service (OCSP)."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(organization, "Claim Signer"), issuer.certificate.subject, key, now)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_signs(data=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(_issued_by(issuer.certificate), critical=False)
    )
    if status_url is not None:
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(status_url)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return Issued(builder.sign(issuer.key, hashes.SHA384()), key)


def _issue_authority(
    organization: str,
    role: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: Issued | None,
    now: datetime,
) -> Issued:
    subject = _name(organization, role)
    signed_by = issuer.certificate.subject if issuer else subject
    builder = (
        _builder(subject, signed_by, key, now)
        .not_valid_after(now + timedelta(days=_ROOT_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_signs(data=False), critical=True)
    )
    if issuer is not None:
        builder = builder.add_extension(_issued_by(issuer.certificate), critical=False)
    return Issued(builder.sign(issuer.key if issuer else key, hashes.SHA384()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(organization: str, role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),  # user-assigned: no country
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, role),
        ]
    )


def _issued_by(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _signs(*, data: bool) -> x509.KeyUsage:
    """A key that signs data, or one that signs certificates, and nothing else."""
    return x509.KeyUsage(
        digital_signature=data,
        content_commitment=data,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not data,
        crl_sign=not data,
        encipher_only=False,
        decipher_only=False,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise BadCredentials(f"cannot read {path}: {e.strerror}") from e


def _write_new(path: Path, data: bytes, *, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as e:
        raise BadCredentials(f"cannot write {path}: {e.strerror}") from e
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
