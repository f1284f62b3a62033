"""Which codes share a coin, and what the coin decides.

A unit is what one coin decides. A code is green when its unit's coin shows the code's side. With
one code a unit this is a green list (KGW, LBW); with two codes on opposite sides it is IndexMark's
pairs (arXiv 2505.14673); with many codes on one side, codes that a codec confuses under attack keep
their colour when they are confused. The coins stay independent whatever the units are, so that
every colouring is tested exactly by the same statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.watermark.errors import BadColouring

Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Colouring:
    """For each of V codes its unit (V,) and side (V,), 1 or 0; coins show 1 with chance gamma."""

    unit: Ints
    side: NDArray[np.int8]
    units: int
    gamma: float = 0.5

    def __post_init__(self) -> None:
        if self.unit.shape != self.side.shape or self.unit.ndim != 1 or not len(self.unit):
            raise BadColouring(f"units {self.unit.shape} and sides {self.side.shape} do not match")
        if self.unit.min() < 0 or self.unit.max() >= self.units:
            raise BadColouring(f"units must lie in 0..{self.units - 1}")
        if not np.isin(self.side, (0, 1)).all():
            raise BadColouring("sides must be 0 or 1")
        if not 0.001 <= self.gamma <= 0.999:
            raise BadColouring(f"gamma must lie in 0.001..0.999, not {self.gamma}")
        if self.gamma != 0.5 and not self.side.all():
            raise BadColouring("only fair coins (gamma 0.5) can decide between two sides")

    @property
    def codes(self) -> int:
        return len(self.unit)


def green(colouring: Colouring, coins: Bools) -> Bools:
    """The green codes (V,) under the coins (units,)."""
    if coins.shape != (colouring.units,):
        raise BadColouring(f"{colouring.units} units need as many coins, not {coins.shape}")
    shown: Bools = coins[colouring.unit] == (colouring.side == 1)
    return shown


def independent(codes: int, gamma: float = 0.5) -> Colouring:
    """Every code has a coin of its own."""
    return Colouring(np.arange(codes, dtype=np.int32), np.ones(codes, np.int8), codes, gamma)


def pairs(partner: Ints, apart: Bools | None = None) -> Colouring:
    """Partners (V,) have opposite colours; codes marked `apart` (V,) get a coin of their own.

    A pair that must never be swapped gains nothing from opposite colours, and loses when the codec
    confuses its two codes.
    """
    codes = np.arange(len(partner))
    if not (partner[partner] == codes).all() or (partner == codes).any():
        raise BadColouring("every code needs one partner, whose partner it is")
    alone = np.zeros(len(codes), bool) if apart is None else apart | apart[partner]
    leader = np.where(alone, codes, np.minimum(codes, partner))
    _, unit = np.unique(leader, return_inverse=True)
    side = (alone | (codes < partner)).astype(np.int8)
    return Colouring(unit.astype(np.int32), side, int(unit.max()) + 1)


def clusters(labels: Ints, gamma: float = 0.5) -> Colouring:
    """All codes of one cluster share one coin and one colour."""
    _, unit = np.unique(labels, return_inverse=True)
    sides = np.ones(len(labels), np.int8)
    return Colouring(unit.astype(np.int32), sides, int(unit.max()) + 1, gamma)


def opposed(labels: Ints, partner: Ints) -> Colouring:
    """Clusters 0..C-1 in pairs of opposite colours; `partner` (C,) pairs them.

    Whatever the key, one of two neighbouring clusters is green: a biased draw finds a green code
    near by, and the green share of a picture varies less between keys.
    """
    if labels.min() < 0 or labels.max() >= len(partner):
        raise BadColouring(f"labels must lie in 0..{len(partner) - 1}")
    paired = pairs(partner)
    return Colouring(paired.unit[labels], paired.side[labels], paired.units)
