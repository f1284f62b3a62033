"""Where a manifest lies in a PNG, JPEG or WebP file, and how one is put in.

C2PA 2.4, appendix A: PNG chunk caBX, JPEG APP11 segments (ISO 19566-5, annex D), RIFF chunk C2PA.
Scanning reads headers only, in one pass, and decodes no pixel. What follows the first scan of a
JPEG is not searched. A file is bytes; places are offsets into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

from provenance.manifest.errors import AlreadySigned, Malformed, NotEmbeddable, TooLarge

MAX_STORE = 1 << 20  # bytes: a chain of a hundred edits of ours, or one foreign thumbnail too many
_MAX_PARTS = 1 << 16  # chunks or segments of one file
_PNG, _RIFF, _WEBP = b"\x89PNG\r\n\x1a\n", b"RIFF", b"WEBP"
_IHDR_END = 33  # signature, then the one chunk whose length is fixed
_SOI, _APP0, _APP1, _APP11, _SOS, _EOI = 0xD8, 0xE0, 0xE1, 0xEB, 0xDA, 0xD9
_STANDALONE = {0x01, *range(0xD0, 0xD8)}  # TEM and RSTn: a marker and nothing else
_XMP_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_PNG = b"XML:com.adobe.xmp\0"
_JUMBF_HEADER = 8  # length and type of the box, said again in every further segment
_SEGMENT = 65_535 - 2 - 8  # what a segment carries after its length and JUMBF's own header
_INSTANCE = b"\x02\x11"  # which box of the file this is, the same in all its segments


class Kind(StrEnum):
    """A container, by its media type."""

    PNG = "image/png"
    JPEG = "image/jpeg"
    WEBP = "image/webp"


@dataclass(frozen=True)
class Scan:
    """A file's manifest store, where it lies with its own headers, and the XMP packet."""

    kind: Kind
    store: bytes | None = None
    start: int = 0
    length: int = 0
    xmp: bytes = b""


@dataclass(frozen=True)
class _Part:
    """One chunk or segment: its name, its data, and where it lies with its headers."""

    name: bytes
    data: bytes
    start: int
    end: int


def sniff(data: bytes) -> Kind | None:
    """The container by its first bytes, whatever the file is called."""
    if data.startswith(_PNG):
        return Kind.PNG
    if data.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if data[:4] == _RIFF and data[8:12] == _WEBP:
        return Kind.WEBP
    return None


def scan(data: bytes) -> Scan:
    """What a file holds; raises Malformed for a broken file, TooLarge for too long a store."""
    kind = sniff(data)
    if kind is None:
        raise Malformed("not a PNG, JPEG or WebP file")
    parts = list(_PARTS[kind](data))
    stores = _STORES[kind](parts)
    if len(stores) > 1:
        raise Malformed("more than one manifest store")
    xmp = b"".join(_xmp(part) for part in parts)
    if not stores:
        return Scan(kind, xmp=xmp)
    (store,) = stores
    if len(store.data) > MAX_STORE:
        raise TooLarge(f"a manifest store of {len(store.data)} bytes, at most {MAX_STORE} are read")
    return Scan(kind, store.data, store.start, store.end - store.start, xmp)


def slot(data: bytes) -> int:
    """Where the manifest of a file goes; raises NotEmbeddable or AlreadySigned."""
    try:
        found = scan(data)
    except Malformed as e:
        raise NotEmbeddable(str(e)) from e
    if found.store is not None:
        raise AlreadySigned("the file holds a manifest already")
    match found.kind:
        case Kind.PNG:
            return _IHDR_END
        case Kind.JPEG:
            parts = list(_jpeg_parts(data))
            return max((p.end for p in parts if p.name == bytes([_APP0])), default=2)
        case Kind.WEBP:
            return len(data)


def embed(data: bytes, store: bytes) -> bytes:
    """The file with the store in its slot; its headers say so where the container wants it."""
    at = slot(data)
    kind = sniff(data)
    assert kind is not None, "slot() sniffed it"
    framed = frame(kind, store)
    signed = data[:at] + framed + data[at:]
    if kind is Kind.WEBP:
        framed += b"\0" * (len(store) % 2)
        size = len(data) - 8 + len(framed)
        signed = _RIFF + size.to_bytes(4, "little") + data[8:] + framed
    return signed


def frame(kind: Kind, store: bytes) -> bytes:
    """A store with the headers of its container; of WebP without the byte that makes it even."""
    match kind:
        case Kind.PNG:
            return png_chunk(b"caBX", store)
        case Kind.JPEG:
            return b"".join(_segments(store))
        case Kind.WEBP:
            return b"C2PA" + len(store).to_bytes(4, "little") + store


def png_chunk(name: bytes, data: bytes) -> bytes:
    checksum = crc32(name + data)
    return len(data).to_bytes(4, "big") + name + data + checksum.to_bytes(4, "big")


def jpeg_segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (2 + len(data)).to_bytes(2, "big") + data


def _segments(store: bytes) -> Iterator[bytes]:
    header, rest = store[:_JUMBF_HEADER], store[_JUMBF_HEADER:]
    room = _SEGMENT - _JUMBF_HEADER
    for number, start in enumerate(range(0, len(rest), room), start=1):
        carried = header + rest[start : start + room]
        yield jpeg_segment(_APP11, b"JP" + _INSTANCE + number.to_bytes(4, "big") + carried)


def _png_parts(data: bytes) -> Iterator[_Part]:
    start, count = len(_PNG), 0
    while True:
        size = int.from_bytes(data[start : start + 4], "big")
        name, end = data[start + 4 : start + 8], start + size + 12
        if len(name) < 4 or end > len(data) or count > _MAX_PARTS:
            raise Malformed("a PNG file cut short, or of too many chunks")
        carries = name in (b"caBX", b"iTXt")
        body = data[start + 8 : end - 4] if carries else b""
        if carries and crc32(name + body) != int.from_bytes(data[end - 4 : end], "big"):
            raise Malformed(f"a chunk {name.decode()} with a wrong checksum")
        yield _Part(name, body, start, end)
        if name == b"IEND":
            return
        start, count = end, count + 1


def _jpeg_parts(data: bytes) -> Iterator[_Part]:
    start, count = 2, 0
    while True:
        if data[start : start + 1] != b"\xff" or count > _MAX_PARTS:
            raise Malformed("a JPEG file cut short, or of too many segments")
        marker = data[start + 1 : start + 2]
        if marker in (bytes([_SOS]), bytes([_EOI])):
            return
        if marker == b"\xff":  # a byte of fill
            start, count = start + 1, count + 1
            continue
        size = 0 if marker and marker[0] in _STANDALONE else _size(data, start)
        end = start + 2 + size
        if not marker or end > len(data):
            raise Malformed("a JPEG file cut short")
        carries = marker in (bytes([_APP1]), bytes([_APP11]))
        yield _Part(marker, data[start + 4 : end] if carries else b"", start, end)
        start, count = end, count + 1


def _size(data: bytes, start: int) -> int:
    size = int.from_bytes(data[start + 2 : start + 4], "big")
    if size < 2:
        raise Malformed("a JPEG segment shorter than its own length")
    return size


def _webp_parts(data: bytes) -> Iterator[_Part]:
    if int.from_bytes(data[4:8], "little") + 8 != len(data):
        raise Malformed("a WebP file of another length than its header says")
    start, count = 12, 0
    while start < len(data):
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        end = start + 8 + size
        if end + size % 2 > len(data) or count > _MAX_PARTS:
            raise Malformed("a WebP file cut short, or of too many chunks")
        name = data[start : start + 4]
        body = data[start + 8 : end] if name in (b"C2PA", b"XMP ") else b""
        yield _Part(name, body, start, end)
        start, count = end + size % 2, count + 1


def _named(name: bytes) -> Callable[[list[_Part]], list[_Part]]:
    return lambda parts: [part for part in parts if part.name == name]


def _jpeg_stores(parts: list[_Part]) -> list[_Part]:
    """JUMBF boxes put together from their segments; boxes of other kinds are left out."""
    boxes: list[list[_Part]] = []
    for part in parts:
        if part.name != bytes([_APP11]) or part.data[:2] != b"JP":
            continue
        number = int.from_bytes(part.data[4:8], "big")
        if number == 1:
            boxes.append([part])
        elif boxes and _continues(boxes[-1], part, number):
            boxes[-1].append(part)
        else:
            raise Malformed("APP11 segments out of order")
    return [_join(box) for box in boxes if box[0].data[24:28] == b"c2pa"]


def _continues(box: list[_Part], part: _Part, number: int) -> bool:
    first, last = box[0], box[-1]
    same = first.data[2:4] == part.data[2:4] and first.data[8:16] == part.data[8:16]
    return same and number == len(box) + 1 and part.start == last.end


def _join(box: list[_Part]) -> _Part:
    data = box[0].data[8:] + b"".join(part.data[16:] for part in box[1:])
    return _Part(b"C2PA", data, box[0].start, box[-1].end)


def _xmp(part: _Part) -> bytes:
    if part.name == b"XMP ":
        return part.data
    if part.name == bytes([_APP1]) and part.data.startswith(_XMP_JPEG):
        return part.data.removeprefix(_XMP_JPEG)
    if part.name == b"iTXt" and part.data.startswith(_XMP_PNG):
        return part.data.removeprefix(_XMP_PNG)
    return b""


_PARTS: dict[Kind, Callable[[bytes], Iterator[_Part]]] = {
    Kind.PNG: _png_parts,
    Kind.JPEG: _jpeg_parts,
    Kind.WEBP: _webp_parts,
}
_STORES: dict[Kind, Callable[[list[_Part]], list[_Part]]] = {
    Kind.PNG: _named(b"caBX"),
    Kind.JPEG: _jpeg_stores,
    Kind.WEBP: _named(b"C2PA"),
}
