"""Undoing a change of brightness or contrast before tokens are read.

A picture that was brightened reads badly, and which factor undoes it is told by the mean reading
margin, which asks for no key. What was clipped to black or white stays lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as picture editors take their grey from


@dataclass(frozen=True)
class Level:
    """By what distance from black (brightness) and from mean grey (contrast) were multiplied."""

    brightness: float = 1.0
    contrast: float = 1.0

    def __str__(self) -> str:
        parts = []
        if self.brightness != 1:
            parts.append(f"brightness / {self.brightness:g}")
        if self.contrast != 1:
            parts.append(f"contrast / {self.contrast:g}")
        return ", ".join(parts) or "as it is"


AS_IT_IS = Level()
LEVELS = (
    AS_IT_IS,
    *(Level(brightness=gain) for gain in (0.6, 0.75, 0.88, 1.15, 1.32, 1.5, 1.72, 2.0)),
    *(Level(contrast=gain) for gain in (0.6, 0.75, 1.25, 1.5, 1.75)),
)


def levelled(pixels: Tensor, level: Level) -> Tensor:  # (3, H, W) -> (3, H, W)
    """The picture with a level undone, in [0, 1]."""
    out = pixels / level.brightness
    if level.contrast != 1:
        grey = sum(weight * plane for weight, plane in zip(LUMA, out, strict=True))
        assert isinstance(grey, Tensor)
        mean = grey.mean()
        out = (out - mean) / level.contrast + mean
    return out.clamp(0, 1)
