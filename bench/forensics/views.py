"""What the detector is fitted to: pairs of a photograph and a counterpart, treated alike.

Both halves of a pair get the same augmentation from the same random state. Hard negatives are
photographs alone: zoomed, blurred, denoised or sharpened, and labelled real.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.forensics.sources import Sample, as_pixels
from provenance.forensics.alignment import Alignment, align
from provenance.forensics.crops import SIDE
from provenance.forensics.member import SAME
from provenance.forensics.treatments import blur, compressed, hard_negative
from provenance.image import Pixels
from provenance.robustness import files

SPAN = 208  # px of the part of a region that is augmented before a crop is cut


@dataclass(frozen=True)
class Recipe:
    """How the training data is made; each rung of the ablation is one of these."""

    name: str
    alignment: Alignment
    shared: float = 0.0  # probability that a pair is augmented
    negatives: float = 0.0  # hard negatives for each pair
    same: bool = False  # every picture as JPEG 90 before it is looked at, here and later


RECIPES = (
    Recipe("naive", Alignment(history=0.0)),
    Recipe("JPEG-aligned", Alignment(), shared=0.6),
    Recipe("+ bands", Alignment(bands=0.25, spectrum=0.15, pixels=0.2), shared=0.6),
    Recipe(
        "+ hard negatives",
        Alignment(bands=0.25, spectrum=0.15, pixels=0.2),
        shared=0.6,
        negatives=1.0,
    ),
    Recipe(
        "+ JPEG 90 before looking",
        Alignment(bands=0.25, spectrum=0.15, pixels=0.2),
        shared=0.6,
        negatives=1.0,
        same=True,
    ),
)
FULL = RECIPES[-1]


@dataclass(frozen=True)
class Ready:
    """A sample whose counterparts are aligned: the region and, by family, what a pair is of."""

    group: str
    region: Pixels
    drawn: dict[str, tuple[Pixels, ...]]


def prepare(
    samples: Iterator[Sample] | Sequence[Sample],
    recipe: Recipe,
    *,
    seed: int = 0,
    variants: int = 2,
) -> list[Ready]:
    """The samples aligned as the recipe says, `variants` times each."""
    rng = np.random.default_rng(seed)
    found = []
    for sample in samples:
        region = as_pixels(sample.region)
        drawn = {
            name: tuple(
                align(as_pixels(redrawn), region, sample.history, recipe.alignment, rng)
                for _ in range(variants)
            )
            for name, redrawn in sample.redrawn.items()
        }
        found.append(Ready(sample.photograph.group, region, drawn))
    return found


def pair(
    ready: Ready, family: str, recipe: Recipe, rng: np.random.Generator
) -> tuple[Pixels, Pixels]:
    """Crops of a photograph and of its counterpart, (3, 128, 128) each, treated alike."""
    variants = ready.drawn[family]
    both = np.stack([ready.region, variants[rng.integers(len(variants))]])
    both = _span(both, rng)
    if rng.random() < recipe.shared:
        seed = int(rng.integers(2**32))
        both = np.stack([augment(one, np.random.default_rng(seed)) for one in both])
    both = _same(both, recipe)
    both = _crop(both, rng)
    return both[0], both[1]


def negative(ready: Ready, recipe: Recipe, rng: np.random.Generator) -> Pixels:
    """A crop of the treated photograph, to be called real."""
    part = _span(ready.region[None], rng)[0]
    treated = hard_negative(part, rng)
    if min(treated.shape[1:]) < SIDE:  # made smaller than a crop
        treated = compressed(part, rng)
    found: Pixels = _crop(_same(treated[None], recipe), rng)[0]
    return found


def _same(pictures: Pixels, recipe: Recipe) -> Pixels:
    return np.stack([SAME.apply(one) for one in pictures]) if recipe.same else pictures


def augment(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Resized, blurred, noised or compressed, as the random state says."""
    if rng.random() < 0.4:
        factor = rng.uniform(0.7, 1.6)
        height, width = (max(SIDE, round(side * factor)) for side in pixels.shape[1:])
        pixels = files.resized(pixels, height, width)
    if rng.random() < 0.15:
        pixels = blur(rng.uniform(0.3, 1.0))(pixels)
    if rng.random() < 0.1:
        noise = rng.normal(0, rng.uniform(0.002, 0.012), pixels.shape)
        pixels = files.rounded(pixels + noise.astype(np.float32))
    return compressed(pixels, rng) if rng.random() < 0.6 else pixels


def _span(pictures: Pixels, rng: np.random.Generator) -> Pixels:
    """The same random part, at most 208 px, of pictures (N, 3, H, W)."""
    height, width = (min(side, SPAN) for side in pictures.shape[2:])
    y = int(rng.integers(pictures.shape[2] - height + 1))
    x = int(rng.integers(pictures.shape[3] - width + 1))
    part = pictures[:, :, y : y + height, x : x + width]
    if rng.random() < 0.5:
        part = part[..., ::-1]
    return np.ascontiguousarray(part)


def _crop(pictures: Pixels, rng: np.random.Generator) -> Pixels:
    y, x = (int(rng.integers(side - SIDE + 1)) for side in pictures.shape[2:])
    return np.ascontiguousarray(pictures[:, :, y : y + SIDE, x : x + SIDE])
