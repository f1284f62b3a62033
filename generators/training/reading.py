"""Teach decoder and reader the grids that are drawn: `python -m generators.training.reading`.

Encoder and codebook stay as they are, so the transformer does not notice. Nearly half of each batch
are pictures, encoded freely or to half of the codes; the rest are grids that the transformer
sampled under marks of random keys, whose pixels shall stay nearly what the decoder made of them
before. Both must be read back from distorted copies (RobusTok and wmar call this post-training of
the tokenizer).
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.codecs.vq import VQCodec
from generators.devices import brief
from generators.training.codec import TUTOR, Optimisers, grids, pixel_loss
from generators.training.distort import attacked
from generators.training.icons import Icon, Picture, codec_picture, load_icons, load_photographs

PICTURES, GRIDS = 5, 7  # a batch
TEMPERATURE = 0.01  # of the cosine logits: half of the codes have another within 0.055
AS_BEFORE = 0.5  # weight of the pixels of grids, which may change somewhat to be readable


class Tuning:
    """Decoder and reader being fitted to pictures and to sampled grids (N, h, w)."""

    def __init__(
        self, codec: VQCodec, sampled: Tensor, *, steps: int, rate: float, read_weight: float
    ) -> None:
        codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.codec, self.sampled = codec, sampled
        self.steps, self.rate, self.read_weight = steps, rate, read_weight
        self.before = copy.deepcopy(codec.decoder).eval()
        self.fitted = nn.ModuleList([codec.decoder, codec.reader])
        self.optimiser = Optimisers(self.fitted, rate=rate)
        self.rng = np.random.default_rng(2)
        self.step = 0
        torch.manual_seed(2)

    def advance(self, pixels: Tensor) -> str:
        """One step on pictures (B, 3, H, W) and as many grids again and more; what to print."""
        cosine = 1 + math.cos(math.pi * self.step / self.steps)
        self.optimiser.set_rate(self.rate * min(1, (self.step + 1) / 50) * (0.02 + 0.49 * cosine))
        drawn = self.sampled[torch.from_numpy(self.rng.integers(0, len(self.sampled), GRIDS))]
        with brief():
            vectors, wanted, aim, mask = self._aims(pixels, drawn)
            out = self.codec.decoder(vectors)
            error = pixel_loss(out, aim, mask)
            order = torch.from_numpy(self.rng.permutation(len(out)))
            seen = self.codec.reader(attacked(out[order], self.rng, groups=4))
            logits = self.codec.similarity(seen) / TEMPERATURE
            wanted = wanted[order]
            read = F.cross_entropy(logits.flatten(0, 2), wanted.flatten())
            loss = error + self.read_weight * read
        self.optimiser.step(loss)
        self.step += 1
        right = (logits.argmax(-1) == wanted).float().mean((1, 2))
        return (
            f"error {error.item():.4f} read {read.item():.3f} "
            f"clean {right[:3].mean():.3f} attacked {right[3:].mean():.3f}"
        )

    @torch.no_grad()
    def _aims(self, pixels: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Code vectors to decode, their tokens, the pixels wished for, and their weights."""
        tokens, chosen, target, weights = grids(
            self.codec, self.codec.encoder(pixels), pixels, self.rng, odd=0.4
        )
        grid = self.codec.codebook[drawn].permute(0, 3, 1, 2)
        meant = self.before(grid).clamp(0, 1)
        return (
            torch.cat([chosen, grid]),
            torch.cat([tokens, drawn]),
            torch.cat([target, meant]),
            torch.cat([weights, torch.full(drawn.shape, AS_BEFORE)]),
        )


def tune(
    tuning: Tuning, icons: list[Icon], photographs: list[Picture], *, checkpoint: Path
) -> None:
    """Run all steps, keeping the codec in the checkpoint."""
    started = time.monotonic()
    while tuning.step < tuning.steps:
        pictures = [codec_picture(tuning.rng, icons, photographs) for _ in range(PICTURES)]
        shown = tuning.advance(torch.from_numpy(np.stack(pictures)))
        if tuning.step % 20 == 0:
            print(f"{tuning.step} {time.monotonic() - started:.0f}s {shown}", flush=True)
        if tuning.step % 100 == 0 or tuning.step == tuning.steps:
            part = checkpoint.with_suffix(".part")
            torch.save({"codec": tuning.codec.state_dict(), "step": tuning.step}, part)
            part.replace(checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--photographs", type=Path, help="folder of real photographs")
    parser.add_argument("--index", type=Path, help="CSV: file, split, permissive")
    parser.add_argument("--codec", type=Path, required=True, help="checkpoint of the codec")
    parser.add_argument("--sampled", type=Path, required=True, help=".npy of grids (N, h, w)")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--read-weight", type=float, default=0.03)
    options = parser.parse_args()
    codec = VQCodec(TUTOR)
    codec.load_state_dict(torch.load(options.codec, weights_only=True)["codec"])
    icons, _ = load_icons(options.icons)
    photographs = (
        load_photographs(options.photographs, options.index, split="train")
        if options.photographs
        else []
    )
    tuning = Tuning(
        codec,
        torch.from_numpy(np.load(options.sampled).astype(np.int64)),
        steps=options.steps,
        rate=options.rate,
        read_weight=options.read_weight,
    )
    tune(tuning, icons, photographs, checkpoint=options.checkpoint)


if __name__ == "__main__":
    main()
