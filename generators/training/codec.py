"""Train the codec of icons-128: `python -m generators.training.codec --help`.

Three phases in one run. First encoder and decoder without a codebook; then k-means makes the
codebook and the reader joins; then, for the longest part, most pictures are re-quantised to a
random half of the codes, spliced from two grids or speckled with wrong codes, as a marked and
sampled grid is, so that decoder and reader learn the grids they will meet.

Loss: 50 MSE + L1 of the pixels, 0.25 (1 - cosine) commitment, and the cross-entropy of reading
every token back from a distorted 8-bit copy.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.codecs.vq import STRIDE, Block, VQCodec, VQConfig
from generators.devices import brief
from generators.training.distort import attacked
from generators.training.icons import Icon, Picture, codec_picture, load_icons, load_photographs

# Decoder and codebook are made with a reader three times as large as the one that ships.
TUTOR = VQConfig(reader_blocks=(2, 4))
TEMPERATURE = 0.04  # of the cosine logits; neighbouring codes are about 0.1 apart


def codebook_from(samples: Tensor, codes: int, rng: torch.Generator) -> Tensor:
    """Spherical k-means of unit vectors (N, d): the codebook (V, d)."""
    book = samples[torch.randperm(len(samples), generator=rng)[:codes]].clone()
    for _ in range(8):
        nearest = torch.cat([(part @ book.T).argmax(1) for part in torch.split(samples, 4096)])
        sums = torch.zeros_like(book).index_add_(0, nearest, samples)
        empty = torch.bincount(nearest, minlength=codes) == 0
        sums[empty] = samples[torch.randint(len(samples), (int(empty.sum()),), generator=rng)]
        book = F.normalize(sums, dim=1)
    return book


class Optimisers:
    """Muon for the inner convolutions, each as one matrix a filter a row; AdamW for the rest."""

    def __init__(self, module: nn.Module, *, rate: float) -> None:
        self._convolutions = [
            layer.weight
            for block in module.modules()
            if isinstance(block, Block)
            for layer in (block.first, block.second)
        ]
        self._momenta = [torch.zeros_like(_matrix(w.data)) for w in self._convolutions]
        inner = {id(weight) for weight in self._convolutions}
        self._rest = [p for p in module.parameters() if id(p) not in inner]
        self._rate = rate
        self._adamw = torch.optim.AdamW(self._rest, lr=rate, betas=(0.9, 0.98), weight_decay=1e-2)

    def set_rate(self, rate: float) -> None:
        self._rate = rate
        for group in self._adamw.param_groups:
            group["lr"] = rate

    def step(self, loss: Tensor) -> None:
        """Fit to the gradient of a loss."""
        for weight in (*self._convolutions, *self._rest):
            weight.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._rest, 1.0)
        self._adamw.step()
        for weight, momentum in zip(self._convolutions, self._momenta, strict=True):
            if weight.grad is not None:
                self._turn(_matrix(weight.data), momentum, _matrix(weight.grad))

    @torch.no_grad()
    def _turn(self, matrix: Tensor, momentum: Tensor, gradient: Tensor) -> None:
        """Muon with Nesterov momentum 0.95 and AdamW's size of step (arXiv 2502.16982)."""
        momentum.lerp_(gradient, 0.05)
        update = orthogonal(gradient.lerp(momentum, 0.95))
        matrix.mul_(1 - 0.01 * self._rate)
        matrix.sub_(update, alpha=self._rate * 0.2 * max(matrix.shape) ** 0.5)

    def state_dict(self) -> dict[str, Any]:
        return {"momenta": self._momenta, "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._momenta = state["momenta"]
        self._adamw.load_state_dict(state["adamw"])


def orthogonal(gradient: Tensor) -> Tensor:  # (m, n), m <= n
    """Nearly the nearest matrix of orthonormal rows, by five Newton-Schulz steps.

    In single precision: torch.optim.Muon takes half, which processors without it emulate at a
    tenth of the speed.
    """
    out: Tensor = gradient / gradient.norm().clamp(min=1e-7)
    for _ in range(5):
        gram = out @ out.T
        out = 3.4445 * out + (-4.775 * gram + 2.0315 * gram @ gram) @ out
    return out


def _matrix(weight: Tensor) -> Tensor:
    """A channels-last filter bank (O, I, h, w) as a view (O, h w I)."""
    return weight.permute(0, 2, 3, 1).view(len(weight), -1)


class MovingCodebook:
    """Codes follow the mean of the vectors nearest to them; unused ones are moved to the data."""

    def __init__(self, codec: VQCodec, *, decay: float) -> None:
        self.codec = codec
        self.decay = decay
        self.sums = codec.codebook.clone()
        self.counts = torch.ones(len(codec.codebook))

    def update(self, vectors: Tensor, tokens: Tensor) -> None:
        flat, ids = vectors.permute(0, 2, 3, 1).reshape(-1, vectors.shape[1]), tokens.flatten()
        counts = torch.bincount(ids, minlength=len(self.counts)).float()
        sums = torch.zeros_like(self.sums).index_add_(0, ids, flat)
        self.counts.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        dead = (self.counts < 0.02).nonzero().flatten()
        if len(dead):
            fresh = flat[torch.randint(len(flat), (len(dead),))]
            self.sums[dead], self.counts[dead] = fresh * 0.2, 0.2
        self.codec.codebook.copy_(F.normalize(self.sums, dim=1))


def grids(
    codec: VQCodec, vectors: Tensor, pixels: Tensor, rng: np.random.Generator, *, odd: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tokens to decode, their code vectors with straight-through gradient, target pixels, weights.

    A share `odd` of the pictures is re-quantised to a random half of the codes; a third of those
    is spliced with a neighbour of the batch and a third is speckled with random codes, whose
    pixels then count nothing.
    """
    with torch.no_grad():
        similarity = codec.similarity(vectors)
        free = rng.random(len(pixels)) >= odd
        for i in np.flatnonzero(~free):
            similarity[i] -= 4 * (torch.rand(similarity.shape[-1]) < 0.5).float()
        tokens = similarity.argmax(-1)
    weights = torch.ones(tokens.shape)
    target = pixels.clone()
    for i in np.flatnonzero(~free):
        kind = rng.integers(3)
        if kind == 1:
            h, w = tokens.shape[1:]
            y, x = rng.integers(0, h - 4), rng.integers(0, w - 4)
            y1, x1 = y + rng.integers(4, h), x + rng.integers(4, w)
            other = (i + 1) % len(pixels)
            tokens[i, y:y1, x:x1] = tokens[other, y:y1, x:x1]
            box = (slice(None), slice(y * 8, y1 * 8), slice(x * 8, x1 * 8))
            target[i][box] = pixels[other][box]
        elif kind == 2:
            wrong = torch.rand(tokens.shape[1:]) < rng.uniform(0.02, 0.2)
            tokens[i][wrong] = torch.randint(similarity.shape[-1], (int(wrong.sum()),))
            weights[i][wrong] = 0
    chosen = codec.codebook[tokens].permute(0, 3, 1, 2)
    straight = torch.from_numpy(free)[:, None, None, None]
    vectors_out = torch.where(straight, vectors + (chosen - vectors).detach(), chosen)
    return tokens, vectors_out, target, weights


def pixel_loss(pixels: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """50 MSE + L1, weighted per token (B, h, w)."""
    mask = weights.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)[:, None]
    error = (pixels - target) * mask
    return 50 * error.square().mean() + error.abs().mean()


@dataclass(frozen=True)
class Recipe:
    """How long and how hard to fit."""

    steps: int
    batch: int
    rate: float
    read_weight: float
    seed: int

    @property
    def plain(self) -> int:
        """Steps without a codebook."""
        return int(self.steps * 0.08)

    def learning_rate(self, step: int) -> float:
        """A short rise, then a cosine down to 2 %."""
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.rate * min(1, step / 100) * (0.02 + 0.98 * cosine)

    def odd(self, step: int) -> float:
        """The share of pictures that are re-quantised, spliced or speckled."""
        return 0.15 if step < self.steps * 0.3 else 0.6

    def reading(self, step: int) -> float:
        """The weight of reading back, rising over a tenth of the steps."""
        return self.read_weight * min(1, (step - self.plain) / (0.1 * self.steps))


@dataclass(frozen=True)
class Losses:
    """One step's loss and what to print of it."""

    total: Tensor
    vectors: Tensor
    shown: str


class Fit:
    """A codec being fitted: its optimiser, its moving codebook, and its step."""

    def __init__(self, codec: VQCodec, recipe: Recipe, checkpoint: Path) -> None:
        codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.codec, self.recipe, self.checkpoint = codec, recipe, checkpoint
        self.optimiser = Optimisers(codec, rate=recipe.rate)
        self.moving = MovingCodebook(codec, decay=0.99)
        self.step = 0
        self.pool: list[Tensor] = []
        if checkpoint.exists():
            self._resume()
        self.rng = np.random.default_rng(recipe.seed + self.step)
        torch.manual_seed(recipe.seed + self.step)

    def advance(self, pixels: Tensor) -> Losses:
        """One step on pictures (B, 3, 128, 128)."""
        self.optimiser.set_rate(self.recipe.learning_rate(self.step))
        if self.step == self.recipe.plain:
            codes = len(self.codec.codebook)
            self.codec.codebook.copy_(
                codebook_from(torch.cat(self.pool), codes, torch.default_generator)
            )
            self.moving = MovingCodebook(self.codec, decay=0.99)
        with brief():
            losses = (
                self._plain(pixels) if self.step < self.recipe.plain else self._quantised(pixels)
            )
        self.optimiser.step(losses.total)
        if self.recipe.plain <= self.step < self.recipe.steps * 0.7:
            with torch.no_grad():
                vectors = losses.vectors
                self.moving.update(vectors, self.codec.similarity(vectors).argmax(-1))
        self.step += 1
        return losses

    def save(self) -> None:
        """Replace the checkpoint."""
        state = {
            "codec": self.codec.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "sums": self.moving.sums,
            "counts": self.moving.counts,
            "step": self.step,
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.checkpoint)

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        self.codec.load_state_dict(state["codec"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.moving.sums, self.moving.counts = state["sums"], state["counts"]
        self.step = state["step"]

    def _plain(self, pixels: Tensor) -> Losses:
        """Encoder and decoder alone, with a little noise in between."""
        vectors = self.codec.encoder(pixels)
        speckled = F.normalize(vectors + 0.1 * torch.randn_like(vectors), dim=1)
        error = pixel_loss(self.codec.decoder(speckled), pixels, torch.ones(len(pixels), 16, 16))
        flat = vectors.detach().permute(0, 2, 3, 1).flatten(0, 2)
        self.pool = [*self.pool[-12:], flat]
        return Losses(error, vectors.detach(), f"error {error.item():.4f}")

    def _quantised(self, pixels: Tensor) -> Losses:
        """All three networks through the codebook."""
        codec, recipe = self.codec, self.recipe
        vectors = codec.encoder(pixels)
        tokens, chosen, target, weights = grids(
            codec, vectors, pixels, self.rng, odd=recipe.odd(self.step)
        )
        drawn = codec.decoder(chosen)
        error = pixel_loss(drawn, target, weights)
        seen = codec.reader(attacked(drawn, self.rng, groups=4))
        logits = codec.similarity(seen) / TEMPERATURE
        read = F.cross_entropy(logits.flatten(0, 2), tokens.flatten())
        nearest = codec.codebook[codec.similarity(vectors.detach()).argmax(-1)]
        commit = 1 - (vectors * nearest.permute(0, 3, 1, 2)).sum(1).mean()
        right = (logits.argmax(-1) == tokens).float().mean((1, 2))
        quarter = len(pixels) // 4
        shown = (
            f"error {error.item():.4f} read {read.item():.3f} "
            f"clean {right[:quarter].mean():.3f} attacked {right[quarter:].mean():.3f}"
        )
        total = error + 0.25 * commit + recipe.reading(self.step) * read
        return Losses(total, vectors.detach(), shown)


def train(fit: Fit, icons: list[Icon], photographs: list[Picture]) -> None:
    """Fit all three networks and the codebook; resumes from the checkpoint if there is one."""
    started = time.monotonic()
    while fit.step < fit.recipe.steps:
        pictures = [codec_picture(fit.rng, icons, photographs) for _ in range(fit.recipe.batch)]
        pixels = torch.from_numpy(np.stack(pictures))
        losses = fit.advance(pixels.contiguous(memory_format=torch.channels_last))
        if fit.step % 20 == 0:
            print(f"{fit.step} {time.monotonic() - started:.0f}s {losses.shown}", flush=True)
        if fit.step % 200 == 0 or fit.step == fit.recipe.steps:
            fit.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--photographs", type=Path, help="folder of real photographs")
    parser.add_argument("--index", type=Path, help="CSV: file, split, permissive")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--read-weight", type=float, default=0.06)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    icons, _ = load_icons(options.icons)
    photographs = (
        load_photographs(options.photographs, options.index, split="train")
        if options.photographs
        else []
    )
    recipe = Recipe(options.steps, options.batch, options.rate, options.read_weight, options.seed)
    train(Fit(VQCodec(TUTOR), recipe, options.checkpoint), icons, photographs)


if __name__ == "__main__":
    main()
