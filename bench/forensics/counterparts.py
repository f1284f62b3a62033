"""Fits the small codecs.

Every step sees crops of 96 px of photographs of the train split, some of them made smaller first.
A run ends after its time and goes on from its checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.forensics.codecs import KINDS, Kind, SmallCodec
from bench.forensics.sources import Bytes, Photograph

SIDE = 96
BATCH = 8
RATE = 2e-3
MINUTES = 13.0
WARM = 300  # steps before the discriminator counts


def crop(photograph: Bytes, rng: np.random.Generator) -> Tensor:
    """A random (3, 96, 96) crop in [0, 1], of the picture at a random size up to its own."""
    height, width = photograph.shape[:2]
    scale = max(rng.uniform(0.35, 1.0), SIDE / min(height, width))
    size = int(np.ceil(SIDE / scale))
    size = min(size, height, width)
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    part = Image.fromarray(photograph[top : top + size, left : left + size])
    if size != SIDE:
        part = part.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    array = np.asarray(part)
    if rng.random() < 0.5:
        array = array[:, ::-1]
    return torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 255


def patches() -> nn.Module:
    """A discriminator of patches (arXiv 1611.07004, section 3.2), small."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 96)):
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(96, 1, 3, padding=1))


def fourier(drawn: Tensor, real: Tensor) -> Tensor:
    """How far the sizes of the Fourier coefficients of blocks of 32 px lie apart, in log."""

    def sizes(x: Tensor) -> Tensor:
        blocks = x.unfold(2, 32, 32).unfold(3, 32, 32)
        logs: Tensor = torch.fft.rfft2(blocks, norm="ortho").abs().add(0.02).log()
        return logs

    return F.l1_loss(sizes(drawn), sizes(real))


class Fit:
    """A codec being fitted, and for `gaussian` its discriminator."""

    def __init__(self, kind: Kind, checkpoint: Path, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.codec = SmallCodec(kind).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.critic = patches() if kind == "gaussian" else None
        self.checkpoint, self.step = checkpoint, 0
        self.adam = torch.optim.AdamW(self.codec.parameters(), lr=RATE, betas=(0.9, 0.98))
        self.opposed = self.critic and torch.optim.AdamW(
            self.critic.parameters(), lr=4e-4, betas=(0.5, 0.9)
        )
        if checkpoint.exists():
            state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
            self.codec.load_state_dict(state["codec"])
            self.adam.load_state_dict(state["adam"])
            self.step = state["step"]
            if self.critic and self.opposed:
                self.critic.load_state_dict(state["critic"])
                self.opposed.load_state_dict(state["opposed"])

    def save(self) -> None:
        state = {"codec": self.codec.state_dict(), "adam": self.adam.state_dict()}
        if self.critic and self.opposed:
            state |= {"critic": self.critic.state_dict(), "opposed": self.opposed.state_dict()}
        torch.save(state | {"step": self.step}, self.checkpoint)

    def fit(self, pixels: Tensor, rate: float) -> float:
        """One step; returns the mean squared error."""
        for group in self.adam.param_groups:
            group["lr"] = rate
        drawn = self.codec(pixels)
        error = F.mse_loss(drawn, pixels)
        loss = F.l1_loss(drawn, pixels) + 5 * error
        if self.codec.kind == "gaussian":
            loss = loss + self._against(drawn) + 1e-4 * self.codec.encode(pixels).square().mean()
        else:
            loss = loss + 0.05 * fourier(drawn, pixels)
        self.adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.codec.parameters(), 1.0)
        self.adam.step()
        if self.critic and self.opposed:
            self._oppose(self.critic, self.opposed, drawn.detach(), pixels)
        self.step += 1
        return float(error.detach())

    def _against(self, drawn: Tensor) -> Tensor:
        if self.critic is None or self.step < WARM:
            return drawn.new_zeros(())
        loss: Tensor = -0.01 * self.critic(drawn * 2 - 1).mean()
        return loss

    def _oppose(
        self, critic: nn.Module, adam: torch.optim.Optimizer, drawn: Tensor, real: Tensor
    ) -> None:
        told = F.relu(1 - critic(real * 2 - 1)).mean() + F.relu(1 + critic(drawn * 2 - 1)).mean()
        adam.zero_grad()
        told.backward()  # type: ignore[no-untyped-call]
        adam.step()


def train(fit: Fit, pictures: list[Bytes], minutes: float) -> None:
    """Fit for a time; the rate falls to a hundredth over it, as a cosine."""
    rng = np.random.default_rng(fit.step)
    start, saved, errors = time.monotonic(), time.monotonic(), []
    while (spent := (time.monotonic() - start) / 60) < minutes:
        chosen = rng.integers(len(pictures), size=BATCH)
        pixels = torch.stack([crop(pictures[i], rng) for i in chosen])
        fall = 0.5 + 0.5 * np.cos(np.pi * spent / minutes)
        rate = float(RATE * (0.01 + 0.99 * fall) * min(1.0, (fit.step + 1) / 100))
        errors.append(fit.fit(pixels.contiguous(memory_format=torch.channels_last), rate))
        if time.monotonic() - saved > 60:
            fit.save()
            saved = time.monotonic()
            quality = -10 * np.log10(np.mean(errors[-200:]))
            print(f"step {fit.step}: {quality:.2f} dB after {spent:.1f} min", flush=True)
    fit.save()


def fit_codecs(reals: Sequence[Photograph], folder: Path, *, minutes: float = MINUTES) -> None:
    """Fit the codecs that are not in a folder yet."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [kind for kind in KINDS if not (folder / f"forensics-{kind}.safetensors").exists()]
    pictures = [real.pixels() for real in reals] if missing else []
    for kind in missing:
        fit = Fit(kind, folder / f"forensics-{kind}.pt")
        train(fit, pictures, minutes)
        halves = {name: value.half().contiguous() for name, value in fit.codec.state_dict().items()}
        save_file(halves, folder / f"forensics-{kind}.safetensors")
