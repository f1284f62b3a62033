"""Signed notes (c2sp.org/signed-note@v1.0.0) and the Ed25519 keys that sign them.

A text means nothing until `open_note` has found a signature by a key the reader trusts. Signatures
by unknown keys are kept and ignored; one wrong signature by a known key refuses the whole note. A
witness signs the text together with a time (c2sp.org/tlog-cosignature, cosignature/v1). Reading is
strict: `format_note(parse_note(data)) == data` for every accepted input.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from provenance.ledger.encoding import format_base64, parse_base64, parse_utf8
from provenance.ledger.errors import Malformed, NotProven, UnknownKey
from provenance.ledger.merkle import MAX_SIZE

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
_KEY_ID_BYTES = 4
_KEY_BYTES = 32
_TIME_BYTES = 8
_DASH = "\N{EM DASH} "
_SECRET = "PRIVATE+KEY+"  # noqa: S105 - the prefix of the format, not a secret


class Algorithm(IntEnum):
    """Signature type identifiers; a key of the one type says nothing under the other."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True)
class Signature:
    """One signature line; `blob` follows the key id: 64 bytes of a log, 72 of a witness."""

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True)
class Note:
    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True)
class Verifier:
    """A public key with the name it signs under."""

    name: str
    algorithm: Algorithm
    public: bytes

    @property
    def key_id(self) -> bytes:
        prefix = self.name.encode() + b"\n" + bytes([self.algorithm])
        return sha256(prefix + self.public).digest()[:_KEY_ID_BYTES]


@dataclass(frozen=True)
class Signer:
    """A private key: the 32-byte seed of RFC 8032."""

    name: str
    algorithm: Algorithm
    seed: bytes = field(repr=False)

    @property
    def verifier(self) -> Verifier:
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return Verifier(self.name, self.algorithm, public.public_bytes_raw())


@dataclass(frozen=True)
class Opened:
    """A note of which every listed signature holds, with the times of its witnesses."""

    text: str
    signers: tuple[Verifier, ...]
    times: dict[Verifier, int]  # seconds since 1970 UTC, by the witness's clock


def format_vkey(verifier: Verifier) -> str:
    key = format_base64(bytes([verifier.algorithm]) + verifier.public)
    return f"{verifier.name}+{verifier.key_id.hex()}+{key}"


def parse_vkey(text: str) -> Verifier:
    """Raises Malformed for anything but a name, the matching key id and an Ed25519 key."""
    name, algorithm, public = _parse_key(text, what="verifier key")
    verifier = Verifier(name, algorithm, public)
    if format_vkey(verifier) != text:
        raise Malformed("verifier key does not match its own key id")
    try:
        Ed25519PublicKey.from_public_bytes(public)
    except ValueError as e:
        raise Malformed("verifier key is not an Ed25519 point") from e
    return verifier


def format_skey(signer: Signer) -> str:
    key = format_base64(bytes([signer.algorithm]) + signer.seed)
    return f"{_SECRET}{signer.name}+{signer.verifier.key_id.hex()}+{key}"


def parse_skey(text: str) -> Signer:
    if not text.startswith(_SECRET):
        raise Malformed("not a private note key")
    signer = Signer(*_parse_key(text.removeprefix(_SECRET), what="private key"))
    if format_skey(signer) != text:
        raise Malformed("private key does not match its own key id")
    return signer


def format_note(note: Note) -> bytes:
    lines = [f"{_DASH}{s.name} {format_base64(s.key_id + s.blob)}\n" for s in note.signatures]
    return (note.text + "\n" + "".join(lines)).encode()


def parse_note(data: bytes) -> Note:
    """The parts of a note, unchecked: trust none of them before `open_note`."""
    if len(data) > MAX_NOTE_BYTES:
        raise Malformed(f"note is longer than {MAX_NOTE_BYTES} bytes")
    whole = parse_utf8(data, what="note")
    if any(c < " " and c != "\n" for c in whole):
        raise Malformed("note holds a control character")
    text, gap, tail = whole.rpartition("\n\n")
    lines = tail.split("\n")
    if not gap or lines.pop() or not lines:
        raise Malformed("note has no signature lines, or does not end with a newline")
    if len(lines) > MAX_SIGNATURES:
        raise Malformed(f"note has more than {MAX_SIGNATURES} signatures")
    return Note(text + "\n", tuple(_parse_signature(line) for line in lines))


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """A note signed by log keys; raises Malformed if the text cannot be one."""
    try:
        message = text.encode()
    except UnicodeEncodeError as e:
        raise Malformed("text holds half a surrogate pair") from e
    lines = tuple(
        _line(s, Ed25519PrivateKey.from_private_bytes(s.seed).sign(message))
        for s in signers
        if s.algorithm is Algorithm.ED25519
    )
    if len(lines) != len(signers):
        raise Malformed("a witness key cannot sign without a time: use cosign_note")
    data = format_note(Note(text, lines))
    if parse_note(data).text != text:
        raise Malformed("text cannot be the text of a note")
    return data


def cosign_note(data: bytes, witness: Signer, *, seconds: int) -> bytes:
    """The note with the line of a witness that saw it at `seconds` since 1970 UTC."""
    if witness.algorithm is not Algorithm.COSIGNATURE:
        raise Malformed("a log key cannot cosign: use a witness key")
    note = parse_note(data)
    key = Ed25519PrivateKey.from_private_bytes(witness.seed)
    blob = seconds.to_bytes(_TIME_BYTES, "big") + key.sign(_cosigned(note.text, seconds))
    others = tuple(s for s in note.signatures if not _claims(s, witness.verifier))
    return format_note(Note(note.text, (*others, _line(witness, blob))))


def keep_signature(data: bytes, verifier: Verifier) -> bytes:
    """The note with the signature line of this key alone, unchecked; UnknownKey if it has none."""
    note = parse_note(data)
    line = next((s for s in note.signatures if _claims(s, verifier)), None)
    if line is None:
        raise UnknownKey(f"note is not signed by {verifier.name}+{verifier.key_id.hex()}")
    return format_note(Note(note.text, (line,)))


def open_note(data: bytes, verifiers: Iterable[Verifier]) -> Opened:
    """The text with those of `verifiers` that signed it.

    Raises Malformed, UnknownKey if none of them signed, NotProven if a signature of one is wrong.
    """
    note = parse_note(data)
    trusted = tuple(verifiers)
    signers: list[Verifier] = []
    times: dict[Verifier, int] = {}
    for signature in note.signatures:
        verifier = next((v for v in trusted if _claims(signature, v)), None)
        if verifier is None:
            continue
        seconds = _check_signature(note.text, signature, verifier)
        if verifier not in signers:
            signers.append(verifier)
            if seconds is not None:
                times[verifier] = seconds
    if not signers:
        names = ", ".join(f"{s.name}+{s.key_id.hex()}" for s in note.signatures)
        raise UnknownKey(f"note is signed by {names[:200]}, and by no trusted key")
    return Opened(note.text, tuple(signers), times)


def _check_signature(text: str, signature: Signature, verifier: Verifier) -> int | None:
    """Raises NotProven; the time of a cosignature, None for a log's own signature."""
    seconds, blob, message = None, signature.blob, text.encode()
    if verifier.algorithm is Algorithm.COSIGNATURE:
        seconds = int.from_bytes(blob[:_TIME_BYTES], "big")
        blob, message = blob[_TIME_BYTES:], _cosigned(text, seconds)
    try:
        Ed25519PublicKey.from_public_bytes(verifier.public).verify(blob, message)
    except InvalidSignature as e:
        raise NotProven(f"signature of {verifier.name} does not hold") from e
    if seconds is not None and seconds > MAX_SIZE:
        raise NotProven(f"cosignature of {verifier.name} has no valid time")
    return seconds


def _claims(signature: Signature, verifier: Verifier) -> bool:
    """Whether the line says it is by this key, which proves nothing yet."""
    return (signature.name, signature.key_id) == (verifier.name, verifier.key_id)


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _line(signer: Signer, blob: bytes) -> Signature:
    return Signature(signer.name, signer.verifier.key_id, blob)


def _parse_signature(line: str) -> Signature:
    name, gap, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not gap:
        raise Malformed("note has a line among its signatures that is none")
    _check_name(name)
    data = parse_base64(encoded, what=f"signature of {name[:100]}")
    if len(data) <= _KEY_ID_BYTES:
        raise Malformed(f"signature of {name[:100]} is too short")
    return Signature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _parse_key(text: str, *, what: str) -> tuple[str, Algorithm, bytes]:
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise Malformed(f"{what} is not name+id+key")
    name, _, encoded = parts
    _check_name(name)
    key = parse_base64(encoded, what=what)
    if len(key) != 1 + _KEY_BYTES:
        raise Malformed(f"{what} is not of 32 bytes")
    if key[0] not in tuple(Algorithm):
        raise Malformed(f"{what} is of an unknown type {key[0]:#04x}")
    return name, Algorithm(key[0]), key[1:]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise Malformed(f"not a key name: {name[:100]!r}")
