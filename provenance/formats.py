"""What pictures are written as, when they leave.

The same pixels give the same file, as long as the encoders stay the same. A PNG holds the pixels as
they are; what JPEG and WebP lose is lost for the mark too, so it is read back from the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from typing import assert_never

from provenance.image import Pixels, eight_bit, encode_png

BEST = 100  # the quality that loses least


class Format(StrEnum):
    """A file format."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True)
class Encoding:
    """How a picture becomes a file; JPEG and lossy WebP have a quality, 0 (small) to 100 (true)."""

    format: Format = Format.PNG
    quality: int = BEST

    @property
    def media(self) -> str:
        """The media type of its files."""
        return f"image/{self.format}"

    def encode(self, pixels: Pixels) -> bytes:
        """The file of (3, H, W) pixels in [0, 1]; a JPEG keeps its colours at full size."""
        match self.format:
            case Format.PNG:
                return encode_png(pixels)
            case Format.JPEG:
                options = {"quality": max(1, self.quality), "subsampling": 0}
            case Format.WEBP:
                options = {"quality": self.quality}
            case _:
                assert_never(self.format)
        file = BytesIO()
        eight_bit(pixels).save(file, self.format.value, **options)
        return file.getvalue()
