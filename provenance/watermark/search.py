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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from provenance.image import Pixels
from provenance.watermark.detect import View
from provenance.watermark.geometry import STRIDE, Frame, Geometry, busiest, framed, whole
from provenance.watermark.level import AS_IT_IS, LEVELS, levelled
from provenance.watermark.scan import Finder, Ladder, Reader, Reading, Scan, Sensing, mean_margins
from provenance.watermark.scheme import Lens

_T = TypeVar("_T")

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

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.views + other.views, self.scanned + other.scanned, self.seconds + other.seconds
        )

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
    return _grids(reader.read(pixels[None]))


def _grids(reading: Reading) -> tuple[Grid, ...]:
    return tuple(_grid(one) for one in (*reading.coarser, reading))


def _grid(reading: Reading) -> Grid:
    return Grid(
        reading.tokens[0].numpy(force=True).astype(np.int64),
        reading.margin[0].float().numpy(force=True),
    )


@dataclass(frozen=True, eq=False)
class _Look:
    """Pixels (3, 8h, 8w) to be read, and how they were got out of the picture."""

    geometry: str
    pixels: Tensor


class Search:
    """One picture's views, read when asked for; hand `planned` to `detect` with them.

    Every geometry is read through every lens; the first one's codec tells where to look, which the
    others must agree with: their tokens are as large and lie on the same grid, and where all of
    them sense, they sense alike. `native` is the size
    (height, width) in px that the generator draws: the picture is tried at that size first, then at
    its own, as marked uploads have it, of which at most `largest` px a side. Below 8 px there is no
    view.
    """

    def __init__(
        self,
        readers: Mapping[Lens, Finder],
        pixels: Pixels,
        plan: Plan,
        *,
        native: tuple[int, int] | None = None,
        largest: int = LARGEST,
    ) -> None:
        self._readers = readers
        self._guide = next(iter(readers.values()))
        self._plan = plan
        self._largest = largest
        self._own = torch.from_numpy(np.ascontiguousarray(pixels, np.float32))
        own = (pixels.shape[1], pixels.shape[2])
        self._sizes = [own] if native is None else list(dict.fromkeys((native, own)))
        self._scans: list[Scan] = []
        self._levels = 0
        self._views = 0
        self._seconds = 0.0

    @property
    def planned(self) -> dict[Lens, int]:
        """How many views there may be through each lens."""
        return dict.fromkeys(self._readers, self._plan.looks)

    @property
    def cost(self) -> Cost:
        return Cost(self._views, self._levels + sum(s.scanned for s in self._scans), self._seconds)

    def views(self) -> Iterator[View]:
        """The picture as it is, then the geometries that read most surely; at most `planned`."""
        looks = self._timed(chain(self._plain(), self._chosen()))
        while self._views < self._plan.looks * len(self._readers):
            look = next(looks, None)
            if look is None:
                return
            for view in self._timed(self._read(look)):
                self._views += 1
                yield view

    def _timed(self, stream: Iterator[_T]) -> Iterator[_T]:
        """The stream, while the seconds that it takes are counted."""
        while True:
            start = time.perf_counter()
            found = next(stream, None)
            self._seconds += time.perf_counter() - start
            if found is None:
                return
            yield found

    def _read(self, look: _Look) -> Iterator[View]:
        pixels, lenses = look.pixels[None], self._readers.keys()
        sensing = [reader for reader in self._readers.values() if isinstance(reader, Sensing)]
        if len(sensing) == len(lenses):
            vectors = sensing[0].sense(pixels)
            readings = (reader.tell(vectors) for reader in sensing)
        else:
            readings = (reader.read(pixels) for reader in self._readers.values())
        for lens, reading in zip(lenses, readings, strict=True):
            yield View(lens.codec_digest, look.geometry, _grids(reading))

    def _plain(self) -> Iterator[_Look]:
        for height, width in self._sizes:
            geometry = Geometry(Frame(height, width))
            region = busiest(framed(self._own, geometry.frame), self._largest)
            yield from _look(str(geometry), region)

    def _chosen(self) -> Iterator[_Look]:
        """The best level of each size, then its best geometries in turn, all chosen by margin.

        Levels are tried on the grid as it lies, and once more on the best geometry of each size.
        """
        ladder = self._plan.ladder
        if ladder is None:
            return
        for height, width in self._sizes:
            region = busiest(framed(self._own, Frame(height, width)), SCANNED)
            yield from self._levelled(str(Geometry(Frame(height, width))), region)
            self._scans.append(Scan(self._guide, region))
        best = [scan.best(ladder, self._plan.looks) for scan in self._scans]
        for rank, turn in enumerate(zip_longest(*best)):
            for size, scan, geometry in zip(self._sizes, self._scans, turn, strict=True):
                height, width = scan.pixels.shape[1:]
                if geometry is None or geometry == Geometry(Frame(height, width)):
                    continue  # none left, or seen before the scan
                if not rank and geometry.frame == Frame(height, width):  # cropped: read all of it
                    drawn, of = busiest(framed(self._own, Frame(*size)), self._largest), ""
                    geometry = replace(geometry, frame=Frame(*size))
                else:
                    of = "" if (height, width) == size else f" of a part of {size[1]}x{size[0]}"
                    drawn = framed(scan.pixels, geometry.frame)
                tokens = whole(drawn, geometry.top, geometry.left)
                yield from _look(f"{geometry}{of}", tokens)
                if not rank:
                    yield from self._levelled(f"{geometry}{of}", tokens)

    def _levelled(self, geometry: str, region: Tensor) -> Iterator[_Look]:
        """The region with that level undone whose reading is surest, unless it is as it is."""
        tokens = whole(region, 0, 0)
        if not tokens.numel():
            return
        top, left = (max(0, side - LEVELLED) // 2 // STRIDE * STRIDE for side in tokens.shape[1:])
        part = tokens[:, top : top + LEVELLED, left : left + LEVELLED]
        windows = torch.stack([levelled(part, level) for level in LEVELS])
        level = LEVELS[int(mean_margins(self._guide, windows).argmax())]
        self._levels += len(LEVELS)
        if level != AS_IT_IS:
            yield from _look(f"{geometry} {level}", levelled(tokens, level))


def _look(geometry: str, pixels: Tensor) -> Iterator[_Look]:
    """One look, or none if no token fits."""
    tokens = whole(pixels, 0, 0)
    if tokens.numel():
        yield _Look(geometry, tokens)


class Searches:
    """The searches of codecs that have nothing in common, as one: a view of each in turn."""

    def __init__(self, searches: Sequence[Search]) -> None:
        self._searches = searches

    @property
    def planned(self) -> dict[Lens, int]:
        """How many views there may be through each lens."""
        total: dict[Lens, int] = {}
        for search in self._searches:
            for lens, views in search.planned.items():
                total[lens] = total.get(lens, 0) + views
        return total

    @property
    def cost(self) -> Cost:
        return sum((search.cost for search in self._searches), Cost(0, 0, 0.0))

    def views(self) -> Iterator[View]:
        """The first view of each search, then the next of each."""
        streams = [search.views() for search in self._searches]
        while streams:
            for stream in list(streams):
                view = next(stream, None)
                if view is None:
                    streams.remove(stream)
                else:
                    yield view
