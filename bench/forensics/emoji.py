"""Pictures like those of icons-128 that it never drew: the glyphs of Noto Color Emoji (OFL 1.1).

They are the PNG pictures inside NotoColorEmoji.ttf (Debian package fonts-noto-color-emoji), on
backgrounds as icons-128 was trained with.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from generators.training.icons import COLOURS, SIDE
from provenance.image import Pixels
from provenance.robustness import files

_BEGIN, _END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def glyphs(font: Path) -> Iterator[Image.Image]:
    """The RGBA pictures of the font, in the order of its table, each once."""
    data, at, seen = font.read_bytes(), 0, set()
    while (start := data.find(_BEGIN, at)) >= 0:
        at = data.index(_END, start) + len(_END)
        png = data[start:at]
        if png not in seen:
            seen.add(png)
            with Image.open(io.BytesIO(png)) as picture:
                yield picture.convert("RGBA")


def on_background(glyph: Image.Image, rng: np.random.Generator) -> Pixels:
    """A glyph on one colour or on a gradient of two, (3, 128, 128)."""
    names = list(COLOURS)
    first, second = (
        np.array(COLOURS[names[i]], np.float32) for i in rng.choice(len(names), 2, replace=False)
    )
    ramp = np.linspace(0, 1, SIDE, dtype=np.float32) * (rng.random() < 0.5)
    background = first[:, None] + (second - first)[:, None] * ramp
    picture = np.repeat(background[:, :, None], SIDE, axis=2)
    size = int(rng.integers(96, 121))
    small = glyph.resize((size, size), Image.Resampling.LANCZOS)
    rgba = np.asarray(small, np.float32).transpose(2, 0, 1) / 255
    y, x = rng.integers(0, SIDE - size + 1, size=2)
    part = picture[:, y : y + size, x : x + size]
    part[...] = rgba[3] * rgba[:3] + (1 - rgba[3]) * part
    return files.rounded(picture)
