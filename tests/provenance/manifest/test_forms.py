"""The formats below a manifest: what is written is read back, and one thing wrong is refused."""

from __future__ import annotations

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from provenance.manifest import cose
from provenance.manifest.encoding import format_cbor, parse_cbor, parse_map
from provenance.manifest.errors import Malformed, Unsupported
from provenance.manifest.jumbf import (
    CBOR,
    MANIFEST,
    STORE,
    format_box,
    format_superbox,
    parse_superbox,
)
from tests.provenance.manifest.files import Authority, make_authority

INNER = format_superbox(CBOR, "inner", format_box(b"cbor", b"\xa0"))
GOOD = format_superbox(STORE, "c2pa", INNER)


def test_superbox_is_read_as_it_was_written() -> None:
    box = parse_superbox(GOOD)
    assert (box.kind, box.label, box.payload) == (STORE, "c2pa", GOOD[8:])
    assert box.child("inner").content(b"cbor") == b"\xa0"
    assert (box.child("inner").kind, box.contents) == (CBOR, ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"jumb", b"junk"),
        (b"jumd", b"junk"),
        (b"\x03c2pa\0", b"\x03c2pa\1"),
        (b"\x03c2pa\0", b"\x03c2p\xff\0"),
        (GOOD[:4], b"\0\0\0\0"),
        (GOOD[:4], b"\xff\xff\xff\xff"),
        (GOOD[:4], (len(GOOD) - 1).to_bytes(4, "big")),
        (b"\x03inner\0", b"\x03\0inne\0"),
        (b"\x03inner\0", b"\x03inner\0\0\0\0\x08free"),
        (b"\x03inner\0", b"\x13inner\0"),
    ],
)
def test_superbox_with_one_thing_wrong_is_refused(old: bytes, new: bytes) -> None:
    parse_superbox(GOOD)
    assert old in GOOD
    with pytest.raises(Malformed):
        parse_superbox(GOOD.replace(old, new, 1))


def test_superbox_of_toggles_not_read_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="toggles"):
        parse_superbox(GOOD.replace(b"\x03inner", b"\x07inner", 1))


def test_superboxes_nest_only_so_deep() -> None:
    data = format_box(b"cbor", b"")
    for _ in range(1000):
        data = format_superbox(MANIFEST, "x", data)
    with pytest.raises(Malformed, match="deeply"):
        parse_superbox(data)


def test_child_must_be_there_once() -> None:
    inner = format_superbox(CBOR, "inner")
    for twice in (b"", inner * 2):
        with pytest.raises(Malformed, match="not one"):
            parse_superbox(format_superbox(STORE, "c2pa", twice)).child("inner")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa1",
        b"\xa0\x00",  # bytes after the end
        b"\xa2\x01\x01\x01\x02",  # a key twice
        b"\xbf\xff",  # no length said
        b"\x81" * 400,
        b"\xc2\x41\xff",  # a big number
        b"\xd8\x1c\x81\xd8\x1d\x00",  # a list that contains itself
        b"\xd8\x23\x63(a)",  # a pattern
        b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",  # 10 ** (2 ** 63 - 1)
        b"\xc0\x01",  # a date that is a number
        b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",  # a list longer than any memory
        b"\x62\xff\xff",  # not UTF-8
    ],
)
def test_cbor_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_cbor(data, what="test")


def test_cbor_is_read_as_it_was_written() -> None:
    value = {"a": [1, -2, b"x", "y", None, True, {"b": 1.5}]}
    assert parse_map(format_cbor(value), what="test") == value
    assert parse_cbor(b"\xc0\x612", what="a date is text") == "2"
    with pytest.raises(Malformed, match="not a map"):
        parse_map(format_cbor({1: 2}), what="test")


@pytest.fixture(scope="module")
def one() -> Authority:
    return make_authority()


def signed(authority: Authority, claim: bytes = b"claim") -> tuple[bytes, bytes, bytes]:
    """Protected header, message and signature."""
    protected = cose.format_protected(authority.signer.chain)
    message = cose.to_be_signed(protected, claim)
    return protected, message, authority.signer.sign(message)


def test_signature_is_read_as_it_was_written(one: Authority) -> None:
    protected, message, signature = signed(one)
    parsed = cose.parse_sign1(cose.format_sign1(protected, signature))
    assert parsed == cose.Sign1(protected, one.signer.chain, signature)
    public = one.signer.key.public_key()
    cose.check_signature(public, signature, message)
    for wrong in (signature[:-1], signature + b"\0", b"", signature[32:] + signature[:32]):
        with pytest.raises(cose.NotSigned):
            cose.check_signature(public, wrong, message)
    with pytest.raises(cose.NotSigned):
        cose.check_signature(public, signature, message + b"\0")


@pytest.mark.parametrize("r", [0, 1, 2**256 - 1])
def test_signature_of_numbers_off_the_curve_is_none(r: int, one: Authority) -> None:
    _, message, signature = signed(one)
    for wrong in (r.to_bytes(32, "big") + signature[32:], signature[:32] + r.to_bytes(32, "big")):
        with pytest.raises(cose.NotSigned):
            cose.check_signature(one.signer.key.public_key(), wrong, message)


def test_signature_in_a_longer_form_is_refused(one: Authority) -> None:
    protected, _, signature = signed(one)
    data = cose.format_sign1(protected, signature)
    longer = data.replace(b"\x58\x40" + signature, b"\x59\x00\x40" + signature)
    assert cbor2.loads(longer) == cbor2.loads(data)
    with pytest.raises(Malformed, match="shortest"):
        cose.parse_sign1(longer)


@pytest.mark.parametrize(
    ("unprotected", "error"),
    [
        ({"pad": b"\0\1"}, Malformed),
        ({"pad": 0}, Malformed),
        ({"sigTst2": b""}, Unsupported),
        ({1: -7}, Unsupported),
    ],
)
def test_unsigned_header_says_nothing(
    unprotected: dict[object, object], error: type[Exception], one: Authority
) -> None:
    protected, _, signature = signed(one)
    padded = cbor2.dumps(cbor2.CBORTag(18, [protected, {"pad": bytes(9)}, None, signature]))
    assert cose.parse_sign1(padded).signature == signature
    with pytest.raises(error):
        cose.parse_sign1(cbor2.dumps(cbor2.CBORTag(18, [protected, unprotected, None, signature])))


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ({}, Malformed),
        ([], Malformed),
        ({1: -35, 33: b"x"}, Unsupported),  # ES384
        ({1: -7}, Unsupported),
        ({1: -7, 33: []}, Malformed),
        ({1: -7, 33: b"no certificate"}, Malformed),
        ({1: -7, 33: ["text"]}, Malformed),
        ({1: -7, 33: [b""] * 9}, Malformed),
    ],
)
def test_signed_header_must_be_es256_with_certificates(
    header: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        cose.parse_sign1(cose.format_sign1(cbor2.dumps(header), bytes(64)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x22"),  # a version that there is not
        (b"\x55\x04\x06\x13\x02XX", b"\x55\x04\x06\x13\x02\xff\xff"),  # a country not in ASCII
        (b"\x17\x0d", b"\x17\x0c"),  # a date too short
        (b"\x30\x82", b"\x30\x81"),
    ],
)
def test_certificate_that_breaks_x509_is_malformed(old: bytes, new: bytes, one: Authority) -> None:
    protected, _, signature = signed(one)
    assert old in protected
    with pytest.raises(Malformed, match="X.509"):
        cose.parse_sign1(cose.format_sign1(protected.replace(old, new, 1), signature))


def test_curve_of_the_signature_is_the_key_of_the_chain(one: Authority) -> None:
    _, message, signature = signed(one)
    with pytest.raises(cose.NotSigned):
        cose.check_signature(
            ec.generate_private_key(ec.SECP256R1()).public_key(), signature, message
        )
