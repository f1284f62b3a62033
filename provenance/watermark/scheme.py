"""A mark's fixed facts, shared by whoever draws and whoever detects.

A scheme names the model, the codec and the colouring; a key and the number of a list then say which
codes are green. Generation biases draws towards green codes, or swaps red ones for their partners,
or both; detection asks for the same coins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from provenance.watermark.colouring import Colouring, green
from provenance.watermark.errors import CodecMismatch
from provenance.watermark.keys import Domain, Key, coins_at

Bools = NDArray[np.bool_]


class Lens(NamedTuple):
    """How a picture is read: with which codec, at how many scales."""

    codec_digest: bytes
    scales: int


@dataclass(frozen=True, eq=False)
class Scheme:
    """One way to mark the pictures of one model; coins of different scales are independent."""

    name: str  # with its version, e.g. "pairs/1"
    model: str
    codec_digest: bytes
    colouring: Colouring
    lists: int = 1
    scales: int = 1
    stream: str = ""
    worth: tuple[
        float, ...
    ] = ()  # of a token of each scale, above 0 and at most 1; (): all the same

    def __post_init__(self) -> None:
        if self.lists < 1 or self.scales < 1:
            raise ValueError(f"lists and scales start at 1: {self.lists}, {self.scales}")
        if self.worth and len(self.worth) != self.scales:
            raise ValueError(f"{len(self.worth)} worths for {self.scales} scales")
        if not all(0 < worth <= 1 for worth in self.worth):
            raise ValueError(f"a worth is above 0 and at most 1: {self.worth}")

    @property
    def lens(self) -> Lens:
        """What its marks are read through."""
        return Lens(self.codec_digest, self.scales)

    def check_codec(self, digest: bytes) -> None:
        """Raise CodecMismatch unless tokens of this codec are what the scheme colours."""
        if digest != self.codec_digest:
            raise CodecMismatch(
                f"scheme {self.name} colours tokens of codec {self.codec_digest.hex()[:16]}, "
                f"not of {digest.hex()[:16]}"
            )

    def green(self, key: Key, list_index: int, scale: int = 0) -> Bools:
        """The green codes (V,) of one list at one scale."""
        every = np.arange(self.colouring.units)
        return green(self.colouring, self._coins(key, list_index, scale, every))

    def coins(self, key: Key, list_index: int) -> Bools:
        """The coins of one list, scale after scale (scales * units,)."""
        return self.coins_at(key, list_index, np.arange(self.joint.units))

    def coins_at(self, key: Key, list_index: int, units: NDArray[np.integer]) -> Bools:
        """The coins (n,) of some units (n,) of one list, numbered scale after scale."""
        scales, places = np.divmod(units, self.colouring.units)
        out = np.zeros(len(units), bool)
        for scale in np.unique(scales).tolist():
            here = scales == scale
            out[here] = self._coins(key, list_index, scale, places[here])
        return out

    @cached_property
    def joint(self) -> Colouring:
        """The colouring of (scale, code) symbols, numbered scale * V + code."""
        one = self.colouring
        offset = np.repeat(np.arange(self.scales, dtype=np.int32) * one.units, one.codes)
        return replace(
            one,
            unit=np.tile(one.unit, self.scales) + offset,
            side=np.tile(one.side, self.scales),
            units=one.units * self.scales,
        )

    def _coins(self, key: Key, list_index: int, scale: int, places: NDArray[np.integer]) -> Bools:
        if not (0 <= list_index < self.lists and 0 <= scale < self.scales):
            raise ValueError(f"scheme {self.name} has no list {list_index} at scale {scale}")
        domain = Domain(self.name, self.model, self.codec_digest, list_index, scale, self.stream)
        return coins_at(key, domain, places, self.colouring.gamma)
