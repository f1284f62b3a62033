"""Training pictures: Fluent 3D icons on made-up backgrounds, and tiles of real photographs.

Icons come from the npm package @lobehub/fluent-emoji-3d 1.1.0 (MIT), their names from PyPI
`emoji`. Photographs come from a folder with an index file; only rows marked permissive and of
split `train` are used to fit. Every picture is float32 (3, 128, 128) in [0, 1].
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import emoji
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generators.training.things import THINGS

Picture = NDArray[np.float32]  # (3, H, W) in [0, 1]
Cutout = NDArray[np.float32]  # (4, H, W), colour premultiplied by alpha

SIDE = 128
# Mid tones: a picture that is brightened by half must not turn white and lose its tokens.
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.62, 0.16, 0.18),
    "orange": (0.66, 0.38, 0.13),
    "yellow": (0.66, 0.57, 0.17),
    "green": (0.20, 0.50, 0.24),
    "teal": (0.13, 0.50, 0.50),
    "blue": (0.17, 0.34, 0.66),
    "purple": (0.43, 0.24, 0.62),
    "pink": (0.66, 0.36, 0.52),
    "grey": (0.45, 0.46, 0.48),
    "brown": (0.42, 0.28, 0.18),
}


@dataclass(frozen=True)
class Icon:
    """A named cut-out, 256 px."""

    name: str
    cutout: Cutout


@dataclass(frozen=True)
class Scene:
    """A picture and the caption that describes it."""

    caption: str
    pixels: Picture


def held_out(stem: str) -> bool:
    """Whether an icon file is kept from all training; a fixed twentieth, by digest."""
    return hashlib.sha256(stem.encode()).digest()[0] < 13


def load_icons(
    folder: Path, *, only: Collection[str] | None = None
) -> tuple[list[Icon], list[Icon]]:
    """Icons of the package, all or those named, in two lists: to train on, and held out of it."""
    names = {
        "-".join(f"{ord(c):04x}" for c in k): v["en"].strip(":").replace("_", " ")
        for k, v in emoji.EMOJI_DATA.items()
    }
    train: list[Icon] = []
    held: list[Icon] = []
    for path in sorted(folder.glob("*.webp")):
        name = names.get(path.stem, "")
        if only is not None and name not in only:
            continue
        with Image.open(path) as picture:
            rgba = np.asarray(picture.convert("RGBA"), np.float32).transpose(2, 0, 1) / 255
        icon = Icon(name, np.concatenate([rgba[:3] * rgba[3:], rgba[3:]]))
        (held if held_out(path.stem) and name not in THINGS else train).append(icon)
    return train, held


def load_photographs(folder: Path, index: Path, *, split: str) -> list[Picture]:
    """Photographs of one split that a permissive licence covers, longest side at most 1,024 px."""
    pictures: list[Picture] = []
    with index.open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["split"] == split and (split != "train" or row["permissive"] == "1"):
                with Image.open(folder / row["file"]) as picture:
                    picture.draft("RGB", (1024, 1024))
                    rgb = picture.convert("RGB")
                rgb.thumbnail((1024, 1024), Image.Resampling.LANCZOS)
                if min(rgb.size) >= SIDE:
                    pictures.append(
                        np.asarray(rgb, np.float32).transpose(2, 0, 1) / np.float32(255)
                    )
    return pictures


def smooth_noise(rng: np.random.Generator, cells: int) -> NDArray[np.float32]:
    """A smooth random field (SIDE, SIDE) of unit spread, `cells` bumps across."""
    small = Image.fromarray(rng.standard_normal((cells + 3, cells + 3)).astype(np.float32))
    wide = small.resize((SIDE + 64, SIDE + 64), Image.Resampling.BICUBIC)
    x, y = rng.integers(0, 64, 2)
    return np.asarray(wide, np.float32)[y : y + SIDE, x : x + SIDE]


def background(rng: np.random.Generator) -> tuple[str, Picture]:
    """A caption clause and its background: one colour, a gradient of two, or clouds of two."""
    names = list(COLOURS)
    first, second = (names[i] for i in rng.choice(len(names), 2, replace=False))
    a, b = np.array(COLOURS[first], np.float32), np.array(COLOURS[second], np.float32)
    a = a * rng.uniform(0.85, 1.15) + rng.normal(0, 0.02, 3).astype(np.float32)
    b = b * rng.uniform(0.85, 1.15) + rng.normal(0, 0.02, 3).astype(np.float32)
    ramp = np.linspace(-1, 1, SIDE, dtype=np.float32)
    match int(rng.integers(3)):
        case 0:
            clause, mix = f"on a {first} background", np.zeros((SIDE, SIDE), np.float32)
        case 1:
            clause = f"on a {first} to {second} gradient"
            mix = np.broadcast_to((ramp * 0.5 + 0.5)[:, None], (SIDE, SIDE))
        case _:
            clause = f"on {first} and {second} clouds"
            mix = np.clip(0.5 + 0.6 * smooth_noise(rng, 4), 0, 1)
    texture = 0.035 * smooth_noise(rng, 6) + 0.02 * smooth_noise(rng, 14)
    tint = 0.02 * np.stack([smooth_noise(rng, 5) for _ in range(3)])
    light = 0.06 * (ramp[None, :] * rng.normal() + ramp[:, None] * rng.normal())
    field = a[:, None, None] * (1 - mix) + b[:, None, None] * mix
    out: Picture = np.clip(field + texture + light + tint, 0, 1).astype(np.float32)
    return clause, out


def scaled(icon: Cutout, side: int) -> Cutout:
    """The cut-out at another size; premultiplied, so that edges stay clean."""
    planes = [
        np.asarray(Image.fromarray(p).resize((side, side), Image.Resampling.BOX)) for p in icon
    ]
    out: Cutout = np.clip(np.stack(planes), 0, 1)
    return out


def pasted(field: Picture, cutout: Cutout, *, top: int, left: int) -> Picture:
    """The cut-out over the field; what hangs over the edge is cut off."""
    out = field.copy()
    side = cutout.shape[1]
    y0, x0, y1, x1 = max(top, 0), max(left, 0), min(top + side, SIDE), min(left + side, SIDE)
    part = cutout[:, y0 - top : y1 - top, x0 - left : x1 - left]
    out[:, y0:y1, x0:x1] = out[:, y0:y1, x0:x1] * (1 - part[3]) + part[:3]
    return out


def tile(rng: np.random.Generator, photographs: list[Picture]) -> Picture:
    """A random 128 px tile of a photograph at full or reduced size, flipped half of the time."""
    picture = photographs[rng.integers(len(photographs))]
    _, h, w = picture.shape
    side = int(min(h, w, SIDE * (1 if rng.random() < 0.5 else rng.uniform(1, 3))))
    y, x = rng.integers(0, h - side + 1), rng.integers(0, w - side + 1)
    crop = picture[:, y : y + side, x : x + side]
    if side != SIDE:
        crop = np.stack(
            [
                np.asarray(Image.fromarray(p).resize((SIDE, SIDE), Image.Resampling.BOX))
                for p in np.ascontiguousarray(crop)
            ]
        )
    if rng.random() < 0.5:
        crop = crop[:, :, ::-1]
    return np.ascontiguousarray(crop, dtype=np.float32)


def codec_picture(
    rng: np.random.Generator, icons: list[Icon], photographs: list[Picture]
) -> Picture:
    """A training picture for the codec: an icon anywhere, or a tile of a photograph."""
    if photographs and rng.random() < 0.3:
        return tile(rng, photographs)
    field = tile(rng, photographs) if photographs and rng.random() < 0.1 else background(rng)[1]
    side = int(rng.uniform(70, 150) if rng.random() < 0.5 else rng.uniform(104, 120))
    cutout = scaled(icons[rng.integers(len(icons))].cutout, side)
    if rng.random() < 0.5:
        cutout = cutout[:, :, ::-1]
    top, left = ((SIDE - side) // 2 + rng.integers(-20, 21, 2)).tolist()
    picture = pasted(field, cutout, top=top, left=left)
    if rng.random() < 0.15:
        picture = picture[rng.permutation(3)]
    out: Picture = np.clip(picture * rng.uniform(0.8, 1.1), 0, 1).astype(np.float32)
    return out
