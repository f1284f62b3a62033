"""Picture files built in memory, also such as no encoder would write."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # PNG's colour types
FORMATS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
}
R, G, B = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)  # sRGB's
DISPLAY_P3 = (0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841)
Light = tuple[float, float, float]
"""CIE XYZ of a primary colour, adapted to the white D50."""


def png(
    row: bytes, *, width: int, height: int = 1, depth: int, colour: int, **chunks: bytes
) -> bytes:
    """A PNG file of one row, written by hand: Pillow cannot write all that PNG allows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"\0" + row)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [
            (b"IHDR", header),
            *((name.encode(), data) for name, data in chunks.items()),
            (b"IDAT", body),
            (b"IEND", b""),
        ]
    )


def shorts(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def saved(picture: Image.Image, form: str, **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, form, **(FORMATS.get(form, {}) | options))
    return file.getvalue()


def colours(seed: int = 0) -> Image.Image:
    """A picture without any symmetry, 48 x 40, smooth enough for JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((48, 40), Image.Resampling.BICUBIC)


def profile(space: bytes, **tags: bytes) -> bytes:
    """An ICC version 2 profile (ICC.1:2001-04) with these tags and the white D50."""
    tags["wtpt"] = xyz(0.9642, 1, 0.8249)
    offset, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name.encode() + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    connection = b"Lab " if "A2B0" in tags else b"XYZ "
    device = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I4xI", offset + len(body), 0x02100000) + device + space + connection
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def rgb_profile(red: Light, green: Light, blue: Light, exponent: float = 2.2) -> bytes:
    lights = {"rXYZ": xyz(*red), "gXYZ": xyz(*green), "bXYZ": xyz(*blue)}
    return profile(b"RGB ", **lights, **dict.fromkeys(("rTRC", "gTRC", "bTRC"), gamma(exponent)))


def animated(form: str) -> bytes:
    return saved(colours(), form, save_all=True, append_images=[colours(1)], duration=100)


def giant(form: str, width: int, height: int) -> bytes:
    """Only the header of a picture: nothing follows that could be decoded."""
    if form == "PNG":
        return png(b"", width=width, height=height, depth=8, colour=RGB)
    whole = saved(colours(), form)
    if form == "JPEG":
        return whole.replace(struct.pack(">HH", 40, 48), struct.pack(">HH", height, width), 1)
    bits = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return whole[:21] + bits + whole[25:]
