"""Lexical bias: green codes are made likelier before each draw (LBW, arXiv 2506.01011).

The bias is added after guidance and temperature and before top-k and top-p. An infinite bias is the
hard form: red codes cannot be drawn.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class LexicalBias:
    """Adds `delta` >= 0 to the logits of green codes (V,); costs one addition a step."""

    def __init__(self, green: NDArray[np.bool_], delta: float) -> None:
        if not delta >= 0:
            raise ValueError(f"delta must be at least 0, not {delta}")
        if not green.any():
            raise ValueError("no code is green")
        self.delta = delta
        mask = torch.from_numpy(green.copy())
        if math.isinf(delta):
            self._addend = torch.zeros(len(green)).masked_fill(~mask, -torch.inf)
        else:
            self._addend = mask * float(delta)

    def favour(self, logits: Tensor) -> Tensor:  # (n, V) -> (n, V)
        """The biased logits; exactly the logits given when delta is 0."""
        if self.delta == 0:
            return logits
        if self._addend.device != logits.device or self._addend.dtype != logits.dtype:
            self._addend = self._addend.to(logits)
        return logits + self._addend
