"""Matrices that learn only a low-rank change: W + B A, with W as it is."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class LowRank(nn.Module):
    """Adds B A to a matrix (out, in); starts as the identity."""

    def __init__(self, weight: Tensor, rank: int, seed: int) -> None:
        super().__init__()
        rows, columns = weight.shape
        start = torch.randn(rank, columns, generator=torch.Generator().manual_seed(seed))
        self.A = nn.Parameter(start / columns**0.5)
        self.B = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.B @ self.A


def attach(model: nn.Module, names: Iterable[str], *, rank: int, seed: int) -> dict[str, LowRank]:
    """Give the named matrices a change to learn, and freeze all else."""
    model.requires_grad_(requires_grad=False)
    changes: dict[str, LowRank] = {}
    for number, name in enumerate(sorted(names)):
        owner, _, leaf = name.rpartition(".")
        module = model.get_submodule(owner)
        change = LowRank(getattr(module, leaf), rank, seed + number)
        parametrize.register_parametrization(module, leaf, change)
        changes[name] = change
    return changes


def detach(model: nn.Module, changes: dict[str, LowRank]) -> dict[str, tuple[Tensor, Tensor]]:
    """Take the changes off again, leaving the matrices as they were; what was learnt."""
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for name, change in changes.items():
        owner, _, leaf = name.rpartition(".")
        parametrize.remove_parametrizations(
            model.get_submodule(owner), leaf, leave_parametrized=False
        )
        pairs[name] = (change.A.detach().clone(), change.B.detach().clone())
    return pairs
