"""JUMBF boxes (ISO 19566-5), as far as C2PA 2.4, section 11.1, uses them.

A superbox is a description (what kind, which label) and then superboxes or content. What C2PA
hashes is a superbox without its own eight header bytes. Reading is strict: every length adds up,
no box is longer than its parent, and a description has the one form that C2PA prescribes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from provenance.manifest.errors import Malformed, Unsupported

_SUFFIX = bytes.fromhex("00110010800000aa00389b71")  # of every type that C2PA names
_HEADER = 8  # length and type, four bytes each
_MAX_DEPTH = 6  # store, manifest, assertion store, assertion, content, and one to spare
_REQUESTABLE_WITH_LABEL = 0x03
_WITH_PRIVATE = 0x10  # a salt, in a box of its own


def kind(name: bytes) -> bytes:
    """The 16 bytes of a type that C2PA names by four letters."""
    return name + _SUFFIX


STORE, MANIFEST, COMPRESSED = kind(b"c2pa"), kind(b"c2ma"), kind(b"c2cm")
CLAIM, SIGNATURE, ASSERTIONS = kind(b"c2cl"), kind(b"c2cs"), kind(b"c2as")
CBOR = kind(b"cbor")


@dataclass(frozen=True)
class Superbox:
    """`payload` is everything after the header: what a hash is taken over."""

    kind: bytes
    label: str
    payload: bytes
    children: tuple[Superbox, ...]
    contents: tuple[tuple[bytes, bytes], ...]  # type and bytes of each box that is no superbox

    def child(self, label: str) -> Superbox:
        """The one child of a label; raises Malformed if there is none, or more than one."""
        named = [box for box in self.children if box.label == label]
        if len(named) != 1:
            raise Malformed(f"{self.label} has {len(named)} boxes {label!r}, not one")
        return named[0]

    def content(self, of: bytes) -> bytes:
        """The bytes of the only content box, of this type."""
        if self.children or [name for name, _ in self.contents] != [of]:
            raise Malformed(f"{self.label} does not hold exactly one {of.decode()} box")
        return self.contents[0][1]


def format_box(name: bytes, data: bytes) -> bytes:
    return (_HEADER + len(data)).to_bytes(4, "big") + name + data


def format_superbox(of: bytes, label: str, *content: bytes) -> bytes:
    """A superbox from boxes that are formatted already."""
    description = of + bytes([_REQUESTABLE_WITH_LABEL]) + label.encode() + b"\0"
    return format_box(b"jumb", format_box(b"jumd", description) + b"".join(content))


def parse_superbox(data: bytes, *, depth: int = 0) -> Superbox:
    """The superbox that these bytes are, whole."""
    boxes = list(split(data))
    if len(boxes) != 1 or boxes[0][0] != b"jumb":
        raise Malformed("not one JUMBF superbox")
    return _parse(boxes[0][1], depth)


def split(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and bytes of each box in turn; raises Malformed where lengths do not add up."""
    start = 0
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        if length < _HEADER or start + length > len(data):
            raise Malformed(f"a box of {length} bytes where {len(data) - start} are left")
        yield data[start + 4 : start + _HEADER], data[start + _HEADER : start + length]
        start += length


def _parse(payload: bytes, depth: int) -> Superbox:
    if depth > _MAX_DEPTH:
        raise Malformed("boxes nest too deeply")
    boxes = list(split(payload))
    if not boxes or boxes[0][0] != b"jumd":
        raise Malformed("a superbox without a description")
    of, label = _parse_description(boxes[0][1])
    children = tuple(_parse(data, depth + 1) for name, data in boxes[1:] if name == b"jumb")
    contents = tuple((name, data) for name, data in boxes[1:] if name != b"jumb")
    return Superbox(of, label, payload, children, contents)


def _parse_description(data: bytes) -> tuple[bytes, str]:
    of, toggles, rest = data[:16], data[16:17], data[17:]
    label, end, private = rest.partition(b"\0")
    if not toggles or not end or not label:
        raise Malformed("a description without a label")
    if toggles[0] & ~_WITH_PRIVATE != _REQUESTABLE_WITH_LABEL:
        raise Unsupported(f"a description with toggles {toggles[0]:#x}")
    salts = [name for name, _ in split(private)]
    if salts != [b"c2sh"] * bool(toggles[0] & _WITH_PRIVATE):
        raise Malformed("a description with other private boxes than a salt")
    try:
        return of, label.decode("ascii")
    except UnicodeDecodeError as e:
        raise Malformed("a label that is not ASCII") from e
