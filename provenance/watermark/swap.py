"""Index swap: a red token gives way to its green partner (IndexMark, arXiv 2505.14673).

The swap happens while the picture is sampled, so that in a residual codec later scales absorb the
difference; a raster model goes on from what it drew, as IndexMark does. How visible a swap is
depends on the decoder, not on the distance of codes: measure it in pixels, and never swap what
shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Bools = NDArray[np.bool_]
Ints = NDArray[np.int32]

PATCH = 5  # tokens a side: the middle one is swapped, the rest is what a decoder sees around it
BATCH = 64


class IndexSwap:
    """Swaps red tokens for their green partners (V,), except those in `never` (V,).

    `ratio` limits how much likelier the drawn token may be than its partner, p(drawn) / p(partner)
    before top-k and top-p; None swaps always.
    """

    def __init__(self, partner: Ints, green: Bools, never: Bools, ratio: float | None) -> None:
        if ratio is not None and not ratio > 0:
            raise ValueError(f"a ratio of probabilities must be above 0, not {ratio}")
        if not partner.shape == green.shape == never.shape:
            raise ValueError("partner, green and never must have one entry a code")
        swapped = ~green & green[partner] & ~never
        target = np.where(swapped, partner, np.arange(len(partner)))
        self.ratio = ratio
        self._surer = math.inf if ratio is None else math.log(ratio)
        self._target = torch.from_numpy(target.astype(np.int64))

    def swap(self, ids: Tensor, logits: Tensor) -> Tensor:  # (n,), (n, V) -> (n,)
        """The tokens to keep instead of those drawn."""
        if self._target.device != ids.device:
            self._target = self._target.to(ids.device)
        target = self._target.index_select(0, ids)  # for one token far cheaper than [ids]
        if self.ratio is None:
            return target
        drawn = logits.gather(1, ids[:, None])[:, 0]
        there = logits.gather(1, target[:, None])[:, 0]
        return torch.where(drawn - there <= self._surer, target, ids)


@torch.inference_mode()
def swap_distances(decode: Callable[[Tensor], Tensor], partner: Ints) -> NDArray[np.float32]:
    """How much a swap of each code (V,) changes the picture, in levels of 255.

    A patch of one code is decoded, (B, h, w) -> (B, 3, H, W) in [0, 1], and again with its middle
    token swapped; the root of the summed squared difference over one token's pixels and channels.
    """
    distances = np.empty(len(partner), np.float32)
    for first in range(0, len(partner), BATCH):
        codes = torch.arange(first, min(first + BATCH, len(partner)))
        plain = codes[:, None, None].expand(-1, PATCH, PATCH).clone()
        swapped = plain.clone()
        swapped[:, PATCH // 2, PATCH // 2] = torch.from_numpy(partner)[codes].long()
        before, after = decode(plain).double(), decode(swapped).double()
        per_token = before[0].numel() / PATCH**2
        squared = (before - after).square().flatten(1).sum(1) / per_token
        distances[codes.numpy()] = (squared.sqrt() * 255).cpu().numpy()
    return distances


def never_swap(distances: NDArray[np.float32], partner: Ints, limit: float) -> Bools:
    """The codes (V,) of pairs of which either swap changes the picture by more than the limit."""
    return np.maximum(distances, distances[partner]) > limit
