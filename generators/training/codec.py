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
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from generators.codecs.vq import STRIDE, VQCodec, VQConfig
from generators.training.distort import attacked
from generators.training.icons import Icon, Picture, codec_picture, load_icons, load_photographs

TEMPERATURE = 0.04  # of the cosine logits; neighbouring codes are about 0.1 apart


def codebook_from(samples: Tensor, codes: int, rng: torch.Generator) -> Tensor:
    """Spherical k-means of unit vectors (N, d): the codebook (V, d)."""
    book = samples[torch.randperm(len(samples), generator=rng)[:codes]].clone()
    for _ in range(8):
        nearest = torch.cat([(part @ book.T).argmax(1) for part in samples.split(4096)])
        sums = torch.zeros_like(book).index_add_(0, nearest, samples)
        empty = torch.bincount(nearest, minlength=codes) == 0
        sums[empty] = samples[torch.randint(len(samples), (int(empty.sum()),), generator=rng)]
        book = F.normalize(sums, dim=1)
    return book


class MovingCodebook:
    """Codes follow the mean of the vectors they are nearest to; unused ones are moved to the data."""

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


def train(
    codec: VQCodec,
    icons: list[Icon],
    photographs: list[Picture],
    *,
    steps: int,
    batch: int,
    rate: float,
    read_weight: float,
    seed: int,
    checkpoint: Path,
) -> None:
    """Fit all three networks and the codebook; resumes from the checkpoint if there is one."""
    codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(codec.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=1e-2)
    plain, odd_from = int(steps * 0.08), int(steps * 0.3)
    moving, first = MovingCodebook(codec, decay=0.99), 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        codec.load_state_dict(state["codec"])
        optimiser.load_state_dict(state["optimiser"])
        moving.sums, moving.counts, first = state["sums"], state["counts"], state["step"]
        rng = np.random.default_rng(seed + first)
    started, pool = time.monotonic(), []
    for step in range(first, steps):
        progress = step / steps
        scale = min(1, step / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimiser.param_groups:
            group["lr"] = rate * scale
        pixels = torch.from_numpy(
            np.stack([codec_picture(rng, icons, photographs) for _ in range(batch)])
        )
        with torch.autocast("cpu", torch.bfloat16):
            vectors = codec.encoder(pixels.contiguous(memory_format=torch.channels_last))
            if step < plain:
                speckle = F.normalize(vectors + 0.1 * torch.randn_like(vectors), dim=1)
                loss = pixel_loss(codec.decoder(speckle), pixels, torch.ones(batch, 16, 16))
                error, read, right = loss, torch.zeros(()), torch.zeros(())
                pool = [*pool[-12:], vectors.detach().permute(0, 2, 3, 1).flatten(0, 2)]
            else:
                if step == plain:
                    book = codebook_from(
                        torch.cat(pool), len(codec.codebook), torch.default_generator
                    )
                    codec.codebook.copy_(book)
                    moving = MovingCodebook(codec, decay=0.99)
                odd = 0.15 if step < odd_from else 0.6
                tokens, quantised, target, weights = grids(codec, vectors, pixels, rng, odd=odd)
                drawn = codec.decoder(quantised)
                error = pixel_loss(drawn, target, weights)
                seen = codec.reader(attacked(drawn, rng, groups=4))
                logits = codec.similarity(seen) / TEMPERATURE
                read = F.cross_entropy(logits.flatten(0, 2), tokens.flatten())
                right = (logits.argmax(-1) == tokens).float().mean((1, 2))
                nearest = codec.codebook[codec.similarity(vectors.detach()).argmax(-1)]
                commit = 1 - (vectors * nearest.permute(0, 3, 1, 2)).sum(1).mean()
                weight = read_weight * min(1, (step - plain) / (0.1 * steps))
                loss = error + 0.25 * commit + weight * read
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimiser.step()
        if step >= plain and step < steps * 0.7:
            with torch.no_grad():
                moving.update(vectors.detach(), codec.similarity(vectors.detach()).argmax(-1))
        if step % 20 == 0:
            clean = right[: batch // 4].mean().item() if right.ndim else 0.0
            hurt = right[batch // 4 :].mean().item() if right.ndim else 0.0
            print(
                f"{step} {time.monotonic() - started:.0f}s error {error.item():.4f} "
                f"read {read.item():.3f} clean {clean:.3f} attacked {hurt:.3f}",
                flush=True,
            )
        if step % 200 == 199 or step == steps - 1:
            torch.save(
                {
                    "codec": codec.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "sums": moving.sums,
                    "counts": moving.counts,
                    "step": step + 1,
                },
                checkpoint.with_suffix(".part"),
            )
            checkpoint.with_suffix(".part").replace(checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--photographs", type=Path, help="folder of real photographs")
    parser.add_argument("--index", type=Path, help="CSV: file, split, permissive")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3600)
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
    train(
        VQCodec(VQConfig()),
        icons,
        photographs,
        steps=options.steps,
        batch=options.batch,
        rate=options.rate,
        read_weight=options.read_weight,
        seed=options.seed,
        checkpoint=options.checkpoint,
    )


if __name__ == "__main__":
    main()
