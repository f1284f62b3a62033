"""Pictures of the calib split as every check sees them, with what does not depend on a fit.

A look is one version of one photograph or counterpart: its crops and their features. It
is computed once; every fit then scores the same looks. Crops are kept as bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.forensics.sources import Bytes, Sample, as_pixels
from provenance.forensics import history, spectra
from provenance.forensics.crops import corners, cut
from provenance.forensics.history import History
from provenance.forensics.member import SAME
from provenance.forensics.treatments import every
from provenance.image import Pixels


@dataclass(frozen=True)
class Look:
    """One version of one picture."""

    photograph: int  # that it is, or is the counterpart of
    kind: str  # "real" or a family
    version: str  # what happened to it
    crops: Bytes  # (N, 3, 128, 128)
    features: NDArray[np.float32]  # (N, 137)


def look_at(pixels: Pixels, photograph: int, kind: str, version: str, most: int = 9) -> Look:
    """The look of a picture (3, H, W), on the 8-bit grid, as it is."""
    cuts = cut(pixels, corners(pixels.shape[1], pixels.shape[2], most=most))
    crops = np.rint(cuts * 255).astype(np.uint8)
    return Look(photograph, kind, version, crops, spectra.features(cuts))


@dataclass(frozen=True)
class View:
    """A picture that is to be looked at."""

    pixels: Pixels
    photograph: int
    kind: str
    version: str
    most: int = 9


def looks(views: Iterable[View], *, same: bool) -> Iterator[Look]:
    """The looks of pictures, as they are or as the embedded member looks at them."""
    for view in views:
        pixels = SAME.apply(view.pixels) if same else view.pixels
        yield look_at(pixels, view.photograph, view.kind, view.version, view.most)


def native(samples: Sequence[Sample]) -> Iterator[View]:
    """Every photograph, and every counterpart compressed as its photograph."""
    for number, sample in enumerate(samples):
        yield View(as_pixels(sample.region), number, "real", "native")
        for family, redrawn in sample.redrawn.items():
            yield View(sample.history.apply(as_pixels(redrawn)), number, family, "native")


def strata(samples: Sequence[Sample]) -> Iterator[View]:
    """Every photograph in every stratum that leaves it large enough."""
    for number, sample in enumerate(samples):
        for name, pixels in every(as_pixels(sample.region)):
            if min(pixels.shape[1:]) >= 128:
                yield View(pixels, number, "real", name)


Ship = Callable[[Pixels], Pixels]
_PNG: Ship = history.LOSSLESS.apply
_SMALL: Ship = lambda pixels: np.ascontiguousarray(pixels[:, :160, :160])  # noqa: E731
SWAPS: Mapping[str, tuple[Ship, Ship]] = {
    "JPEG 90 and PNG": (history.jpeg(90).apply, _PNG),
    "JPEG 90 and WebP 90": (history.jpeg(90).apply, History("WebP", quality=90).apply),
    "160 px and 320 px": (_SMALL, _PNG),
    "chroma 4:2:0 and 4:4:4": (history.jpeg(92, 2).apply, history.jpeg(92, 0).apply),
}


def swaps(samples: Sequence[Sample]) -> Iterator[View]:
    """Every photograph and counterpart, compressed alike, in both forms of every swap."""
    for number, sample in enumerate(samples):
        pictures = {"real": as_pixels(sample.region)}
        for family, redrawn in sample.redrawn.items():
            pictures[family] = sample.history.apply(as_pixels(redrawn))
        for kind, pixels in pictures.items():
            for swap, ships in SWAPS.items():
                for side, ship in zip(("first", "second"), ships, strict=True):
                    yield View(ship(pixels), number, kind, f"{swap} | {side}", 4)
