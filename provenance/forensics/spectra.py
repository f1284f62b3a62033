"""Numbers of a crop's spectrum and of what is left when the predictable part is taken away.

A decoder leaves its marks where the eye does not look: too little power at the highest
frequencies, peaks at the frequencies of its strides (arXiv 2003.01826), neighbours that are copies
of each other (NPR, arXiv 2312.10461), channels that agree more or less than a camera's. None of
the numbers depends on the crop's brightness or on where a grid of blocks lies in it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor, nn

from provenance.image import Pixels

SIDE = 128  # px of a crop
RINGS = 32  # of the luma's spectrum; the lowest two are content
COARSE = 12  # rings of each chroma spectrum
STRIDES = (2, 4, 8)
FLOOR = 1e-7  # power of rounding to 8 bits is about 1e-6

COUNT = 137  # numbers of a crop
HIDDEN = 48
STRETCH = 4.0  # standard deviations at which a number stops counting for more

Features = NDArray[np.float32]


class SpectraHead(nn.Module):
    """Features (N, 137) to logits (N,): one hidden layer.

    Numbers far outside what was seen in training count no more than those at its border.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(COUNT, HIDDEN)
        self.out = nn.Linear(HIDDEN, 1)
        self.register_buffer("mean", torch.zeros(COUNT))
        self.register_buffer("spread", torch.ones(COUNT))

    def set_scale(self, mean: Tensor, spread: Tensor) -> None:
        """What a number is on average, and how far it strays."""
        self.mean.copy_(mean)
        self.spread.copy_(spread.clamp_min(1e-6))

    def forward(self, numbers: Tensor) -> Tensor:
        scaled = ((numbers - self.mean) / self.spread).clamp(-STRETCH, STRETCH)
        logits: Tensor = self.out(torch.relu(self.hidden(scaled)))[:, 0]
        return logits


def features(crops: Pixels) -> Features:
    """(N, 3, 128, 128) in [0, 1] to (N, 137) numbers, named by `names`."""
    if crops.ndim != 4 or crops.shape[1:] != (3, SIDE, SIDE):
        raise ValueError(f"crops are (N, 3, {SIDE}, {SIDE}), not {crops.shape}")
    luma, blue, red = _ycc(crops)
    power = _power(luma)
    parts = [
        np.log10(_rings(power, RINGS)[:, 2:] + FLOOR),
        *(np.log10(_rings(_power(c), COARSE)[:, 1:] + FLOOR) for c in (blue, red)),
        _peaks(power),
        _blocks(luma),
        *(_residual(c) for c in (luma, blue, red)),
        _agreement(crops),
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """What each number is, in order."""
    found = [f"luma power, ring {i}" for i in range(2, RINGS)]
    found += [f"{c} power, ring {i}" for c in ("blue", "red") for i in range(1, COARSE)]
    found += [f"peak at 1/{s}, {way}" for s in STRIDES for way in ("across", "down", "both")]
    found += [f"block DCT {u},{v}" for u, v in _ORDER]
    for c in ("luma", "blue", "red"):
        found += [f"{c} {kind}" for kind in ("size", "tails", "calm part", *_LAGS, *_COPIES)]
    return (*found, *(f"agreement {pair} {kind}" for kind in ("fine", "finest") for pair in _PAIRS))


_LAGS = ("lag 1 across", "lag 1 down", "lag 2 across", "lag 2 down", "lag 1 diagonal", "lag 4")
_COPIES = ("copies across", "copies down", "copies unevenness")
_PAIRS = ("red-green", "green-blue", "red-blue")
_ORDER = tuple((u, v) for u in range(8) for v in range(u, 8) if u + v > 1)


def _ycc(crops: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    red, green, blue = crops[:, 0], crops[:, 1], crops[:, 2]
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma, (blue - luma) * np.float32(0.564), (red - luma) * np.float32(0.713)


@lru_cache(maxsize=1)
def _window() -> Pixels:
    one = np.hanning(SIDE + 2)[1:-1]
    window = np.outer(one, one)
    scaled: Pixels = (window / np.sqrt((window**2).mean())).astype(np.float32)
    return scaled


def _power(channel: Pixels) -> Pixels:
    """Power of each frequency of the windowed channel, (N, 128, 65)."""
    calm = channel - channel.mean(axis=(1, 2), keepdims=True)
    spectrum = fft.rfft2(calm * _window(), norm="ortho")
    power: Pixels = spectrum.real**2 + spectrum.imag**2
    return power


@lru_cache(maxsize=4)
def _ring(rings: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The ring of each frequency (the last takes the corners too), and the mean over it."""
    radius = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    ring = np.minimum((radius * 2 * rings).astype(int), rings - 1).ravel()
    mean = np.zeros((ring.size, rings), np.float32)
    mean[np.arange(ring.size), ring] = 1
    return ring, mean / mean.sum(axis=0)


def _rings(power: Pixels, rings: int) -> Pixels:
    found: Pixels = power.reshape(len(power), -1) @ _ring(rings)[1]
    return found


def _peaks(power: Pixels) -> Pixels:
    """How far the power at the strides' frequencies stands above that around, in log10."""
    logs = np.log10(power + FLOOR)
    found = []
    for stride in STRIDES:
        at = SIDE // stride
        for y, x in ((0, at), (at, 0), (at, at)):
            rows = [(y + d) % SIDE for d in (-4, -3, -2, 2, 3, 4)]
            columns = [abs(x + d) if x + d <= SIDE // 2 else SIDE - x - d for d in range(-4, 5)]
            near = logs[:, [(y + d) % SIDE for d in (-1, 0, 1)]][:, :, columns[3:6]]
            around = logs[:, rows][:, :, columns]
            found.append(near.mean(axis=(1, 2)) - np.median(around, axis=(1, 2)))
    return np.stack(found, axis=1)


def _blocks(luma: Pixels) -> Pixels:
    """Log10 of the mean square of each 8 x 8 DCT coefficient, (u, v) with (v, u) together.

    Blocks lie at all phases of an odd stride, so that the grid of a JPEG is averaged away.
    """
    shifted = np.stack([luma[:, y : y + 120, x : x + 120] for y, x in ((0, 0), (3, 5), (5, 2))], 1)
    blocks = shifted.reshape(-1, 3, 15, 8, 15, 8).transpose(0, 1, 2, 4, 3, 5)
    coefficients = blocks.reshape(-1, 64) @ _dct()
    squares = (coefficients**2).reshape(len(luma), -1, 8, 8).mean(axis=1)
    both = squares + squares.transpose(0, 2, 1)
    return np.log10(np.stack([both[:, u, v] for u, v in _ORDER], axis=1) + FLOOR)


@lru_cache(maxsize=1)
def _dct() -> NDArray[np.float32]:
    """The two-dimensional DCT of 8 x 8 numbers as a matrix, (64, 64)."""
    one = fft.dct(np.eye(8), axis=0, norm="ortho")
    return np.kron(one, one).T.astype(np.float32)


def _residual(channel: Pixels) -> Pixels:
    """Size, tails, calm part, correlations and copies of what two neighbours do not predict."""
    left = channel[:, :, 1:-1] * 2 - channel[:, :, :-2] - channel[:, :, 2:]
    rest = left[:, 1:-1] * 2 - left[:, :-2] - left[:, 2:]
    square = (rest**2).mean(axis=(1, 2)) + FLOOR
    found = [
        np.log10(square),
        np.log10((rest**4).mean(axis=(1, 2)) / square**2 + 0.1),
        np.log10(_lower_quarter(np.abs(rest)) + 1e-4),
    ]
    for dy, dx in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 1), (0, 4)):
        height, width = rest.shape[1] - dy, rest.shape[2] - dx
        product = rest[:, :height, :width] * rest[:, dy:, dx:]
        found.append(product.mean(axis=(1, 2)) / square)
    return np.concatenate([np.stack(found, 1), _copies(channel)], axis=1)


def _lower_quarter(sizes: Pixels) -> Pixels:
    """The lower quartile of every second row and column."""
    flat = sizes[:, ::2, ::2].reshape(len(sizes), -1)
    quarter: Pixels = np.partition(flat, flat.shape[1] // 4, axis=1)[:, flat.shape[1] // 4]
    return quarter


def _copies(channel: Pixels) -> Pixels:
    """How much even steps between neighbours differ from odd ones, in log10."""
    across, down = np.diff(channel, axis=2) ** 2, np.diff(channel, axis=1) ** 2
    ways = []
    for steps in (across, down.transpose(0, 2, 1)):
        even, odd = steps[:, :, 0::2].mean(axis=(1, 2)), steps[:, :, 1::2].mean(axis=(1, 2))
        ways.append(np.abs(np.log10((even + FLOOR) / (odd + FLOOR))))
    eighths = [np.log10(across[:, :, i::8].mean(axis=(1, 2)) + FLOOR) for i in range(8)]
    return np.stack([*ways, np.std(eighths, axis=0)], axis=1)


def _agreement(crops: Pixels) -> Pixels:
    """Correlations of the channels' fine and finest detail."""
    fine = crops[:, :, 1:-1, 1:-1] * 4
    fine = fine - crops[:, :, :-2, 1:-1] - crops[:, :, 2:, 1:-1]
    fine = fine - crops[:, :, 1:-1, :-2] - crops[:, :, 1:-1, 2:]
    finest = np.diff(np.diff(fine, axis=2), axis=3)
    found = []
    for detail in (fine, finest):
        red, green, blue = detail[:, 0], detail[:, 1], detail[:, 2]
        for one, other in ((red, green), (green, blue), (red, blue)):
            shared = (one * other).mean(axis=(1, 2))
            sizes = np.sqrt((one**2).mean(axis=(1, 2)) * (other**2).mean(axis=(1, 2)))
            found.append(shared / (sizes + FLOOR))
    return np.stack(found, axis=1)
