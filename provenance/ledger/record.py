"""Records: what the log says, in canonical bytes with a version.

A record is the line `countermark-record/1`, then one JSON object in the canonical form of RFC 8785
(keys sorted, no spaces, UTF-8, no fractions), then a newline. Reading is strict: `parse_record`
accepts exactly what `format_record` writes. A record is public for ever: it never holds a prompt,
an account or an address: at most a commitment, which says nothing once its salt is deleted.
"""

import hmac
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, NewType, TypeVar, get_type_hints

from provenance.ledger.encoding import parse_utf8
from provenance.ledger.errors import Malformed, NotProven
from provenance.ledger.merkle import Hash

VERSION_LINE = b"countermark-record/1\n"
MAX_RECORD_BYTES = 65_535  # an entry bundle gives its length in two bytes (c2sp.org/tlog-tiles)
MAX_TEXT = 512  # characters of one field
SALT_BYTES = 32
MOST_NUMBER_BITS = 40  # of a number that a mark carries

T = TypeVar("T")

Digest = NewType("Digest", bytes)  # SHA-256, 32 bytes
Number = NewType("Number", str)  # a decimal number as written, so that 0.1 stays 0.1
MarkNumber = NewType("MarkNumber", int)  # what a mark carries: opaque, from 1


@dataclass(frozen=True)
class Mark:
    """Which watermark was drawn in, and with which key."""

    scheme: str
    key: str


@dataclass(frozen=True)
class Commitment:
    """What a personal value was, to whoever is shown its salt; nothing to anyone else."""

    field: str
    digest: Digest


@dataclass(frozen=True)
class Opening:
    """The salt and value behind a commitment; deleting it erases the value."""

    field: str
    salt: bytes
    value: bytes


@dataclass(frozen=True)
class Subject:
    """The earlier entry that a record speaks about."""

    index: int
    leaf: Hash


@dataclass(frozen=True)
class Picture:
    """A picture was made. `mark` is None only where `policy` says so."""

    kind: ClassVar[str] = "picture"
    at: datetime
    id: str
    software: str
    generator: str
    weights: Digest
    mark: Mark | None
    policy: str
    erased: tuple[str, ...]
    pixels: Digest
    file: Digest
    fingerprint: str
    manifest: str
    commitments: tuple[Commitment, ...]


@dataclass(frozen=True)
class Marking:
    """A picture that was brought here was marked on request; nothing is said of who made it or how.

    `codec` and `weights` are those that the mark was put in with. `number` is what the mark
    carries, None if the picture had no room for one. File and pixels are of the marked picture.
    """

    kind: ClassVar[str] = "marking"
    at: datetime
    id: str
    software: str
    codec: str
    weights: Digest
    mark: Mark
    number: MarkNumber | None
    pixels: Digest
    file: Digest
    fingerprint: str
    manifest: str
    commitments: tuple[Commitment, ...]


@dataclass(frozen=True)
class Revocation:
    """What an earlier entry said no longer stands."""

    kind: ClassVar[str] = "revocation"
    at: datetime
    subject: Subject
    reason: str


@dataclass(frozen=True)
class KeyRotation:
    """From now on `active` does what `retired` did; a compromise says since when."""

    kind: ClassVar[str] = "key-rotation"
    at: datetime
    purpose: str
    retired: str
    active: str
    compromised: datetime | None


@dataclass(frozen=True)
class Erasure:
    """The openings of these fields of an earlier entry were deleted."""

    kind: ClassVar[str] = "erasure"
    at: datetime
    subject: Subject
    fields: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class ThresholdChange:
    """A detector decides differently from now on."""

    kind: ClassVar[str] = "threshold-change"
    at: datetime
    detector: str
    version: str
    old: Number
    new: Number
    reason: str


GivenOut = Picture | Marking  # a file with a mark, a manifest and a fingerprint left this place
Record = GivenOut | Revocation | KeyRotation | Erasure | ThresholdChange

KINDS: dict[str, type[Record]] = {
    Picture.kind: Picture,
    Marking.kind: Marking,
    Revocation.kind: Revocation,
    KeyRotation.kind: KeyRotation,
    Erasure.kind: Erasure,
    ThresholdChange.kind: ThresholdChange,
}


def commit(opening: Opening) -> Commitment:
    """HMAC-SHA-256 under a fresh random salt: hides the value, and binds to it."""
    if len(opening.salt) != SALT_BYTES:
        raise Malformed(f"a salt is {SALT_BYTES} bytes long, not {len(opening.salt)}")
    try:
        _text(opening.field)
    except ValueError as e:
        raise Malformed("a commitment needs the name of a field, in one line") from e
    message = b"countermark-commitment/1\n" + opening.field.encode() + b"\n" + opening.value
    return Commitment(opening.field, Digest(hmac.digest(opening.salt, message, "sha256")))


def check_commitment(record: Record, opening: Opening) -> None:
    """Raises NotProven unless the record commits to this value."""
    if not isinstance(record, GivenOut) or commit(opening) not in record.commitments:
        raise NotProven(f"the record does not commit to this {opening.field!r}")


def format_record(record: Record) -> bytes:
    """The bytes that are hashed; raises Malformed if a field has no canonical form."""
    data = _write(record)
    if _read(data) != record:
        raise Malformed(f"a {record.kind} record has a field with no canonical form")
    return data


def parse_record(data: bytes) -> Record:
    record = _read(data)
    if _write(record) != data:
        raise Malformed("record is not in canonical form")
    return record


def _write(record: Record) -> bytes:
    try:
        document = _encode_fields(record) | {"kind": record.kind}
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return VERSION_LINE + text.encode() + b"\n"
    except (AttributeError, KeyError, TypeError, ValueError) as e:
        raise Malformed(f"a {record.kind} record has a field of the wrong type: {e}") from e


def _read(data: bytes) -> Record:
    if len(data) > MAX_RECORD_BYTES:
        raise Malformed(f"record is longer than {MAX_RECORD_BYTES} bytes")
    if not data.startswith(VERSION_LINE):
        raise Malformed(f"record does not start with {VERSION_LINE.decode().strip()!r}")
    text = parse_utf8(data.removeprefix(VERSION_LINE), what="record")
    try:
        document = json.loads(text, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as e:
        raise Malformed(f"record is not JSON: {e}") from e
    if not isinstance(document, dict):
        raise Malformed("record is not a JSON object")
    kind = document.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise Malformed(f"record is of an unknown kind {str(kind)[:100]!r}")
    return _decode_fields(KINDS[kind], document, where=kind)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Malformed("record has the same key twice in one object")
    return document


def _encode_fields(value: Any) -> dict[str, Any]:
    return {
        name: CODECS[hint].encode(getattr(value, name))
        for name, hint in _SHAPES[type(value)].items()
    }


def _decode_fields(made: type[T], document: Any, *, where: str) -> T:
    shape = _SHAPES[made]
    if not isinstance(document, dict) or document.keys() != shape.keys():
        raise Malformed(f"{where} does not have exactly the fields {', '.join(sorted(shape))}")
    values = {}
    for name, hint in shape.items():
        try:
            values[name] = CODECS[hint].decode(document[name])
        except (AttributeError, TypeError, ValueError) as e:
            raise Malformed(f"{where}.{name} is of the wrong form") from e
    return made(**values)


def _shape(made: type) -> dict[str, Any]:
    hints = get_type_hints(made)
    return {f.name: hints[f.name] for f in fields(made)}


_SHAPES: dict[type, dict[str, Any]] = {
    made: _shape(made) for made in (*KINDS.values(), Mark, Subject)
}


@dataclass(frozen=True)
class _Codec:
    """How one type is written in JSON; `decode` raises ValueError, TypeError or AttributeError."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def _optional(codec: _Codec) -> _Codec:
    return _Codec(
        lambda value: None if value is None else codec.encode(value),
        lambda value: None if value is None else codec.decode(value),
    )


def _structure(made: type) -> _Codec:
    return _Codec(_encode_fields, lambda value: _decode_fields(made, value, where=made.__name__))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise ValueError(f"not a text of 1 to {MAX_TEXT} characters")
    plain = value.isascii() and value.isprintable()
    if not plain and any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
        raise ValueError("a control character or half a surrogate pair in a text")
    return value


def _index(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:  # RFC 8785: exact in every JSON reader
        raise ValueError("not an index")
    return value


def _mark_number(value: Any) -> int:
    if not 0 < _index(value) < 2**MOST_NUMBER_BITS:
        raise ValueError(f"not a number of up to {MOST_NUMBER_BITS} bits, from 1")
    return int(value)


def _number(value: Any) -> str:
    if not re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e-?[1-9][0-9]*)?", _text(value)):
        raise ValueError("not a decimal number")
    return str(value)


def _digest(value: Any) -> bytes:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("not a SHA-256 digest in lower-case hexadecimal")
    return bytes.fromhex(value)


def _format_time(value: datetime) -> str:
    if value.tzinfo is not UTC or value.microsecond:
        raise ValueError("not a time in UTC and whole seconds")
    return value.replace(tzinfo=None).isoformat() + "Z"


def _time(value: Any) -> datetime:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", value):
        raise ValueError("not a time like 2026-11-22T10:56:18Z")
    return datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=UTC)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    texts = tuple(_text(item) for item in value)
    if list(texts) != sorted(set(texts)):
        raise ValueError("not sorted, or the same text twice")
    return texts


def _commitments(value: Any) -> tuple[Commitment, ...]:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return tuple(
        Commitment(_text(field), Digest(_digest(digest))) for field, digest in value.items()
    )


_TEXT = _Codec(_text, _text)
_TIME = _Codec(_format_time, _time)
_MARK = _structure(Mark)
_MARK_NUMBER = _Codec(_mark_number, _mark_number)

CODECS: dict[Any, _Codec] = {
    str: _TEXT,
    int: _Codec(_index, _index),
    Number: _Codec(_number, _number),
    Digest: _Codec(bytes.hex, _digest),
    Hash: _Codec(bytes.hex, _digest),
    datetime: _TIME,
    datetime | None: _optional(_TIME),
    Mark: _MARK,
    Mark | None: _optional(_MARK),
    MarkNumber | None: _optional(_MARK_NUMBER),
    Subject: _structure(Subject),
    tuple[str, ...]: _Codec(lambda value: _texts(list(value)), _texts),
    tuple[Commitment, ...]: _Codec(
        lambda value: {c.field: c.digest.hex() for c in value}, _commitments
    ),
}
