"""A small convolutional network that sees only what a crop's neighbours do not predict.

Content is taken away first, by a fixed second difference in luma and chroma; what the network
learns is texture. It is fitted by `make train-forensics`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (24, 40, 64)
STRENGTH = 24.0  # a residual of 1/24 is 1; larger ones are bent towards 2


class ResidualNet(nn.Module):
    """(B, 3, H, W) in [0, 1] to one logit each, (B,); above 0 speaks for a drawn picture."""

    colours: Tensor
    difference: Tensor

    def __init__(self, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        first, *rest = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
        )
        self.stages = nn.Sequential(*(_Stage(a, b) for a, b in zip(widths, rest, strict=False)))
        self.head = nn.Linear(2 * widths[-1], 1)
        colours = torch.tensor(
            [[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]]
        )
        kernel = torch.tensor([[-1.0, 2.0, -1.0], [2.0, -4.0, 2.0], [-1.0, 2.0, -1.0]]) / 4
        self.register_buffer("colours", colours[:, :, None, None], persistent=False)
        self.register_buffer("difference", kernel.repeat(3, 1, 1, 1), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        rest = F.conv2d(F.conv2d(crops, self.colours), self.difference, groups=3)
        x = self.stages(self.stem(2 * torch.tanh(rest * STRENGTH / 2)))
        mean = x.mean(dim=(2, 3))
        spread = (x - mean[:, :, None, None]).square().mean(dim=(2, 3)).add(1e-6).sqrt()
        logits: Tensor = self.head(torch.cat([mean, spread], dim=1))[:, 0]
        return logits


class _Stage(nn.Module):
    """Half the size, then a residual block."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )
        self.block = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return F.relu(x + self.block(x))
