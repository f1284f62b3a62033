"""How a picture was compressed last, and doing the same to another picture.

A detector that is shown photographs as JPEG and drawings as PNG learns to tell JPEG from PNG
(arXiv 2505.14359). So a counterpart is always compressed as its photograph was: a JPEG's own
quantisation tables and chroma subsampling (ITU-T T.81, B.2.4.1 and A.1.1), a lossy WebP at the
quality whose base quantiser is nearest to the file's (VP8, RFC 6386 section 9.6).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from PIL import Image, JpegImagePlugin

from provenance.image import Pixels
from provenance.robustness import files

Codec = Literal["lossless", "JPEG", "WebP"]
SAMPLE = 256  # px: the corner of a WebP that qualities are tried on


@dataclass(frozen=True)
class History:
    """The last lossy step: a JPEG's tables and subsampling, or a WebP's quality."""

    codec: Codec
    tables: tuple[tuple[int, ...], ...] = ()  # of a JPEG: luma, chroma; 64 each, in zigzag order
    subsampling: int = 0  # of a JPEG, as Pillow counts: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0
    quality: int = 0  # of a WebP, 0 to 100

    def apply(self, pixels: Pixels) -> Pixels:
        """The picture (3, H, W) rounded to 8 bits and compressed so."""
        if self.codec == "lossless":
            return files.rounded(pixels)
        return files.from_image(Image.open(io.BytesIO(self.encode(pixels))))

    def encode(self, pixels: Pixels) -> bytes:
        """The file of a picture (3, H, W); PNG for lossless."""
        options: dict[str, Any] = {"format": "PNG"}
        if self.codec == "JPEG":
            tables = [list(table) for table in self.tables]
            options = {"format": "JPEG", "qtables": tables, "subsampling": self.subsampling}
        elif self.codec == "WebP":
            options = {"format": "WEBP", "quality": self.quality}
        file = io.BytesIO()
        files.to_image(pixels).save(file, **options)
        return file.getvalue()


LOSSLESS = History("lossless")


def read_history(data: bytes) -> History:
    """The last lossy step of a PNG, JPEG or WebP file."""
    with Image.open(io.BytesIO(data)) as picture:
        if isinstance(picture, JpegImagePlugin.JpegImageFile):
            tables = tuple(tuple(table) for _, table in sorted(picture.quantization.items()))
            return History("JPEG", tables[:2], max(0, JpegImagePlugin.get_sampling(picture)))
        if picture.format == "WEBP" and (index := webp_quantiser(data)) is not None:
            part = picture.convert("RGB").crop((0, 0, SAMPLE, SAMPLE))
            return History("WebP", quality=_quality(index, files.from_image(part)))
    return LOSSLESS


def _quality(index: int, pixels: Pixels) -> int:
    """The WebP quality whose quantiser index for this picture is nearest to `index`.

    The index falls as the quality rises; of two as near the higher quality.
    """
    low, high = 0, 100
    while low < high:  # the least quality with an index of at most `index`
        middle = (low + high) // 2
        low, high = (low, middle) if _index(pixels, middle) <= index else (middle + 1, high)
    near = [q for q in (low - 1, low) if q >= 0]
    return min(reversed(near), key=lambda q: abs(_index(pixels, q) - index))


def _index(pixels: Pixels, quality: int) -> int:
    found = webp_quantiser(History("WebP", quality=quality).encode(pixels))
    assert found is not None, "Pillow writes VP8"
    return found


def webp_quantiser(data: bytes) -> int | None:
    """The base quantiser index (0 fine to 127 coarse) of a WebP file's VP8 frame, if it has one."""
    at = data.find(b"VP8 ", 12)
    if at < 0 or data[at + 11 : at + 14] != b"\x9d\x01\x2a":
        return None
    bits = _BoolDecoder(data[at + 18 :])
    bits.read(2)  # colour space, clamping
    if bits.read(1):
        _skip_segments(bits)
    bits.read(10)  # the loop filter: kind, level, sharpness
    if bits.read(1) and bits.read(1):
        for _ in range(8):
            bits.optional(7)
    bits.read(2)  # partitions
    return bits.read(7)


def _skip_segments(bits: _BoolDecoder) -> None:
    placed, measured = bits.read(1), bits.read(1)
    if measured:
        bits.read(1)
        for width in (8, 8, 8, 8, 7, 7, 7, 7):  # quantiser, loop filter: each with its sign
            bits.optional(width)
    if placed:
        for _ in range(3):
            bits.optional(8)


class _BoolDecoder:
    """The arithmetic decoder of VP8 (RFC 6386, section 7), at even odds as headers use it."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 2
        self.value = int.from_bytes(data[:2])
        self.range, self.shifted = 255, 0

    def read(self, bits: int) -> int:
        """An unsigned number, its highest bit first."""
        number = 0
        for _ in range(bits):
            number = number << 1 | self._bit()
        return number

    def optional(self, bits: int) -> None:
        """Pass over a flag and, if it is set, a number."""
        if self.read(1):
            self.read(bits)

    def _bit(self) -> int:
        split = 1 + ((self.range - 1) >> 1)
        found = int(self.value >= split << 8)
        if found:
            self.range -= split
            self.value -= split << 8
        else:
            self.range = split
        while self.range < 128:
            self.value, self.range = self.value << 1, self.range << 1
            self.shifted += 1
            if self.shifted == 8:
                self.shifted = 0
                self.value |= self.data[self.at] if self.at < len(self.data) else 0
                self.at += 1
        return found


@lru_cache(maxsize=303)
def jpeg(quality: int, subsampling: int = 2) -> History:
    """What Pillow does at a JPEG quality of 1 to 100."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return read_history(file.getvalue())
