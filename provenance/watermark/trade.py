"""Trade: a red token gives way to a green one that is nearly as likely there and looks like it.

The model draws undisturbed, and goes on from what it drew; only what is kept differs. A lexical
bias leads a drawing astray step by step, and the fixed partner of an index swap is often unlikely
where it lands; a trade does neither (docs/decisions/0007-trade.md has the figures). Where the model
is sure of its draw nothing is traded: nothing there would look right, and a code that fills the
ground of a picture is one coin, which further tokens hardly strengthen.
"""

from __future__ import annotations

import math
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
    weight: float = 2.0  # nats that a code loses for every `unit` it is away

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
    """Trades red tokens of one picture for green ones (V,), where the evidence is worth the cost.

    A code's first token is worth the whole `allowance` in nats, its n-th sqrt(n) - sqrt(n - 1) of
    it, as in the tests. A trade is worth the mean of what the green token adds and the red one
    would have taken; it costs what the green code is less likely than the draw, and what its
    distance weighs. The best of those that are worth their cost is taken, else the draw is kept.
    """

    def __init__(self, green: NDArray[np.bool_], likeness: Likeness, allowance: float) -> None:
        if not allowance >= 0:
            raise ValueError(f"an allowance is at least 0 nats, not {allowance}")
        if len(green) != len(likeness.vectors):
            raise ValueError(f"{len(green)} colours for {len(likeness.vectors)} codes")
        self.allowance = allowance
        self._green = torch.from_numpy(green.copy())
        self._count = [0] * len(green)  # tokens kept so far
        self._worth = torch.full((len(green),), allowance / 2)  # half of what one more is worth
        # Scaled so that a squared distance is what a code loses.
        self._vectors = likeness.vectors.float() * (likeness.weight / likeness.unit) ** 0.5

    def swap(self, ids: Tensor, logits: Tensor) -> Tensor:  # (n,), (n, V) -> (n,)
        """The tokens to keep instead of those drawn, by their logits before any cut."""
        if self._green.device != logits.device:
            self._green = self._green.to(logits.device)
            self._worth = self._worth.to(logits.device)
            self._vectors = self._vectors.to(logits.device)
        return ids.new_tensor(
            [self._keep(drawn, row) for drawn, row in zip(ids.tolist(), logits, strict=True)]
        )

    def _keep(self, drawn: int, row: Tensor) -> int:
        """The code kept for one draw by its logits (V,); its next token is worth less."""
        kept = drawn
        if not self._green[drawn]:
            left = row - row[drawn] + self._worth + self._worth[drawn]
            there = (self._green & (left >= 0)).nonzero()[:, 0]
            if len(there):
                apart = (self._vectors[there] - self._vectors[drawn]).square().sum(1)
                most, at = (left[there] - apart).max(0)
                kept = int(there[at]) if most >= 0 else drawn
        self._count[kept] += 1
        n = self._count[kept]
        self._worth[kept] = self.allowance / 2 * (math.sqrt(n + 1) - math.sqrt(n))
        return kept
