"""Attacks by name: `jpeg-50`, `rotate--3`, `flip`, `contrast-1.5+jpeg-80`.

A name says everything: the family, its strength, and with `+` what comes after what. The same
name, picture and seed give the same pixels. Every step of a chain is rounded to 8 bits, as if
each had been saved. docs/attacks.md lists the families and where the presets take them from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from provenance.errors import ProvenanceError
from provenance.image import Pixels
from provenance.robustness import chains, files, geometric, regeneration, valuemetric

Plain = Callable[[Pixels, np.random.Generator], Pixels]
Strong = Callable[[Pixels, float, np.random.Generator], Pixels]

NAME = re.compile(r"([a-z]+(?:-[a-z]+)*)(?:-(-?\d+(?:\.\d+)?))?")


class UnknownAttack(ProvenanceError):
    """No attack has this name, or its strength is out of range."""


@dataclass(frozen=True)
class Attack:
    """One attack: its name and what it does to float32 pixels (3, H, W) in [0, 1]."""

    name: str
    apply: Plain


@dataclass(frozen=True)
class Family:
    """Attacks that differ in one number, from low to high; `step` is what it counts in, 0 any."""

    apply: Strong
    low: float
    high: float
    step: int = 0


def _unchanged(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return pixels


PLAIN: dict[str, Plain] = {
    "none": _unchanged,
    "grey": valuemetric.grey,
    "flip": geometric.flip,
    "flip-vertical": geometric.flip_vertical,
    "screenshot": chains.screenshot,
    "social": chains.social,
}

FAMILIES: dict[str, Family] = {
    "jpeg": Family(valuemetric.jpeg, 1, 100, 1),
    "webp": Family(valuemetric.webp, 0, 100, 1),
    "noise": Family(valuemetric.noise, 0, 1),
    "salt-pepper": Family(valuemetric.salt_pepper, 0, 1),
    "blur-sigma": Family(valuemetric.blur_sigma, 0.1, 50),
    "blur-kernel": Family(valuemetric.blur_kernel, 1, 99, 2),
    "blur-radius": Family(valuemetric.blur_radius, 0, 50),
    "median": Family(valuemetric.median, 1, 31, 2),
    "brightness": Family(valuemetric.brightness, 0, 10),
    "brightness-jitter": Family(valuemetric.brightness_jitter, 0, 1),
    "contrast": Family(valuemetric.contrast, 0, 10),
    "saturation": Family(valuemetric.saturation, 0, 10),
    "gamma": Family(valuemetric.gamma, 0.1, 10),
    "hue": Family(valuemetric.hue, -0.5, 0.5),
    "resize": Family(geometric.resize, 0.05, 4),
    "scale": Family(geometric.scale, 0.05, 4),
    "crop": Family(geometric.crop, 0.01, 1),
    "crop-aspect": Family(geometric.crop_aspect, 0.01, 1),
    "crop-corner": Family(geometric.crop_corner, 0.1, 1),
    "cut": Family(geometric.cut, 0.1, 1),
    "shift": Family(geometric.shift, -512, 512, 1),
    "rotate": Family(geometric.rotate, -180, 180),
    "perspective": Family(geometric.perspective, 0, 0.9),
    "erase": Family(geometric.erase, 0, 1),
    "erase-noise": Family(geometric.erase_noise, 0, 1),
    "realesrgan": Family(regeneration.realesrgan, 2, 4, 1),
    "nonlocal-means": Family(regeneration.nonlocal_means, 0.01, 1),
    "bilateral": Family(regeneration.bilateral, 0.01, 1),
}


def find(name: str) -> Attack:
    """The attack of this name; UnknownAttack lists the names there are."""
    steps = [_step(part, name) for part in name.split("+")]

    def apply(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        for step in steps:
            pixels = files.rounded(step(pixels, rng))
        return pixels

    return Attack(name, apply)


def strength(name: str) -> tuple[str, float] | None:
    """Family and strength of a single attack; None for a chain or one without a strength."""
    match = NAME.fullmatch(name)
    if match is None or match[2] is None or match[1] not in FAMILIES:
        return None
    return match[1], float(match[2])


def _step(part: str, name: str) -> Plain:
    match = NAME.fullmatch(part)
    family, strength = match.groups() if match else ("", None)
    if strength is None and family in PLAIN:
        return PLAIN[family]
    if strength is None or family not in FAMILIES:
        names = ", ".join([*PLAIN, *(f"{family}-<number>" for family in FAMILIES)])
        raise UnknownAttack(f"no attack {part!r} in {name!r}; there are {names}, joined by +")
    return _strong(FAMILIES[family], family, float(strength))


def _strong(family: Family, name: str, strength: float) -> Plain:
    off_step = family.step and (strength - family.low) % family.step != 0
    if off_step or not family.low <= strength <= family.high:
        says = f", in steps of {family.step}" if family.step else ""
        raise UnknownAttack(
            f"{name} goes from {family.low:g} to {family.high:g}{says}, got {strength:g}"
        )
    return lambda pixels, rng: family.apply(pixels, strength, rng)


def through(name: str, codec: Callable[[Pixels], Pixels]) -> Attack:
    """The attack that sends a picture through a codec's tokens, or through any other function."""
    return Attack(name, lambda pixels, rng: codec(pixels))


def attacked(pixels: Pixels, attack: Attack, *, seed: int) -> Pixels:
    """What is left of the picture: float32 (3, H', W') on the 8-bit grid.

    ValueError if the pixels, or what the attack makes of them, are not a picture.
    """
    files.check_pixels(pixels)
    rng = np.random.default_rng(seed)
    out = files.rounded(attack.apply(files.rounded(pixels), rng))
    files.check_pixels(out)
    return out
