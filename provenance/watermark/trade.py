"""Trade: a red token gives way to a green one that is nearly as likely there and looks like it.

The model draws undisturbed, and goes on from what it drew; only what is kept differs. A lexical
bias leads a drawing astray step by step, and the fixed partner of an index swap is often unlikely
where it lands; a trade does neither (docs/decisions/0007-trade.md has the figures). Where the model
is sure of its draw nothing is traded: nothing there would look right, and a code that fills the
ground of a picture is one coin anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK = 1024  # codes whose distances to all others are in memory at once


@dataclass(frozen=True, eq=False)
class Likeness:
    """How alike codes look, by their vectors (V, d) in the codec's own metric."""

    vectors: Tensor
    weight: float = 0.2  # nats that a code loses for every `unit` it is away

    @cached_property
    def unit(self) -> float:
        """The mean squared distance of a code to its nearest neighbour."""
        nearest = []
        for start in range(0, len(self.vectors), CHUNK):
            apart = torch.cdist(self.vectors[start : start + CHUNK].double(), self.vectors.double())
            rows = torch.arange(len(apart))
            apart[rows, start + rows] = torch.inf
            nearest.append(apart.min(1).values.square())
        return float(torch.cat(nearest).mean())


class Trade:
    """Trades red tokens for green ones (V,) at most `allowance` nats less likely, else not at all.

    Among those the likeliest is taken, less the weight of its distance from what was drawn.
    """

    def __init__(self, green: NDArray[np.bool_], likeness: Likeness, allowance: float) -> None:
        if not allowance >= 0:
            raise ValueError(f"an allowance is at least 0 nats, not {allowance}")
        if len(green) != len(likeness.vectors):
            raise ValueError(f"{len(green)} colours for {len(likeness.vectors)} codes")
        self.allowance = allowance
        self._green = torch.from_numpy(green.copy())
        # Scaled so that a squared distance is what a code loses.
        self._vectors = likeness.vectors.float() * (likeness.weight / likeness.unit) ** 0.5

    def swap(self, ids: Tensor, logits: Tensor) -> Tensor:  # (n,), (n, V) -> (n,)
        """The tokens to keep instead of those drawn, by their logits before any cut."""
        if self._green.device != logits.device:
            self._green = self._green.to(logits.device)
            self._vectors = self._vectors.to(logits.device)
        kept = ids.clone()
        for place in (~self._green[ids]).nonzero()[:, 0].tolist():
            row, drawn = logits[place], ids[place]
            there = (self._green & (row >= row[drawn] - self.allowance)).nonzero()[:, 0]
            if len(there):
                away = (self._vectors[there] - self._vectors[drawn]).square().sum(1)
                kept[place] = there[(row[there] - away).argmax()]
        return kept
