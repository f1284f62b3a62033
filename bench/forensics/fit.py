"""Fitting the embedded member: the reading of the spectra, and the residual network.

Every fit sees the photographs of the train split alone, and of the families only those it is told.
The parts are added with weight 1 each, decided beforehand: with so few photographs, weights fitted
on what the parts were fitted to would favour the one that remembers best.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from bench.forensics.views import Ready, Recipe, negative, pair
from provenance.forensics.residual import ResidualNet
from provenance.forensics.spectra import SpectraHead, features
from provenance.image import Pixels

Floats = NDArray[np.float64]
BATCH = 16  # pairs; as many hard negatives again
RATE = 2e-3
SPECTRA_EPOCHS, SPECTRA_DECAY = 20, 3.0


@dataclass(frozen=True)
class Views:
    """Crops (N, 3, 128, 128) and whether each is drawn."""

    crops: Pixels
    drawn: NDArray[np.bool_]


def draw_views(
    ready: Sequence[Ready],
    families: Sequence[str],
    recipe: Recipe,
    *,
    each: int,
    rng: np.random.Generator,
) -> Views:
    """`each` pairs of every photograph with every family, and hard negatives as the recipe says."""
    crops: list[Pixels] = []
    drawn: list[bool] = []
    for one in ready:
        for family in families:
            for _ in range(each):
                crops += pair(one, family, recipe, rng)
                drawn += [False, True]
                if rng.random() < recipe.negatives:
                    crops.append(negative(one, recipe, rng))
                    drawn.append(False)
    return Views(np.stack(crops), np.array(drawn))


def fit_spectra(
    numbers: NDArray[np.float32], drawn: NDArray[np.bool_], *, seed: int = 0
) -> SpectraHead:
    """The reading of features (N, 137) that tells drawn from photographed; both weigh the same."""
    torch.manual_seed(seed)
    head = SpectraHead()
    head.set_scale(torch.from_numpy(numbers.mean(axis=0)), torch.from_numpy(numbers.std(axis=0)))
    x, y = torch.from_numpy(numbers), torch.from_numpy(drawn.astype(np.float32))
    weight = torch.where(y > 0, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    adam = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=SPECTRA_DECAY)
    steps = SPECTRA_EPOCHS * (len(x) // 256 + 1)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        part = torch.randint(len(x), (256,))
        loss = F.binary_cross_entropy_with_logits(head(x[part]), y[part], weight=weight[part])
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        fall.step()
    return head.eval()


def fit_residual(
    ready: Sequence[Ready],
    families: Sequence[str],
    recipe: Recipe,
    *,
    minutes: float,
    seed: int = 0,
) -> ResidualNet:
    """The network after a time of steps; the rate falls as a cosine."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = ResidualNet()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2)
    net.train()
    start = time.monotonic()
    while (spent := (time.monotonic() - start) / 60) < minutes:
        for group in adam.param_groups:
            group["lr"] = RATE * max(0.01, 0.5 + 0.5 * float(np.cos(np.pi * spent / minutes)))
        crops, drawn, weight = _batch(ready, families, recipe, rng)
        logits = net(crops.contiguous(memory_format=torch.channels_last))
        loss = F.binary_cross_entropy_with_logits(logits, drawn, weight=weight)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    net.eval()
    return net


def _batch(
    ready: Sequence[Ready], families: Sequence[str], recipe: Recipe, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Crops, whether each is drawn, and weights by which both classes count the same."""
    crops: list[Pixels] = []
    drawn: list[float] = []
    for _ in range(BATCH):
        one = ready[int(rng.integers(len(ready)))]
        crops += pair(one, families[int(rng.integers(len(families)))], recipe, rng)
        drawn += [0.0, 1.0]
        if rng.random() < recipe.negatives:
            crops.append(negative(ready[int(rng.integers(len(ready)))], recipe, rng))
            drawn.append(0.0)
    labels = torch.tensor(drawn)
    share = labels.mean()
    return (
        torch.from_numpy(np.stack(crops)),
        labels,
        torch.where(labels > 0, 0.5 / share, 0.5 / (1 - share)),
    )


def residual_scores(net: ResidualNet, crops: Pixels) -> Floats:
    """The network's logits of crops (N, 3, 128, 128)."""
    with torch.inference_mode():
        batches = torch.split(torch.from_numpy(crops), 64)
        parts = [net(part).double().numpy() for part in batches]
    return np.concatenate(parts)


def spectra_numbers(views: Views) -> NDArray[np.float32]:
    """The features of all crops."""
    return np.concatenate(
        [features(views.crops[i : i + 64]) for i in range(0, len(views.crops), 64)]
    )
