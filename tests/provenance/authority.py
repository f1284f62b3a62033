"""A timestamp authority of the tests: certificates, and RFC 3161 responses it can get wrong.

The DER of RFC 3161, section 2.4.2, and of RFC 5652, section 5, written out by hand, so that one
thing at a time can be broken.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
TST_INFO, SIGNED_DATA = "1.2.840.113549.1.9.16.1.4", "1.2.840.113549.1.7.2"
SHA256, ECDSA_SHA256 = "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2"


@dataclass(frozen=True)
class Authority:
    """A leaf certificate under its own root; each field can be replaced to break one rule."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    root: x509.Certificate
    at: datetime = AT
    seconds: int | None = 1  # of accuracy
    status: int = 0
    chain: tuple[x509.Certificate, ...] = field(default=())

    def respond(self, message: bytes) -> bytes:
        status = der(0x30, integer(self.status))
        return der(0x30, status, self.token(sha256(message).digest()))

    def token(self, digest: bytes) -> bytes:
        info = self.info(digest)
        content = der(0x30, oid(TST_INFO), der(0xA0, der(0x04, info)))
        certificates = der(0xA0, *sorted(map(encoded, (self.certificate, *self.chain))))
        algorithms = der(0x31, der(0x30, oid(SHA256)))
        signers = der(0x31, self.signer(info))
        signed = der(0x30, integer(3), algorithms, content, certificates, signers)
        return der(0x30, oid(SIGNED_DATA), der(0xA0, signed))

    def info(self, digest: bytes) -> bytes:
        imprint = der(0x30, der(0x30, oid(SHA256)), der(0x04, digest))
        accuracy = b"" if self.seconds is None else der(0x30, integer(self.seconds))
        at = der(0x18, f"{self.at:%Y%m%d%H%M%SZ}".encode())
        return der(0x30, integer(1), oid("1.2.3.4.1"), imprint, integer(7), at, accuracy)

    def signer(self, info: bytes) -> bytes:
        certificate = self.certificate
        ess = der(0x30, der(0x30, der(0x30, der(0x04, sha256(encoded(certificate)).digest()))))
        attributes = sorted(
            der(0x30, oid(name), der(0x31, value))
            for name, value in (
                ("1.2.840.113549.1.9.3", oid(TST_INFO)),
                ("1.2.840.113549.1.9.4", der(0x04, sha256(info).digest())),
                ("1.2.840.113549.1.9.16.2.47", ess),
            )
        )
        signature = self.key.sign(der(0x31, *attributes), ec.ECDSA(hashes.SHA256()))
        issuer = der(0x30, certificate.issuer.public_bytes(), integer(certificate.serial_number))
        digest, algorithm = der(0x30, oid(SHA256)), der(0x30, oid(ECDSA_SHA256))
        sealed = der(0x04, signature)
        return der(0x30, integer(1), issuer, digest, der(0xA0, *attributes), algorithm, sealed)


def authority(
    name: str = "tsa.example",
    *,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING,
    critical: bool = True,
) -> Authority:
    """An authority with a fresh root, valid for a year around AT."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate(f"root of {name}", root_key, f"root of {name}", root_key)
    leaf = certificate(name, key, f"root of {name}", root_key, (purpose, critical))
    return Authority(key, leaf, root)


def under_intermediate(made: Authority) -> Authority:
    """The same root, with a certificate between it and the leaf."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    root = certificate("r", keys[0], "r", keys[0])
    middle = certificate("m", keys[1], "r", keys[0])
    purpose = (ExtendedKeyUsageOID.TIME_STAMPING, True)
    leaf = certificate("l", keys[2], "m", keys[1], purpose)
    return replace(made, key=keys[2], certificate=leaf, root=root, chain=(middle,))


def certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    purpose: tuple[x509.ObjectIdentifier, bool] | None = None,
) -> x509.Certificate:
    """A certificate authority, or with a purpose a leaf."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(called(name))
        .issuer_name(called(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(AT - timedelta(days=180))
        .not_valid_after(AT + timedelta(days=180))
        .add_extension(x509.BasicConstraints(ca=purpose is None, path_length=None), True)
    )
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose[0]]), purpose[1])
    return builder.sign(issuer_key, hashes.SHA256())


def called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def encoded(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    digits = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    length = digits or b"\x00"
    if len(body) > 127:
        length = bytes([0x80 | len(digits)]) + digits
    return bytes([tag]) + length + body


def integer(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    out = bytes([40 * first + second])
    for arc in rest:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.insert(0, arc & 0x7F | 0x80)
        out += bytes(groups)
    return der(0x06, out)
