"""A label that people see, in the lower right corner: an option of a policy.

Its letters are at least a twentieth of the shorter side high; whether that is as large as a law
asks, GB 45438-2025 among them, was not checked against its text. Draw it before the mark is read
back: it covers a part of the picture. Whoever can crop can remove it.
"""

from __future__ import annotations

import math
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from provenance.image import Pixels
from provenance.manifest.errors import BadLabel

SHARE = 0.05  # of the shorter side
_LEGIBLE = 8  # pixels: fewer are no letters, however small the picture
_MAX_TEXT = 40  # characters
_MISSING = "\U0010ffff"  # a character no font has
_Font = ImageFont.FreeTypeFont


def draw_label(pixels: Pixels, text: str, *, font: bytes | None = None) -> Pixels:
    """A copy of (3, H, W) pixels with the text on a dark ground.

    Raises BadLabel for a text that does not fit or that the font has no letters for; without a
    font of your own (TrueType or OpenType) there are Latin letters only.
    """
    if not text.isprintable() or not 0 < len(text.strip()) <= _MAX_TEXT:
        raise BadLabel(f"a label is 1 to {_MAX_TEXT} printable characters, not {text[:80]!r}")
    _, height, width = pixels.shape
    needed = max(_LEGIBLE, math.ceil(SHARE * min(height, width)))
    lettering = _fit(text, font, needed)
    left, top, right, bottom = (int(edge) for edge in lettering.getbbox(text))
    margin = max(1, needed // 3)
    box = (right - left + 2 * margin, bottom - top + 2 * margin)
    if box[0] > width or box[1] > height:
        raise BadLabel(f"{text!r} does not fit into {width} x {height} pixels")
    plate = Image.new("RGB", box, (24, 24, 24))
    ImageDraw.Draw(plate).text((margin - left, margin - top), text, "white", font=lettering)
    labelled = pixels.copy()
    drawn = np.asarray(plate, np.float32).transpose(2, 0, 1) / 255
    labelled[:, height - box[1] :, width - box[0] :] = drawn
    return labelled


def _fit(text: str, font: bytes | None, needed: int) -> _Font:
    """The font at the first size at which the text is high enough."""
    size = needed
    while True:
        lettering = _load(font, size)
        _check_letters(lettering, text)
        _, top, _, bottom = lettering.getbbox(text)
        if bottom - top >= needed:
            return lettering
        size += max(1, size // 20)


def _load(font: bytes | None, size: int) -> _Font:
    try:
        loaded = ImageFont.truetype(BytesIO(font), size) if font else ImageFont.load_default(size)
    except OSError as e:
        raise BadLabel("the font is neither TrueType nor OpenType") from e
    if not isinstance(loaded, _Font):
        raise BadLabel("this Pillow was built without FreeType")
    return loaded


def _check_letters(lettering: _Font, text: str) -> None:
    missing = bytes(lettering.getmask(_MISSING))
    for letter in text:
        if not letter.isspace() and bytes(lettering.getmask(letter)) == missing:
            raise BadLabel(f"the font has no {letter!r}: give one that has")
