"""Products of few rows with large weights: what drawing token by token spends its time on.

A step of a small batch reads every weight once and computes little with it, so what counts is how
many bytes a weight has, and that the kernel reads it as it lies. On a processor without bfloat16
instructions PyTorch's products in bfloat16 are far slower than in single precision; FBGEMM's with
weights in half precision, which it widens as it reads and adds up in single precision, are faster.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REST = 2.0**11  # by which the second half is scaled: as many bits as the first has
LARGEST = torch.finfo(torch.float16).max
# FBGEMM takes 120 rows at a time, in parts. Parts of one or two rows are added up in another order:
# with these numbers of rows a row's result would depend on how many others there are (AVX2).
AT_ONCE, LONG, PART = 120, 36, 6
ODD = (1, 2, 7, 14, 31, 32)


class CannotHalve(ValueError):
    """Weights that cannot be kept in half precision here; the text says why."""


class HalfLinear(nn.Module):
    """A product (..., inputs) to (..., outputs) with packed half-precision weights, no bias.

    `parts` 2 keeps what rounding leaves over as a second half: 22 bits of every weight, as many
    bytes as single precision, and less time than PyTorch's product of few rows takes.
    """

    def __init__(self, weight: Tensor, parts: Literal[1, 2] = 1) -> None:
        super().__init__()
        left = weight.detach().float()
        most = float(left.abs().max())
        if not most <= LARGEST:
            raise CannotHalve(f"a weight of {most:g} does not fit into half precision")
        if torch.backends.quantized.engine not in ("x86", "fbgemm"):
            raise CannotHalve("PyTorch has no product with half-precision weights on this machine")
        self.outputs, self.inputs = weight.shape
        self._packed: list[torch.ScriptObject] = []
        for _ in range(parts):
            self._packed.append(torch.ops.quantized.linear_prepack_fp16(left, None))
            left = (left - left.half().float()) * REST

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.inputs)
        count, more = len(rows), 0
        while _odd(count + more):
            more += 1
        if more:
            rows = F.pad(rows, (0, 0, 0, more))
        out, *rest = (torch.ops.quantized.linear_dynamic_fp16(rows, part) for part in self._packed)
        for small in rest:
            out = torch.add(out, small, alpha=1 / REST)
        first: Tensor = out[:count]
        return first.view(*x.shape[:-1], self.outputs)


def _odd(rows: int) -> bool:
    left = rows % AT_ONCE
    return left in ODD or (left > LONG and left % PART in (1, 2))


def halve(module: nn.Module, parts: Literal[1, 2] = 1) -> None:
    """Keep the weights of all products without a bias as halves, and no longer in single precision.

    For a model on the processor, in single precision; raises CannotHalve.
    """
    for parent in list(module.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, nn.Linear) and part.bias is None:
                setattr(parent, name, HalfLinear(part.weight, parts))
