"""Mark a picture that exists already, of any size.

Its tokens are re-quantised with red codes replaced by the nearest green ones (the post-hoc form of
LBW, arXiv 2506.01011). What that changes in the decoded picture is added to the original, so that
detail that the codec cannot draw survives, only as strongly as LIMIT decibels allow. The mark is
read back from the 8-bit result: a picture is marked at the target's p, or not given out at all.

Not promised: that the mark survives anything. Whoever holds the list can mark any photograph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from provenance.image import Pixels
from provenance.robustness.quality import SMALLEST, psnr, ssim
from provenance.watermark.embeddability import Attempt, CannotCarry, Judge
from provenance.watermark.errors import MarkError
from provenance.watermark.geometry import STRIDE, busiest, whole
from provenance.watermark.scheme import Bools
from provenance.watermark.search import LARGEST, Reader
from provenance.watermark.statistics import Evidence

LIMIT = 35.0  # dB against the original
SHARES = (0.5, 0.75, 1.0)  # of the red tokens that turn green, the cheapest first
STEP = 0.98  # how the strength is lowered while rounding keeps the picture below LIMIT
TILE, HALO = 64, 16  # tokens a side: worked on at once, and seen around it


class Codec(Reader, Protocol):
    """What marking asks of a codec; pixels are (B, 3, 8h, 8w), tokens (B, h, w)."""

    def vectors(self, pixels: Tensor) -> Tensor:  # -> (B, d, h, w)
        """What is quantised."""

    def similarity(self, vectors: Tensor) -> Tensor:  # -> (B, h, w, V)
        """How well each code stands for each vector: the best is the code of the token."""

    def decode(self, tokens: Tensor) -> Tensor:  # -> (B, 3, 8h, 8w)
        """The pixels of tokens."""


class TooSmall(MarkError):
    """A side is below 11 px, so that no similarity to the original can be told."""


@dataclass(frozen=True, eq=False)
class Marked:
    """A marked picture on the 8-bit grid, how near it is to the original, and what is read."""

    pixels: Pixels  # (3, H, W), as the original
    psnr: float  # dB
    ssim: float
    share: float  # of the red tokens that were turned green
    strength: float  # of the difference that was added, 0 to 1
    evidence: Evidence


@torch.inference_mode()
def mark(
    codec: Codec,
    judge: Judge,
    pixels: Pixels,
    *,
    favoured: Bools,
    target: float,
    shares: Sequence[float] = SHARES,
) -> Marked:
    """The picture (3, H, W) biased to the favoured codes (V,): of all shares the surest to read.

    Raises CannotCarry if none is read back at the target p, TooSmall below 11 px.
    """
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError("pixels lie in 0..1")
    if min(pixels.shape[1:]) < SMALLEST:
        raise TooSmall(f"{pixels.shape[2]} x {pixels.shape[1]} px: marked are 11 px a side and up")
    original = _padded(torch.from_numpy(np.ascontiguousarray(pixels, np.float32)))
    plain, swapped, loss = _tokens(codec, original, favoured)
    drawn = _decoded(codec, plain)
    results = []
    for share in shares:
        difference = _decoded(codec, _biased(plain, swapped, loss, share)) - drawn
        results.append(_added(judge, pixels, difference.numpy(force=True), share))
    best = min(results, key=lambda result: result.evidence.p)
    if best.evidence.p > target:
        raise CannotCarry([Attempt(result.share, result.evidence) for result in results], target)
    return best


def number(judge: Judge, pixels: Pixels) -> int | None:
    """The number read from a picture (3, H, W) where `mark` judges it; None if none can be."""
    message = judge.message(_seen(pixels))
    return None if message is None else message.number


def _seen(pixels: Pixels) -> Pixels:
    """What detection reads of a picture as it lies."""
    plain = torch.from_numpy(np.ascontiguousarray(pixels, np.float32))
    return whole(busiest(plain, LARGEST), 0, 0).numpy()


def _padded(pixels: Tensor) -> Tensor:  # (3, H, W) -> (3, 8h, 8w)
    """Edges repeated to the right and below up to whole tokens."""
    _, height, width = pixels.shape
    return F.pad(pixels[None], (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")[0]


def _biased(plain: Tensor, swapped: Tensor, loss: Tensor, share: float) -> Tensor:
    """The tokens of argmax(similarity + bias * green), the bias such that it moves this share."""
    if not 0 < share <= 1:
        raise ValueError(f"a share lies above 0 and up to 1, not {share}")
    red = loss[plain != swapped]
    if not red.numel():
        return plain
    bias = red.flatten().sort().values[math.ceil(share * red.numel()) - 1]
    return torch.where(loss <= bias, swapped, plain)


def _added(judge: Judge, pixels: Pixels, difference: Pixels, share: float) -> Marked:
    """The original with as much of the difference as LIMIT allows, rounded and read back."""
    height, width = pixels.shape[1:]
    difference = difference[:, :height, :width]
    error = math.sqrt(float(np.mean(np.square(difference, dtype=np.float64))))
    strength = min(1.0, 10 ** (-LIMIT / 20) / error) if error else 1.0
    result = _rounded(pixels + np.float32(strength) * difference)
    while (near := psnr(pixels, result)) < LIMIT and strength > STEP**400:
        strength *= STEP
        result = _rounded(pixels + np.float32(strength) * difference)
    assert near >= LIMIT, "a weaker difference is nearer"
    return Marked(
        pixels=result,
        psnr=near,
        ssim=ssim(pixels, result),
        share=share,
        strength=strength,
        evidence=judge.evidence(_seen(result)),
    )


def _rounded(pixels: Pixels) -> Pixels:
    levels: Pixels = np.rint(pixels.clip(0, 1) * 255).astype(np.float32) / np.float32(255)
    return levels


def _tokens(codec: Codec, pixels: Tensor, favoured: Bools) -> tuple[Tensor, Tensor, Tensor]:
    """Of (3, 8h, 8w) the nearest codes, the nearest green ones, what those lose: (h, w) each."""
    red = torch.from_numpy(~favoured)

    def quantised(tile: Tensor) -> Tensor:  # (3, 8h, 8w) -> (3, h, w)
        similarity = codec.similarity(codec.vectors(tile[None]))[0]
        best = similarity.max(-1)
        allowed = similarity.masked_fill(red.to(similarity.device), -torch.inf).max(-1)
        found = (best.indices, allowed.indices, best.values - allowed.values)
        return torch.stack([part.double() for part in found]).cpu()

    plain, swapped, loss = _tiled(quantised, pixels, taken=STRIDE, given=1)
    return plain.long(), swapped.long(), loss


def _decoded(codec: Codec, tokens: Tensor) -> Tensor:  # (h, w) -> (3, 8h, 8w)
    return _tiled(lambda t: codec.decode(t)[0].float().cpu(), tokens[None], taken=1, given=STRIDE)


def _tiled(apply: Callable[[Tensor], Tensor], source: Tensor, *, taken: int, given: int) -> Tensor:
    """`apply` to tiles that see HALO tokens around them, put together, (C, h, w) each.

    `taken` and `given` are the entries of a token's side in what goes in and comes out.
    """
    rows, columns = source.shape[1] // taken, source.shape[2] // taken
    bands = []
    for top, bottom, first_row, last_row in _spans(rows):
        band = []
        for left, right, first, last in _spans(columns):
            seen = source[:, first_row * taken : last_row * taken, first * taken : last * taken]
            made = apply(seen)
            down, across = (top - first_row) * given, (left - first) * given
            high, wide = (bottom - top) * given, (right - left) * given
            band.append(made[:, down : down + high, across : across + wide])
        bands.append(torch.cat(band, dim=2))
    return torch.cat(bands, dim=1)


def _spans(length: int) -> Iterator[tuple[int, int, int, int]]:
    """Start and end of each tile, and of what it sees."""
    for start in range(0, length, TILE):
        end = min(length, start + TILE)
        yield start, end, max(0, start - HALO), min(length, end + HALO)
