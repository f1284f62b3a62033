"""The real photographs, by split and scene group, and their counterparts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from provenance.forensics.history import History, read_history
from provenance.image import Pixels

Bytes = NDArray[np.uint8]  # (H, W, 3)
FAMILIES = ("icons-128", "gaussian", "levels", "binary", "Real-ESRGAN", "waifu2x")
Redraw = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Photograph:
    """A real photograph: its file, and the scene it shares with others of its group."""

    path: Path
    group: str
    permissive: bool

    def pixels(self) -> Bytes:
        """(H, W, 3), as stored."""
        with Image.open(self.path) as picture:
            return np.asarray(picture.convert("RGB"))


def photographs(folder: Path, index: Path, split: str) -> list[Photograph]:
    """Those of a split, `train` or `calib`, in the order of the index."""
    with index.open(newline="") as file:
        return [
            Photograph(folder / row["file"], row["group"], row["permissive"] == "1")
            for row in csv.DictReader(file)
            if row["split"] == split
        ]


SIDE = 320  # px: the middle of a larger photograph is used


@dataclass(frozen=True)
class Sample:
    """The middle of a photograph, how it was compressed, and its counterpart of each family."""

    photograph: Photograph
    history: History
    region: Bytes  # (H, W, 3), at most 320 px, on the grid of the JPEG's blocks
    redrawn: dict[str, Bytes]  # by family, not yet compressed


def region(photograph: Bytes) -> Bytes:
    """The middle, up to 320 px, its corner and size multiples of 16."""
    height, width = (min(side, SIDE) // 16 * 16 for side in photograph.shape[:2])
    top, left = (
        (side - part) // 2 // 16 * 16
        for side, part in zip(photograph.shape[:2], (height, width), strict=True)
    )
    return np.ascontiguousarray(photograph[top : top + height, left : left + width])


def as_pixels(picture: Bytes) -> Pixels:
    """(H, W, 3) bytes as (3, H, W) in [0, 1]."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32) / np.float32(255)


def as_bytes(pixels: Pixels) -> Bytes:
    """(3, H, W) in [0, 1], on the 8-bit grid, as (H, W, 3) bytes."""
    return np.ascontiguousarray(np.rint(pixels * 255).astype(np.uint8).transpose(1, 2, 0))


def samples(
    reals: Sequence[Photograph], redraws: Mapping[str, Redraw | None], cache: Path
) -> Iterator[Sample]:
    """Each photograph with its counterparts, which are kept in `cache` once they are drawn.

    Without a redraw those of a family must be there; raises FileNotFoundError.
    """
    for name in redraws:
        (cache / name).mkdir(parents=True, exist_ok=True)
    for real in reals:
        part = region(real.pixels())
        redrawn = {}
        for name, redraw in redraws.items():
            kept = cache / name / f"{real.path.stem}.npy"
            if redraw is not None and not kept.exists():
                partial = kept.with_suffix(".part")
                with partial.open("wb") as file:
                    np.save(file, as_bytes(redraw(as_pixels(part))))
                partial.rename(kept)
            redrawn[name] = np.load(kept)
        yield Sample(real, read_history(real.path.read_bytes()), part, redrawn)
