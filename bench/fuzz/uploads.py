"""Hostile uploads: files that are cut, that explode, that lie, that are two things at once.

Each must end in a status from 400 to 499, or in a verdict or a fault that has a name; the service
must live and stay below a gigabyte. They are made from a seed, so that a failure can be had again.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGE = 60_000  # pixels of a side that no decoder should try
BOMB = 20_000_000  # bytes that some kilobytes expand to


@dataclass(frozen=True)
class Hostile:
    """A request to a route that takes pictures."""

    name: str
    media: str
    data: bytes
    headers: tuple[tuple[str, str], ...] = ()


def hostile_uploads(count: int, *, seed: int) -> Iterator[Hostile]:
    """So many uploads, each kind in turn."""
    rng = random.Random(seed)  # noqa: S311 - the same files every time
    for number in range(count):
        yield MAKERS[number % len(MAKERS)](rng)


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG, with the right checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def picture(width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG whose header says so, whatever its rows hold."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(rows, 9)
    parts = (b"IHDR", header), (b"IDAT", body), (b"IEND", b"")
    return SIGNATURE + b"".join(chunk(name, data) for name, data in parts)


def _plain(rng: random.Random) -> bytes:
    side = rng.randint(8, 64)
    return picture(side, side, b"".join(b"\0" + rng.randbytes(side) for _ in range(side)))


def _truncated(rng: random.Random) -> Hostile:
    data = _plain(rng)
    return Hostile("truncated", "image/png", data[: rng.randrange(1, len(data))])


def _flipped(rng: random.Random) -> Hostile:
    data = bytearray(_plain(rng))
    for _ in range(rng.randint(1, 30)):
        data[rng.randrange(8, len(data))] = rng.randrange(256)
    return Hostile("flipped", "image/png", bytes(data))


def _bomb(rng: random.Random) -> Hostile:
    return Hostile("bomb", "image/png", picture(10_000, 2_000, b"\0" * rng.randint(1, BOMB)))


def _huge(rng: random.Random) -> Hostile:
    side = rng.choice([LARGE, 2**31 - 1, 2**32 - 1, 0])
    return Hostile("huge sides", "image/png", picture(side, side, b"\0"))


def _text_bomb(rng: random.Random) -> Hostile:
    packed = b"Comment\0\0" + zlib.compress(b"A" * rng.randint(1, BOMB), 9)
    data = SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    return Hostile("text bomb", "image/png", data + chunk(b"zTXt", packed) + chunk(b"IEND", b""))


def _polyglot(rng: random.Random) -> Hostile:
    tail = rng.choice([b"PK\x03\x04" + rng.randbytes(99), b"<html><script>alert(1)</script>"])
    return Hostile("polyglot", "image/png", _plain(rng) + tail)


def _manifest(rng: random.Random) -> Hostile:
    data = _plain(rng)
    store = struct.pack(">I", rng.choice([0, 7, 2**31])) + b"jumb" + rng.randbytes(200)
    return Hostile("manifest", "image/png", data[:33] + chunk(b"caBX", store) + data[33:])


def _many_chunks(rng: random.Random) -> Hostile:
    data = _plain(rng)
    many = chunk(b"tEXt", b"a\0b") * rng.randint(1_000, 70_000)
    return Hostile("many chunks", "image/png", data[:33] + many + data[33:])


def _frames(rng: random.Random) -> Hostile:
    data = _plain(rng)
    control = chunk(b"acTL", struct.pack(">II", rng.choice([2, 2**31 - 1]), 0))
    return Hostile("frames", "image/png", data[:33] + control + data[33:])


def _jpeg(rng: random.Random) -> Hostile:
    segment = b"\xff\xe1" + struct.pack(">H", rng.randrange(65_536)) + rng.randbytes(300)
    size = struct.pack(">BHHB", 8, rng.randrange(65_536), rng.randrange(65_536), 3)
    frame = b"\xff\xc0\x00\x11" + size + b"\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    return Hostile("jpeg", "image/jpeg", b"\xff\xd8" + segment + frame + rng.randbytes(500))


def _webp(rng: random.Random) -> Hostile:
    body = rng.choice([b"VP8 ", b"VP8L", b"VP8X"]) + rng.randbytes(4 + rng.randint(0, 400))
    length = rng.choice([len(body) + 4, 2**32 - 1, 0])
    return Hostile("webp", "image/webp", b"RIFF" + struct.pack("<I", length) + b"WEBP" + body)


def _wrong_type(rng: random.Random) -> Hostile:
    heads = (b"GIF89a", b"%PDF-1.7", b"%!PS-Adobe", b"BM", b"II*\0", b"MZ", b"\x7fELF", b"<svg>")
    media = rng.choice(["image/png", "image/jpeg", "text/html", "application/x-tar", "x"])
    return Hostile("wrong type", media, rng.choice(heads) + rng.randbytes(100))


def _headers(rng: random.Random) -> Hostile:
    named = (("X-Long", "a" * rng.randint(1, 60_000)), ("Content-Encoding", "gzip"))
    return Hostile("headers", "image/png", _plain(rng), named)


def _form(rng: random.Random) -> Hostile:
    part = b'Content-Disposition: form-data; name="file"; filename="' + b"../" * rng.randint(1, 99)
    data = b"--b\r\n" + part + b'"\r\n\r\n' + _plain(rng) + b"\r\n--b" + rng.choice([b"--", b""])
    return Hostile("form", "multipart/form-data; boundary=b", data)


def _broken_form(rng: random.Random) -> Hostile:
    data = b"--b\r\n" + b"A: b\r\n" * rng.randint(0, 5_000) + rng.randbytes(300)
    return Hostile("broken form", "multipart/form-data; boundary=b", data)


MAKERS: tuple[Callable[[random.Random], Hostile], ...] = (
    _truncated,
    _flipped,
    _bomb,
    _huge,
    _text_bomb,
    _polyglot,
    _manifest,
    _many_chunks,
    _frames,
    _jpeg,
    _webp,
    _wrong_type,
    _headers,
    _form,
    _broken_form,
)
