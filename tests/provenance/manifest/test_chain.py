"""A chain carries a claim only if its leaf may sign claims now and an anchor stands behind it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from provenance.manifest.chain import (
    CLAIM_SIGNING,
    DOCUMENT_SIGNING,
    Refused,
    check_authority,
    check_leaf,
    check_path,
)
from provenance.manifest.finding import Reason
from provenance.pki import Issued, issue_authority, issue_leaf, make_root
from tests.provenance.manifest.files import NOW

NAME = "Test"


@pytest.fixture(scope="module")
def root() -> Issued:
    return make_root(NAME, now=NOW)


@pytest.mark.parametrize(
    "usage", [CLAIM_SIGNING, DOCUMENT_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION]
)
def test_leaf_for_claims_is_fit(usage: ObjectIdentifier, root: Issued) -> None:
    leaf = issue_leaf(root, NAME, now=NOW, usages=[usage])
    assert check_leaf(leaf.certificate, now=NOW) == leaf.key.public_key()


@pytest.mark.parametrize(
    "usages",
    [
        [ExtendedKeyUsageOID.SERVER_AUTH],
        [ExtendedKeyUsageOID.CODE_SIGNING],
        [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE],
        [CLAIM_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE],
        [CLAIM_SIGNING, ExtendedKeyUsageOID.TIME_STAMPING],
        [CLAIM_SIGNING, ExtendedKeyUsageOID.OCSP_SIGNING],
    ],
)
def test_leaf_for_other_uses_is_unfit(usages: list[ObjectIdentifier], root: Issued) -> None:
    leaf = issue_leaf(root, NAME, now=NOW, usages=usages)
    with pytest.raises(Refused) as refused:
        check_leaf(leaf.certificate, now=NOW)
    assert refused.value.reason is Reason.BAD_CERTIFICATE


def test_authority_is_no_leaf(root: Issued) -> None:
    with pytest.raises(Refused) as refused:
        check_leaf(root.certificate, now=NOW)
    assert refused.value.reason is Reason.BAD_CERTIFICATE


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    ],
)
def test_leaf_of_another_key_is_unfit_for_es256(
    key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey, root: Issued
) -> None:
    with pytest.raises(Refused, match="P-256"):
        check_leaf(like_leaf(root, key, authority=False), now=NOW)


def test_leaf_that_calls_itself_an_authority_is_unfit(root: Issued) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    check_leaf(like_leaf(root, key, authority=False), now=NOW)
    with pytest.raises(Refused, match="authority"):
        check_leaf(like_leaf(root, key, authority=True), now=NOW)


def like_leaf(
    root: Issued, key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey, *, authority: bool
) -> x509.Certificate:
    """A leaf in all but its key, and what it calls itself."""
    like = issue_leaf(root, NAME, now=NOW).certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(like.subject)
        .issuer_name(like.issuer)
        .public_key(key)
        .serial_number(1)
        .not_valid_before(like.not_valid_before_utc)
        .not_valid_after(like.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    for extension in like.extensions:
        if not isinstance(extension.value, x509.BasicConstraints):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(root.key, hashes.SHA256())


@pytest.mark.parametrize("days", [-1, 366])
def test_leaf_is_good_only_in_its_time(days: int, root: Issued) -> None:
    leaf = issue_leaf(root, NAME, now=NOW).certificate
    with pytest.raises(Refused) as refused:
        check_leaf(leaf, now=NOW + timedelta(days=days))
    assert refused.value.reason is Reason.EXPIRED


def test_path_leads_to_an_anchor_through_authorities(root: Issued) -> None:
    one = issue_authority(root, NAME, now=NOW)
    two = issue_authority(one, NAME, now=NOW)
    leaf = issue_leaf(two, NAME, now=NOW).certificate
    anchors = [root.certificate]
    whole = [leaf, two.certificate, one.certificate]
    check_path(whole, anchors, now=NOW)
    check_path([*whole, root.certificate], anchors, now=NOW)
    check_path([leaf], [two.certificate], now=NOW)
    for broken in (
        [leaf],
        [leaf, one.certificate],
        [leaf, two.certificate],
        [leaf, one.certificate, two.certificate],
    ):
        with pytest.raises(Refused) as refused:
            check_path(broken, anchors, now=NOW)
        assert refused.value.reason is Reason.FOREIGN_ROOT


def test_path_to_an_authority_of_the_same_name_is_foreign(root: Issued) -> None:
    leaf = issue_leaf(root, NAME, now=NOW).certificate
    check_path([leaf], [root.certificate], now=NOW)
    with pytest.raises(Refused, match="no trusted authority"):
        check_path([leaf], [make_root(NAME, now=NOW).certificate], now=NOW)


def test_path_through_a_leaf_is_foreign(root: Issued) -> None:
    """A leaf's key can sign a certificate; it must not count."""
    thief = issue_leaf(root, NAME, now=NOW)
    forged = issue_leaf(thief, NAME, now=NOW).certificate
    forged.verify_directly_issued_by(thief.certificate)
    with pytest.raises(Refused) as refused:
        check_path([forged, thief.certificate], [root.certificate], now=NOW)
    assert refused.value.reason is Reason.FOREIGN_ROOT


def test_path_through_an_expired_authority_is_foreign(root: Issued) -> None:
    past = NOW - timedelta(days=3651)
    old = issue_authority(root, NAME, now=past)
    leaf = issue_leaf(old, NAME, now=NOW).certificate
    with pytest.raises(Refused) as refused:
        check_path([leaf, old.certificate], [root.certificate], now=NOW)
    assert refused.value.reason is Reason.FOREIGN_ROOT


def test_authority_may_not_stand_further_off_than_it_says() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    near = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    check_authority(near, below=0)
    with pytest.raises(ValueError, match="further"):
        check_authority(near, below=1)
