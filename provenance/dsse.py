"""Signed envelopes for what people and their tools read (DSSE 1.0, secure-systems-lab/dsse).

A signature by Ed25519 covers the payload and its type together, so a payload never passes for one
of another type. A payload means nothing until `open_envelope` has returned it. As the standard
asks, both alphabets of base64 and unknown fields are accepted, key ids decide nothing, and a
signature by an unknown key is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from provenance.ledger.encoding import format_base64, parse_base64, parse_utf8
from provenance.ledger.errors import Malformed, NotProven

MAX_ENVELOPE_BYTES = 1_000_000
MAX_SIGNATURES = 100


@dataclass(frozen=True)
class Signer:
    """A private key and the name it is looked up by."""

    key_id: str
    key: Ed25519PrivateKey = field(repr=False)


@dataclass(frozen=True)
class Envelope:
    """The parts of an envelope, unchecked: trust none of them before `open_envelope`."""

    payload_type: str
    payload: bytes
    signatures: tuple[bytes, ...]


def encode(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: the pre-authentication encoding (PAE) of the protocol."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign_envelope(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> bytes:
    """A JSON envelope signed by each of `signers`, which are one at least."""
    message = encode(payload_type, payload)
    signatures = [
        {"keyid": one.key_id, "sig": format_base64(one.key.sign(message))} for one in signers
    ]
    document = {
        "payload": format_base64(payload),
        "payloadType": payload_type,
        "signatures": signatures,
    }
    data = json.dumps(document).encode() + b"\n"
    if parse_envelope(data).payload != payload:
        raise Malformed("payload cannot be that of an envelope")
    return data


def open_envelope(
    data: bytes, payload_type: str, keys: Sequence[Ed25519PublicKey], *, quorum: int = 1
) -> bytes:
    """The payload, if it is of this type and `quorum` of `keys` signed it.

    Raises Malformed, or NotProven.
    """
    if quorum < 1:
        raise ValueError("an envelope that nobody need sign is not signed")
    envelope = parse_envelope(data)
    message = encode(envelope.payload_type, envelope.payload)
    signed = {
        key.public_bytes_raw()
        for key in keys
        if any(_holds(key, signature, message) for signature in envelope.signatures)
    }
    if len(signed) < quorum:
        raise NotProven(f"envelope is signed by {len(signed)} trusted keys, not by {quorum}")
    if envelope.payload_type != payload_type:
        raise NotProven(f"envelope holds {envelope.payload_type[:200]!r}, not {payload_type!r}")
    return envelope.payload


def parse_envelope(data: bytes) -> Envelope:
    """The parts of an envelope; raises Malformed for anything else, duplicate keys too."""
    if len(data) > MAX_ENVELOPE_BYTES:
        raise Malformed(f"envelope is longer than {MAX_ENVELOPE_BYTES} bytes")
    text = parse_utf8(data, what="envelope")
    try:
        document = json.loads(text, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as e:
        raise Malformed(f"envelope is not JSON: {e}") from e
    rows = _member(document, "signatures", list)
    if not 0 < len(rows) <= MAX_SIGNATURES:
        raise Malformed(f"envelope has {len(rows)} signatures, not 1 to {MAX_SIGNATURES}")
    payload_type = _member(document, "payloadType", str)
    try:
        payload_type.encode()
    except UnicodeEncodeError as e:
        raise Malformed("envelope's payloadType holds half a surrogate pair") from e
    payload = _parse_either(_member(document, "payload", str), what="payload of the envelope")
    signatures = tuple(
        _parse_either(_member(row, "sig", str), what="signature of the envelope") for row in rows
    )
    return Envelope(payload_type, payload, signatures)


def _holds(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Malformed("envelope has the same key twice in one object")
    return document


def _member(document: Any, name: str, kind: type) -> Any:
    if not isinstance(document, dict) or not isinstance(document.get(name), kind):
        raise Malformed(f"envelope has no {name!r} of type {kind.__name__}")
    return document[name]


def _parse_either(text: str, *, what: str) -> bytes:
    """Base64 of RFC 4648, section 4 or 5, with its padding."""
    if "-" in text or "_" in text:
        if "+" in text or "/" in text:
            raise Malformed(f"{what} mixes two alphabets of base64")
        text = text.replace("-", "+").replace("_", "/")
    return parse_base64(text, what=what)
