"""An envelope's signature covers the payload and its type; nothing else is trusted."""

import json
from base64 import b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from provenance.dsse import Signer, encode, open_envelope, parse_envelope, sign_envelope
from provenance.ledger.errors import LedgerError, Malformed, NotProven

VECTOR = json.loads((Path(__file__).parents[1] / "vectors/dsse.json").read_text())
TYPE = "application/vnd.countermark.verdict+json"
PAYLOAD = b'{"verdict":"ours"}\xfb\xff'
ONE, TWO, STRANGER = (
    Signer(f"key-{i}", Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32)) for i in (1, 2, 3)
)
KEYS = [ONE.key.public_key(), TWO.key.public_key()]
GOOD = sign_envelope(TYPE, PAYLOAD, [ONE])


def envelope() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(GOOD)
    return loaded


def opened(document: object) -> bytes:
    return open_envelope(json.dumps(document).encode(), TYPE, KEYS)


def test_encode_equals_the_published_vector() -> None:
    made = encode(VECTOR["payload_type"], VECTOR["body"].encode())
    assert made == VECTOR["encoded"].encode()


def test_the_published_signature_holds_for_what_we_encode() -> None:
    """It is by ECDSA, so it checks the encoding and the parser, not our signing."""
    parsed = parse_envelope(json.dumps(VECTOR["envelope"]).encode())
    (signature,) = parsed.signatures
    numbers = ec.EllipticCurvePublicNumbers(int(VECTOR["x"]), int(VECTOR["y"]), ec.SECP256R1())
    half = len(signature) // 2
    r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
    message = encode(parsed.payload_type, parsed.payload)
    der = utils.encode_dss_signature(r, s)
    numbers.public_key().verify(der, message, ec.ECDSA(hashes.SHA256()))
    assert parsed.payload == VECTOR["body"].encode()


def test_encode_counts_bytes_and_not_characters() -> None:
    assert encode("ä", b"") == b"DSSEv1 2 \xc3\xa4 0 "


@given(st.text(max_size=8), st.binary(max_size=8), st.text(max_size=8), st.binary(max_size=8))
def test_no_two_payloads_are_encoded_alike(
    kind: str, payload: bytes, other_kind: str, other: bytes
) -> None:
    same = (kind, payload) == (other_kind, other)
    assert (encode(kind, payload) == encode(other_kind, other)) is same


def test_a_payload_comes_back_as_it_was_signed() -> None:
    assert open_envelope(GOOD, TYPE, KEYS) == PAYLOAD


def test_an_envelope_of_another_type_is_refused() -> None:
    with pytest.raises(NotProven, match="holds 'application"):
        open_envelope(GOOD, TYPE + "2", KEYS)
    with pytest.raises(NotProven, match="signed by 0"):
        opened(envelope() | {"payloadType": TYPE + "2"})


def test_a_changed_payload_is_refused() -> None:
    with pytest.raises(NotProven, match="signed by 0"):
        opened(envelope() | {"payload": "e30="})


@pytest.mark.parametrize("bit", [0, 255, 511])
def test_a_flipped_bit_of_the_signature_is_refused(bit: int) -> None:
    document = envelope()
    signature = bytearray(b64decode(document["signatures"][0]["sig"]))
    signature[bit // 8] ^= 1 << bit % 8
    document["signatures"][0]["sig"] = urlsafe_b64encode(signature).decode()
    with pytest.raises(NotProven, match="signed by 0"):
        opened(document)


def test_a_strangers_signature_is_skipped_and_never_counts() -> None:
    assert open_envelope(sign_envelope(TYPE, PAYLOAD, [STRANGER, ONE]), TYPE, KEYS) == PAYLOAD
    with pytest.raises(NotProven, match="signed by 0 trusted keys, not by 1"):
        open_envelope(sign_envelope(TYPE, PAYLOAD, [STRANGER]), TYPE, KEYS)


def test_a_key_id_decides_nothing() -> None:
    document = envelope()
    document["signatures"][0]["keyid"] = "key-2"
    assert opened(document) == PAYLOAD
    del document["signatures"][0]["keyid"]
    assert opened(document) == PAYLOAD


def test_a_quorum_counts_keys_and_not_signatures() -> None:
    both = sign_envelope(TYPE, PAYLOAD, [ONE, TWO])
    assert open_envelope(both, TYPE, KEYS, quorum=2) == PAYLOAD
    twice = sign_envelope(TYPE, PAYLOAD, [ONE, ONE])
    with pytest.raises(NotProven, match="signed by 1 trusted keys, not by 2"):
        open_envelope(twice, TYPE, [KEYS[0], KEYS[0], KEYS[1]], quorum=2)
    with pytest.raises(ValueError, match="nobody"):
        open_envelope(both, TYPE, KEYS, quorum=0)


def test_either_alphabet_of_base64_is_read_and_a_mixture_is_not() -> None:
    document = envelope()
    assert "+" in document["payload"] or "/" in document["payload"]
    other = document["payload"].replace("+", "-").replace("/", "_")
    assert opened(document | {"payload": other}) == PAYLOAD
    signature = document["signatures"][0]["sig"]
    url_safe = {"sig": signature.replace("+", "-").replace("/", "_")}
    assert opened(document | {"signatures": [url_safe]}) == PAYLOAD
    with pytest.raises(Malformed, match="two alphabets"):
        opened(document | {"payload": "+_AA"})


def test_unknown_fields_are_ignored() -> None:
    assert opened(envelope() | {"note": 1}) == PAYLOAD


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"payload": 1}, "'payload' of type str"),
        ({"payload": "e30"}, "payload of the envelope is not"),
        ({"payload": "e31="}, "not canonical"),
        ({"payload": "é"}, "not base64"),
        ({"payloadType": None}, "'payloadType' of type str"),
        ({"payloadType": "\ud800"}, "surrogate"),
        ({"signatures": {}}, "'signatures' of type list"),
        ({"signatures": []}, "0 signatures"),
        ({"signatures": [{"sig": ""}] * 101}, "101 signatures"),
        ({"signatures": ["x"]}, "'sig' of type str"),
        ({"signatures": [{"sig": "===="}]}, "signature of the envelope is not"),
    ],
)
def test_one_thing_wrong_is_malformed(change: dict[str, object], says: str) -> None:
    assert opened(envelope()) == PAYLOAD
    with pytest.raises(Malformed, match=says):
        opened(envelope() | change)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        GOOD[:-3],
        GOOD.replace(b'"payload":', b'"payload": "e30=", "payload":', 1),
        b" " * 1_000_001,
    ],
)
def test_what_is_no_envelope_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        open_envelope(data, TYPE, KEYS)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_never_forges_nor_crashes(place: int, change: int) -> None:
    data = bytearray(GOOD)
    data[place] ^= change
    try:
        assert open_envelope(bytes(data), TYPE, KEYS) == PAYLOAD  # e.g. another key id
    except LedgerError:
        return


def test_a_payload_too_long_for_an_envelope_is_not_signed() -> None:
    with pytest.raises(Malformed, match="longer"):
        sign_envelope(TYPE, b"x" * 800_000, [ONE])
    with pytest.raises(Malformed, match="0 signatures"):
        sign_envelope(TYPE, PAYLOAD, [])
