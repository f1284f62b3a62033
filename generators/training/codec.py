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
from generators.training.distort import attacked
from generators.training.icons import Icon, Picture, codec_picture, load_icons, load_photographs

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
        self._matrices = [nn.Parameter(_matrix(weight.data)) for weight in self._convolutions]
        inner = {id(weight) for weight in self._convolutions}
        self._rest = [p for p in module.parameters() if id(p) not in inner]
        self._muon = torch.optim.Muon(
            self._matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
        )
        self._adamw = torch.optim.AdamW(self._rest, lr=rate, betas=(0.9, 0.98), weight_decay=1e-2)

    def set_rate(self, rate: float) -> None:
        for optimiser in (self._muon, self._adamw):
            for group in optimiser.param_groups:
                group["lr"] = rate

    def step(self, loss: Tensor) -> None:
        """Fit to the gradient of a loss."""
        for weight in (*self._convolutions, *self._rest):
            weight.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        for matrix, weight in zip(self._matrices, self._convolutions, strict=True):
            matrix.grad = None if weight.grad is None else _matrix(weight.grad)
        torch.nn.utils.clip_grad_norm_(self._rest, 1.0)
        self._muon.step()  # type: ignore[no-untyped-call]
        self._adamw.step()

    def state_dict(self) -> list[dict[str, Any]]:
        return [self._muon.state_dict(), self._adamw.state_dict()]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        self._muon.load_state_dict(state[0])
        self._adamw.load_state_dict(state[1])


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
        with torch.autocast("cpu", torch.bfloat16):
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
    train(Fit(VQCodec(VQConfig()), recipe, options.checkpoint), icons, photographs)


if __name__ == "__main__":
    main()
