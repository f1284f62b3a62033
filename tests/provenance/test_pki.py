"""Test authorities say that they are one, and no signer is loaded that could not sign."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from provenance.manifest.chain import check_leaf, check_path
from provenance.manifest.cose import NotSigned, check_signature
from provenance.pki import (
    CHAIN,
    KEY,
    ROOT,
    TEST_ORGANIZATION,
    BadCredentials,
    DigestSigner,
    TestPki,
    fixed_width,
    issue_authority,
    issue_leaf,
    load_signer,
    make_root,
    make_test_pki,
    parse_chain,
    pem,
    refuse_test_pki,
)
from tests.provenance.manifest.files import LONG_AGO, NOW, make_authority

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256, SEC 2


def test_made_pki_loads_and_leads_from_root_to_leaf(tmp_path: Path) -> None:
    made = make_test_pki(tmp_path, now=NOW)
    loaded = load_signer(tmp_path / CHAIN, tmp_path / KEY, now=NOW)
    (root,) = x509.load_pem_x509_certificates((tmp_path / ROOT).read_bytes())
    assert loaded.chain == made.chain
    check_path(loaded.chain, [root], now=NOW)
    check_signature(check_leaf(loaded.chain[0], now=NOW), loaded.sign(b"message"), b"message")
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600


def test_made_pki_lives_no_longer_than_c2pa_allows(tmp_path: Path) -> None:
    leaf = make_test_pki(tmp_path, now=NOW).chain[0]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=366)


@pytest.mark.parametrize("name", [ROOT, CHAIN, KEY])
def test_existing_file_is_never_touched(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(BadCredentials, match="exists already"):
        make_test_pki(tmp_path, now=NOW)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCredentials, match="cannot write"):
        make_test_pki(tmp_path / "missing", now=NOW)
    with pytest.raises(BadCredentials, match="cannot read"):
        load_signer(tmp_path / CHAIN, tmp_path / KEY, now=NOW)


def test_test_pki_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    made = make_test_pki(tmp_path, now=NOW)
    real = make_root("Example Authority", now=NOW)
    signer = issue_leaf(real, "Example Press", now=NOW)
    refuse_test_pki([signer.certificate, real.certificate])
    refuse_test_pki([])
    anchors = x509.load_pem_x509_certificates((tmp_path / ROOT).read_bytes())
    below_test = issue_leaf(make_root(TEST_ORGANIZATION, now=NOW), "Example Press", now=NOW)
    for chain in (made.chain, anchors, [real.certificate, *anchors], [below_test.certificate]):
        with pytest.raises(TestPki, match="real authority"):
            refuse_test_pki(chain)


def test_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    make_test_pki(tmp_path, now=NOW)
    load_signer(tmp_path / CHAIN, tmp_path / KEY, now=NOW)
    (tmp_path / KEY).chmod(0o640)
    with pytest.raises(BadCredentials, match="others may read"):
        load_signer(tmp_path / CHAIN, tmp_path / KEY, now=NOW)


def test_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    make_test_pki(tmp_path, now=NOW)
    (tmp_path / CHAIN).write_bytes(pem(make_authority().signer.chain))
    with pytest.raises(BadCredentials, match="is not the key of"):
        load_signer(tmp_path / CHAIN, tmp_path / KEY, now=NOW)


def test_expired_or_unfit_certificate_is_refused(tmp_path: Path) -> None:
    make_test_pki(tmp_path, now=LONG_AGO)
    with pytest.raises(BadCredentials, match="expired"):
        load_signer(tmp_path / CHAIN, tmp_path / KEY, now=NOW)
    (tmp_path / CHAIN).write_bytes((tmp_path / ROOT).read_bytes())
    with pytest.raises(BadCredentials, match="not fit for claims"):
        load_signer(tmp_path / CHAIN, tmp_path / KEY, now=LONG_AGO)


def _ed25519() -> bytes:
    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "not a private key"), (b"x", "not a private key"), (_ed25519(), "curve")],
)
def test_key_file_that_holds_none_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    make_test_pki(tmp_path, now=NOW)
    (tmp_path / KEY).write_bytes(data)
    with pytest.raises(BadCredentials, match=said):
        load_signer(tmp_path / CHAIN, tmp_path / KEY, now=NOW)


def test_chain_must_stand_in_order() -> None:
    root = make_root("R", now=NOW)
    between = issue_authority(root, "R", now=NOW)
    leaf = issue_leaf(between, "R", now=NOW)
    ordered = [leaf.certificate, between.certificate]
    assert parse_chain(pem(ordered), name="chain.pem") == tuple(ordered)
    for wrong in (pem(ordered[::-1]), pem([leaf.certificate, root.certificate]), b"", b"x"):
        with pytest.raises(BadCredentials, match="chain.pem"):
            parse_chain(wrong, name="chain.pem")


def test_key_that_stays_elsewhere_signs_digests() -> None:
    authority = make_authority()
    key = authority.signer.key

    def token(digest: bytes) -> bytes:
        assert len(digest) == 32
        return fixed_width(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))

    signer = DigestSigner(authority.signer.chain, token)
    check_signature(key.public_key(), signer.sign(b"message"), b"message")
    with pytest.raises(NotSigned):
        check_signature(key.public_key(), signer.sign(b"message"), b"another")


@pytest.mark.parametrize("r", [1, 2**128, ORDER - 1])
@pytest.mark.parametrize("s", [1, 2**247, ORDER - 1])
def test_short_numbers_keep_their_width(r: int, s: int) -> None:
    raw = fixed_width(encode_dss_signature(r, s))
    assert raw == r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize("der", [b"", bytes(64), encode_dss_signature(2**256, 1)])
def test_answer_that_is_no_p256_signature_is_refused(der: bytes) -> None:
    with pytest.raises(BadCredentials, match="P-256"):
        fixed_width(der)


def test_private_keys_are_not_printed(tmp_path: Path) -> None:
    made = make_test_pki(tmp_path, now=NOW)
    assert "key" not in repr(made).replace("X509_V1", "")
