"""Which of the things that icons-128 and its red-team variant draw is in a picture.

A small residual network on the picture at 64 px, trained on renderings of the icons and on what
the codec and the transformer make of them (generators.training.checker). It knows one style too.
A score is a softmax over things, which sums to one, and a sigmoid for the style.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from generators.checkers.interface import CannotCheck, Picture

SIDE = 64
WIDTHS = (32, 64, 128, 192)
BATCH = 32


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(8, channels)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(F.silu(self.first(F.silu(self.norm(x)))))
        return out


class IconNetwork(nn.Module):
    """Logits (B, things + 1) of pictures (B, 3, 64, 64) in [0, 1]; the last is the style's."""

    def __init__(self, things: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, WIDTHS[0], 3, padding=1)]
        for before, after in zip(WIDTHS, (*WIDTHS[1:], WIDTHS[-1]), strict=True):
            layers += [Residual(before), nn.Conv2d(before, after, 3, stride=2, padding=1)]
        self.layers = nn.Sequential(*layers, nn.GroupNorm(8, WIDTHS[-1]), nn.SiLU())
        self.head = nn.Linear(2 * WIDTHS[-1], things + 1)

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.layers(pixels * 2 - 1)
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
        out: Tensor = self.head(pooled)
        return out


def shrunk(pixels: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) at the network's size."""
    return F.interpolate(pixels, size=(SIDE, SIDE), mode="area")


class IconChecker:
    """The trained network."""

    name = "icons-128"

    def __init__(self, network: IconNetwork, labels: tuple[str, ...], digest: bytes) -> None:
        self.network, self.labels, self.digest = network.eval(), labels, digest

    @torch.inference_mode()
    def scores(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        rows = []
        for start in range(0, len(pictures), BATCH):
            batch = np.stack(pictures[start : start + BATCH]).transpose(0, 3, 1, 2)
            pixels = torch.from_numpy(np.ascontiguousarray(batch, np.float32) / 255)
            logits = self.network(shrunk(pixels))
            rows.append(torch.cat([logits[:, :-1].softmax(-1), logits[:, -1:].sigmoid()], 1))
        return torch.cat(rows).numpy() if rows else np.zeros((0, len(self.labels)), np.float32)


def load_checker(path: Path, digest: bytes) -> IconChecker:
    """The checker of a file of that SHA-256; raises CannotCheck."""
    try:
        data = path.read_bytes()
    except OSError as e:
        raise CannotCheck(f"{path}: {e.strerror}") from e
    found = hashlib.sha256(data).digest()
    if found != digest:
        raise CannotCheck(f"{path} has SHA-256 {found.hex()[:16]}..., not {digest.hex()[:16]}...")
    try:
        tensors = load(data)
        labels = tuple(bytes(tensors.pop("labels").tolist()).decode().split("\n"))
        network = IconNetwork(len(labels) - 1)
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (SafetensorError, KeyError, RuntimeError, UnicodeDecodeError) as e:
        raise CannotCheck(f"{path} is not this checker: {str(e).splitlines()[0]}") from e
    return IconChecker(network, labels, digest)
