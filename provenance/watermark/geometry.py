"""How a picture may lie under the token grid.

Colours belong to codes and not to positions, so where a crop was taken from does not matter: only
the pitch of the grid, its phase, the angle and the handedness do. A crop that was resized back is
a frame with fewer pixels. A frame without a turn and of the picture's own size copies pixels
exactly; all others interpolate (bicubic, with antialiasing where they shrink).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

STRIDE = 8  # px a token, of every codec so far


@dataclass(frozen=True)
class Frame:
    """A picture mirrored or not, resized to height x width px, then turned counter-clockwise."""

    height: int
    width: int
    degrees: float = 0.0
    mirrored: bool = False


@dataclass(frozen=True)
class Geometry:
    """A frame, and the px (top, left) in 0..7 at which its first whole token starts."""

    frame: Frame
    top: int = 0
    left: int = 0

    def __str__(self) -> str:
        frame = self.frame
        parts = [f"{frame.width}x{frame.height}"]
        if frame.mirrored:
            parts.append("mirrored")
        if frame.degrees:
            parts.append(f"turned {frame.degrees:g}")
        if self.top or self.left:
            parts.append(f"from {self.left},{self.top}")
        return " ".join(parts)


def framed(pixels: Tensor, frame: Frame) -> Tensor:  # (3, H, W) -> (3, h, w)
    """The picture in this frame, in [0, 1]; what a turn brings in repeats the edge."""
    out = pixels.flip(2) if frame.mirrored else pixels
    size = (frame.height, frame.width)
    if out.shape[1:] != size:
        out = F.interpolate(out[None], size, mode="bicubic", antialias=True)[0]
    if frame.degrees:
        out = _turned(out, frame.degrees)
    return out if out is pixels else out.clamp(0, 1)


def _turned(pixels: Tensor, degrees: float) -> Tensor:
    """Turned counter-clockwise about the middle, as one sees it."""
    _, height, width = pixels.shape
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    back = torch.tensor(
        [[[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]]]
    )
    grid = F.affine_grid(back, [1, 3, height, width], align_corners=False)
    return F.grid_sample(
        pixels[None], grid, mode="bicubic", padding_mode="border", align_corners=False
    )[0]


def whole(pixels: Tensor, top: int, left: int) -> Tensor:  # (3, H, W) -> (3, 8h, 8w)
    """The whole tokens of a grid that starts at (top, left); a side may come out as 0."""
    _, height, width = pixels.shape
    rows = max(0, height - top) // STRIDE * STRIDE
    columns = max(0, width - left) // STRIDE * STRIDE
    return pixels[:, top : top + rows, left : left + columns]


def busiest(pixels: Tensor, side: int) -> Tensor:  # (3, H, W) -> (3, <= side, <= side)
    """The square of at most this side, starting at a multiple of 8 px, with the most detail.

    Detail is the squared difference of neighbours: it asks for no key, so choosing by it costs
    nothing.
    """
    _, height, width = pixels.shape
    rows, columns = min(side, height), min(side, width)
    if (rows, columns) == (height, width):
        return pixels
    grey = pixels.mean(0)
    detail = torch.zeros_like(grey)
    detail[:, 1:] += grey.diff(dim=1).square()
    detail[1:] += grey.diff(dim=0).square()
    mean = F.avg_pool2d(detail[None, None], (rows, columns), stride=STRIDE)[0, 0]
    down, right = divmod(int(mean.argmax()), mean.shape[1])
    top, left = down * STRIDE, right * STRIDE
    return pixels[:, top : top + rows, left : left + columns]
