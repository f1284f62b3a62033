"""Where the token grid of a picture may lie: a stream of views for `detect`.

Where the grid of a picture of this codec lies is told by the codec's finder and by the mean margin
of what is read, and no key is asked for that. So thousands of geometries are scanned on a small
window, and only the few that `Plan.looks` allows are tested. Choosing by a function of the picture
alone leaves the coins of every key fair: the search pays for the views tested (times keys, times
lists) and for none of those scanned.

A geometry outside the plan is not found: "not detected" says nothing about it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from provenance.image import Pixels
from provenance.watermark.detect import View
from provenance.watermark.geometry import STRIDE, Frame, Geometry, busiest, framed, whole
from provenance.watermark.level import AS_IT_IS, LEVELS, levelled
from provenance.watermark.scan import Finder, Ladder, Reader, Reading, Scan, mean_margins

LARGEST = 1024  # px a side of the first views: 16,384 tokens are plenty
SCANNED = 256  # px a side of what is scanned, so that its cost does not grow with the picture
LEVELLED = 128  # px a side of what is read to choose a level; half of that chooses badly


@dataclass(frozen=True)
class Plan:
    """How many views may be tested, which a search pays for, and what they are chosen from."""

    name: str
    looks: int
    ladder: Ladder | None

    def __post_init__(self) -> None:
        if self.looks < 1:
            raise ValueError(f"a plan has at least one look, not {self.looks}")


CROPS = tuple(1 - k / 40 for k in range(13))  # down to half the area
SHRUNK = (1.025, 1.05, 1.075, 1.15, 1.25, 4 / 3, 1.5, 2.0)  # undone by growing
TURNS = tuple(sign * turn for turn in (1.0, 2.0, 3.0, 4.0, 5.0) for sign in (-1, 1))

QUICK = Plan("quick", 1, None)
STANDARD = Plan("standard", 8, Ladder(mirrored=(False, True)))
FULL = Plan("full", 12, Ladder((False, True), CROPS + SHRUNK, TURNS))


@dataclass(frozen=True)
class Cost:
    """What a search has done so far: views handed out, windows scanned, seconds it took."""

    views: int
    scanned: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.views} views, {self.scanned} windows scanned, {self.seconds:.2f} s"


@dataclass(frozen=True, eq=False)
class Grid:
    """What is read from one picture, as `detect` takes it: (h, w) each."""

    tokens: NDArray[np.int64]
    margin: NDArray[np.float32]


def read_one(reader: Reader, pixels: Tensor) -> Grid:
    """The grid of one picture (3, 8h, 8w), the finest if it has several."""
    return _grid(reader.read(pixels[None]))


def read_scales(reader: Reader, pixels: Tensor) -> tuple[Grid, ...]:
    """The grids of one picture (3, 8h, 8w), coarse to fine."""
    reading = reader.read(pixels[None])
    return tuple(_grid(one) for one in (*reading.coarser, reading))


def _grid(reading: Reading) -> Grid:
    return Grid(
        reading.tokens[0].numpy(force=True).astype(np.int64),
        reading.margin[0].float().numpy(force=True),
    )


class Search:
    """One picture's views, read when asked for; hand `planned` to `detect` with them.

    `native` is the size (height, width) in px that the generator draws: the picture is tried at
    that size first, then at its own, as marked uploads have it. Below 8 px there is no view.
    """

    def __init__(
        self,
        reader: Finder,
        codec_digest: bytes,
        pixels: Pixels,
        plan: Plan,
        *,
        native: tuple[int, int] | None = None,
    ) -> None:
        self._reader = reader
        self._digest = codec_digest
        self._plan = plan
        self._own = torch.from_numpy(np.ascontiguousarray(pixels, np.float32))
        own = (pixels.shape[1], pixels.shape[2])
        self._sizes = [own] if native is None else list(dict.fromkeys((native, own)))
        self._scans: list[Scan] = []
        self._levels = 0
        self._views = 0
        self._seconds = 0.0

    @property
    def planned(self) -> int:
        return self._plan.looks

    @property
    def cost(self) -> Cost:
        return Cost(self._views, self._levels + sum(s.scanned for s in self._scans), self._seconds)

    def views(self) -> Iterator[View]:
        """The picture as it is, then the geometries that read most surely; at most `planned`."""
        stream = chain(self._plain(), self._chosen())
        while self._views < self.planned:
            start = time.perf_counter()
            view = next(stream, None)
            self._seconds += time.perf_counter() - start
            if view is None:
                return
            self._views += 1
            yield view

    def _plain(self) -> Iterator[View]:
        for height, width in self._sizes:
            geometry = Geometry(Frame(height, width))
            region = busiest(framed(self._own, geometry.frame), LARGEST)
            yield from self._view(str(geometry), region)

    def _chosen(self) -> Iterator[View]:
        """The best level of each size, then its best geometries in turn, all chosen by margin.

        Levels are tried on the grid as it lies, and once more on the best geometry of each size.
        """
        ladder = self._plan.ladder
        if ladder is None:
            return
        for height, width in self._sizes:
            region = busiest(framed(self._own, Frame(height, width)), SCANNED)
            yield from self._levelled(str(Geometry(Frame(height, width))), region)
            self._scans.append(Scan(self._reader, region))
        best = [scan.best(ladder, self.planned) for scan in self._scans]
        for rank, turn in enumerate(zip_longest(*best)):
            for size, scan, geometry in zip(self._sizes, self._scans, turn, strict=True):
                height, width = scan.pixels.shape[1:]
                if geometry is None or geometry == Geometry(Frame(height, width)):
                    continue  # none left, or seen before the scan
                if not rank and geometry.frame == Frame(height, width):  # cropped: read all of it
                    drawn, of = busiest(framed(self._own, Frame(*size)), LARGEST), ""
                    geometry = replace(geometry, frame=Frame(*size))
                else:
                    of = "" if (height, width) == size else f" of a part of {size[1]}x{size[0]}"
                    drawn = framed(scan.pixels, geometry.frame)
                tokens = whole(drawn, geometry.top, geometry.left)
                yield from self._view(f"{geometry}{of}", tokens)
                if not rank:
                    yield from self._levelled(f"{geometry}{of}", tokens)

    def _levelled(self, geometry: str, region: Tensor) -> Iterator[View]:
        """The region with that level undone whose reading is surest, unless it is as it is."""
        tokens = whole(region, 0, 0)
        if not tokens.numel():
            return
        top, left = (max(0, side - LEVELLED) // 2 // STRIDE * STRIDE for side in tokens.shape[1:])
        part = tokens[:, top : top + LEVELLED, left : left + LEVELLED]
        windows = torch.stack([levelled(part, level) for level in LEVELS])
        level = LEVELS[int(mean_margins(self._reader, windows).argmax())]
        self._levels += len(LEVELS)
        if level != AS_IT_IS:
            yield from self._view(f"{geometry} {level}", levelled(tokens, level))

    def _view(self, geometry: str, pixels: Tensor) -> Iterator[View]:
        """One view, or none if no token fits."""
        tokens = whole(pixels, 0, 0)
        if not tokens.numel():
            return
        yield View(self._digest, geometry, read_scales(self._reader, tokens))
