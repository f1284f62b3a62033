"""Which geometries of a picture read most surely, coarse to fine, without a key.

Windows in the middle of the picture are read under every frame and phase of a plan; the best are
moved by single px, resized by single px and turned by half degrees as long as that helps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from provenance.watermark.geometry import STRIDE, Frame, Geometry, framed

Margins = Callable[[Tensor], NDArray[np.float64]]  # (B, 3, 8h, 8w) -> the mean margin of each (B,)

COARSE, FINE = 64, 96  # px a side of the windows that are scanned, and then refined
LEADERS = 6  # geometries refined in each round
ROUNDS = 4
KIN = 2  # neighbours of a geometry that may be chosen besides it
TURN = 0.5  # degrees between neighbours


@dataclass(frozen=True)
class Ladder:
    """What is scanned: mirror images at every phase; scales and turns at phases `step` px apart."""

    mirrored: tuple[bool, ...] = (False,)
    scales: tuple[float, ...] = ()
    degrees: tuple[float, ...] = ()
    step: int = 1

    def frames(self, height: int, width: int) -> list[Frame]:
        """The frames of a picture of this size, none twice."""
        found = [Frame(height, width, mirrored=mirrored) for mirrored in self.mirrored]
        found += [Frame(round(height * s), round(width * s)) for s in self.scales]
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


class Scan:
    """The margins of one picture (3, H, W), each read once; `scanned` counts the windows read."""

    def __init__(self, margins: Margins, pixels: Tensor) -> None:
        self.pixels = pixels
        self.scanned = 0
        self._margins = margins

    def best(self, ladder: Ladder, n: int) -> list[Geometry]:
        """The n geometries that read most surely, best first; none if no window fits."""
        height, width = self.pixels.shape[1:]
        places = []
        for frame in ladder.frames(height, width):
            copied = (frame.height, frame.width, frame.degrees) == (height, width, 0.0)
            phases = range(0, STRIDE, 1 if copied else ladder.step)
            places += [_Place(frame, down, right) for down in phases for right in phases]
        coarse = self._score(places, COARSE)
        fine = self._score(_leaders(coarse, 2 * LEADERS), FINE)
        for _ in range(ROUNDS):
            around = dict.fromkeys(p for top in _leaders(fine, LEADERS) for p in top.neighbours())
            fresh = self._score([place for place in around if place not in fine], FINE)
            if not fresh:
                break
            fine |= fresh
        rest = [place for place in sorted(coarse, key=coarse.__getitem__, reverse=True)]
        ranked = sorted(fine, key=fine.__getitem__, reverse=True) + rest
        return _spread(ranked, n)

    def _score(self, places: Sequence[_Place], side: int) -> dict[_Place, float]:
        """The mean margin in a window of each place; frames too small for one have none."""
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
        return dict(zip(fitting, self._margins(torch.stack(windows)).tolist(), strict=True))


def _window(drawn: Tensor, place: _Place, side: int) -> Tensor:
    """The window of whole tokens around the middle of a framed picture."""
    geometry = place.geometry
    top, left = (
        start + (length // 2 - side // 2 - start) // STRIDE * STRIDE
        for start, length in zip((geometry.top, geometry.left), drawn.shape[1:], strict=True)
    )
    return drawn[:, max(0, top) : max(0, top) + side, max(0, left) : max(0, left) + side]


def _leaders(scores: dict[_Place, float], n: int) -> list[_Place]:
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
