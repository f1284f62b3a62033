"""Which geometries of a picture read most surely, coarse to fine, without a key.

A codec's finder tells from one window how likely the grid of tokens starts at each of 64 offsets;
so every frame of a ladder costs one window. The likeliest frames and offsets are read and ranked
by the mean margin of their tokens; the best are moved by single px, resized and turned in small
steps as long as that makes reading surer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from provenance.watermark.geometry import STRIDE, Frame, Geometry, framed

BATCH = 16 * 128 * 128  # px read at once: more is no faster on two cores
WINDOW = 128  # px a side of what the finder is shown
COARSE, FINE = 64, 80  # px a side of what is read, to rank the likeliest and then to refine
COPIED = 24  # offsets read of a picture as large as it is, each hand
OFFSETS, LIKELIEST = 8, 80  # offsets of each other frame that may be among the likeliest read
SMALL, LARGE, AGAIN = 96, 192, 6  # windows of a picture just cropped; offsets read in the large one
LEADERS = 3  # geometries refined in each round
ROUNDS = 3
KIN = 2  # neighbours of a geometry that may be chosen besides it
TURN = 0.5  # degrees between neighbours


class Reading(Protocol):
    """Tokens (B, h, w) int64 and by how much each won, (B, h, w) float >= 0."""

    @property
    def tokens(self) -> Tensor: ...

    @property
    def margin(self) -> Tensor: ...

    @property
    def coarser(self) -> Sequence[Reading]:
        """The readings of coarser scales, coarse to fine, if the codec has several."""


class Reader(Protocol):
    """What tells tokens; pixels are (B, 3, 8h, 8w) in [0, 1]."""

    def read(self, pixels: Tensor) -> Reading: ...


class Finder(Reader, Protocol):
    """What a search asks of a codec."""

    def find(self, pixels: Tensor) -> Tensor:
        """Log-probabilities (B, 64) that the grid of tokens starts at 8 top + left px."""


@runtime_checkable
class Sensing(Finder, Protocol):
    """A codec whose reading has a part that others of its kind share, which is most of the work."""

    def sense(self, pixels: Tensor) -> Tensor:
        """Vectors (B, d, h, w) of pixels."""

    def tell(self, vectors: Tensor) -> Reading:
        """What `read` tells, from vectors."""


@dataclass(frozen=True)
class Ladder:
    """What is scanned: each hand at each scale, and turned pictures as large as they are."""

    mirrored: tuple[bool, ...] = (False,)
    scales: tuple[float, ...] = ()
    degrees: tuple[float, ...] = ()

    def frames(self, height: int, width: int) -> list[Frame]:
        """The frames of a picture of this size, none twice."""
        sides = [(round(height * s), round(width * s)) for s in (1.0, *self.scales)]
        found = [Frame(*size, mirrored=hand) for hand in self.mirrored for size in sides]
        found += [Frame(height, width, turn) for turn in self.degrees]
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class _Place:
    """A frame and where, in 0..7 px, the grid lies against the middle of the framed picture."""

    frame: Frame
    down: int
    right: int

    @property
    def geometry(self) -> Geometry:
        down = (self.frame.height // 2 + self.down) % STRIDE
        return Geometry(self.frame, down, (self.frame.width // 2 + self.right) % STRIDE)

    def neighbours(self) -> Iterator[_Place]:
        """Moved, resized and turned a little; the middle stays where it is on the grid."""
        for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            moved = (self.down + down) % STRIDE, (self.right + right) % STRIDE
            yield _Place(self.frame, *moved)
        for high, wide in ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1)):
            sides = max(1, self.frame.height + high), max(1, self.frame.width + wide)
            yield replace(self, frame=replace(self.frame, height=sides[0], width=sides[1]))
        for turn in (-TURN, TURN):
            yield replace(self, frame=replace(self.frame, degrees=self.frame.degrees + turn))

    def near(self, other: _Place) -> bool:
        """Whether both would read much the same."""
        one, two = self.frame, other.frame
        apart = (self.down - other.down) % STRIDE, (self.right - other.right) % STRIDE
        return (
            one.mirrored == two.mirrored
            and abs(one.height - two.height) <= 2
            and abs(one.width - two.width) <= 2
            and abs(one.degrees - two.degrees) <= 2 * TURN
            and all(gap in (0, 1, STRIDE - 1) for gap in apart)
        )


def mean_margins(reader: Reader, windows: Tensor) -> NDArray[np.float64]:  # (B, 3, 8h, 8w) -> (B,)
    """The mean margin with which the tokens of each window are read."""
    size = max(1, BATCH // (windows.shape[2] * windows.shape[3]))
    parts = [
        reader.read(part).margin.float().flatten(1).mean(1) for part in torch.split(windows, size)
    ]
    mean: NDArray[np.float64] = torch.cat(parts).numpy(force=True).astype(np.float64)
    return mean


class Scan:
    """One picture (3, H, W) being scanned; `scanned` counts the windows that were looked at."""

    def __init__(self, reader: Finder, pixels: Tensor) -> None:
        self.pixels = pixels
        self.scanned = 0
        self._reader = reader

    def best(self, ladder: Ladder, n: int) -> list[Geometry]:
        """The n geometries that read most surely, best first; none if no window fits."""
        height, width = self.pixels.shape[1:]
        frames = ladder.frames(height, width)
        copied = [f for f in frames if (f.height, f.width, f.degrees) == (height, width, 0.0)]
        likely = list(self._find(copied, COPIED))
        rest = (frame for frame in frames if frame not in copied)
        likely += _first(self._find(rest, OFFSETS), LIKELIEST)
        coarse = self._read(likely, COARSE)
        fine = self._read(_first(coarse, 3 * LEADERS), FINE)
        for _ in range(ROUNDS):
            around = dict.fromkeys(p for top in _first(fine, LEADERS) for p in top.neighbours())
            fresh = self._read([place for place in around if place not in fine], FINE)
            if not fresh:
                break
            fine |= fresh
        others = [*_first(fine, len(fine)), *_first(coarse, len(coarse)), *likely]
        return _spread([*self._plain(), *others], n)

    def _plain(self) -> list[_Place]:
        """The surest offset of the picture just cropped, which is what most happens to one.

        A finder knows the grids that a decoder draws. A marked upload shows hardly any, and margins
        of resized frames say nothing beside those of its own; so its own offsets are read, all in a
        small window and the best again in a large one.
        """
        frame = Frame(*self.pixels.shape[1:])
        if min(frame.height, frame.width) < LARGE + STRIDE:
            return []  # as large as a drawing, whose grid the finder sees
        every = [_Place(frame, *divmod(at, STRIDE)) for at in range(STRIDE**2)]
        large = self._read(_first(self._read(every, SMALL), AGAIN), LARGE)
        return _first(large, 1)

    def _find(self, frames: Iterable[Frame], offsets: int) -> dict[_Place, float]:
        """The likeliest places of each frame, and how sure (log) the finder is of them."""
        found: dict[_Place, float] = {}
        shown: dict[int, list[tuple[Frame, Tensor]]] = {}
        for frame in frames:
            side = min(WINDOW, frame.height, frame.width) // (2 * STRIDE) * (2 * STRIDE)
            if side:
                drawn = framed(self.pixels, frame)
                top, left = frame.height // 2 - side // 2, frame.width // 2 - side // 2
                window = drawn[:, top : top + side, left : left + side]
                shown.setdefault(side, []).append((frame, window))
        for side, windows in shown.items():
            self.scanned += len(windows)
            size = max(1, BATCH // side**2)
            for start in range(0, len(windows), size):
                part = windows[start : start + size]
                likely = self._reader.find(torch.stack([w for _, w in part])).topk(offsets, 1)
                for (frame, _), sure, where in zip(part, *map(Tensor.tolist, likely), strict=True):
                    for score, offset in zip(sure, where, strict=True):
                        found[_Place(frame, *divmod(offset, STRIDE))] = score
        return found

    def _read(self, places: Sequence[_Place], side: int) -> dict[_Place, float]:
        """The mean margin in a window of whole tokens at each place where one fits."""
        least = min(self.pixels.shape[1:])
        side = min(side, (least - STRIDE) // STRIDE * STRIDE)
        if side < STRIDE:
            return {}
        fitting, windows = [], []
        picture, drawn = None, self.pixels
        for place in sorted(places, key=lambda p: repr(p.frame)):
            if place.frame != picture:
                picture, drawn = place.frame, framed(self.pixels, place.frame)
            window = _window(drawn, place, side)
            if window.shape[1:] == (side, side):
                fitting.append(place)
                windows.append(window)
        if not windows:
            return {}
        self.scanned += len(windows)
        margins = mean_margins(self._reader, torch.stack(windows))
        return dict(zip(fitting, margins.tolist(), strict=True))


def _window(drawn: Tensor, place: _Place, side: int) -> Tensor:
    """The window of whole tokens around the middle of a framed picture."""
    geometry = place.geometry
    top, left = (
        start + (length // 2 - side // 2 - start) // STRIDE * STRIDE
        for start, length in zip((geometry.top, geometry.left), drawn.shape[1:], strict=True)
    )
    return drawn[:, max(0, top) : max(0, top) + side, max(0, left) : max(0, left) + side]


def _first(scores: dict[_Place, float], n: int) -> list[_Place]:
    return sorted(scores, key=scores.__getitem__, reverse=True)[:n]


def _spread(ranked: Sequence[_Place], n: int) -> list[Geometry]:
    """The first n places of which few are neighbours of each other."""
    chosen: list[_Place] = []
    for place in dict.fromkeys(ranked):
        if len(chosen) == n:
            break
        if sum(place.near(other) for other in chosen) <= KIN:
            chosen.append(place)
    return [place.geometry for place in chosen]
