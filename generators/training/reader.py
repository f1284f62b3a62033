"""Fit the reader that ships to a finished codec: `python -m generators.training.reader --help`.

Encoder, decoder and codebook stay as they are; the codec was made with a tutor three times the
reader's cost, whose first layers the reader starts from. It learns to tell the tokens of decoded
pictures from distorted copies, by cross-entropy among all codes: pictures encoded freely or to half
of the codes, and grids that the transformer drew under random half lists.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from generators.codecs.vq import Reader, VQCodec, VQConfig
from generators.training.codec import TUTOR, Optimisers, grids
from generators.training.distort import attacked
from generators.training.icons import Icon, Picture, codec_picture, load_icons, load_photographs

BATCH, GROUPS = 16, 8  # pictures a step, and how many distortions they go through
TEMPERATURE = 0.01  # of the cosine logits: half of the codes have another within 0.055


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pictures of the codec, as 8-bit files hold them, and the tokens they were decoded from."""

    pixels: NDArray[np.uint8]  # (N, 3, H, W)
    tokens: NDArray[np.int16]  # (N, h, w)

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Pixels (B, 3, H, W) in [0, 1] and tokens (B, h, w)."""
        chosen = np.sort(rng.integers(0, len(self.pixels), size))
        chosen = chosen[rng.permutation(size)]
        pixels = torch.from_numpy(self.pixels[chosen]).float() / 255
        return pixels, torch.from_numpy(self.tokens[chosen].astype(np.int64))


@torch.inference_mode()
def decoded(
    codec: VQCodec,
    sampled: NDArray[np.uint16],
    icons: list[Icon],
    photographs: list[Picture],
    *,
    pictures: int,
) -> Decoded:
    """Every sampled grid (N, h, w), and so many pictures, two in three of them re-quantised."""
    rng = np.random.default_rng(7)
    torch.manual_seed(7)
    tokens = [torch.from_numpy(sampled.astype(np.int64))]
    for start in range(0, pictures, 32):
        shown = [codec_picture(rng, icons, photographs) for _ in range(min(32, pictures - start))]
        pixels = torch.from_numpy(np.stack(shown))
        tokens.append(grids(codec, codec.encoder(pixels), pixels, rng, odd=0.67)[0])
    every = torch.cat(tokens)
    files = [(codec.decode(part) * 255).round().byte() for part in torch.split(every, 32)]
    return Decoded(torch.cat(files).numpy(), every.numpy().astype(np.int16))


def warm(reader: Reader, tutor: Reader) -> None:
    """Start from the tutor: what both have is copied, blocks counted from the first."""
    own, known = reader.state_dict(), tutor.state_dict()
    fitting = {k: v for k, v in known.items() if k in own and own[k].shape == v.shape}
    reader.load_state_dict(own | fitting)


def fit(codec: VQCodec, data: Decoded, *, steps: int, rate: float, checkpoint: Path) -> None:
    """Run all steps, keeping the reader in the checkpoint; goes on from there if it exists."""
    reader = codec.reader.train().requires_grad_(requires_grad=True)
    optimiser = Optimisers(reader, rate=rate)
    done = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        reader.load_state_dict(state["reader"])
        optimiser.load_state_dict(state["optimiser"])
        done = state["step"]
    started = time.monotonic()
    rng = np.random.default_rng(100 + done)
    shown: list[tuple[float, float, float]] = []
    for step in range(done, steps):
        cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
        optimiser.set_rate(rate * min(1, (step + 1) / 50) * (0.02 + 0.98 * cosine))
        pixels, tokens = data.batch(rng, BATCH)
        seen = reader(attacked(pixels, rng, groups=GROUPS))
        logits = codec.similarity(seen) / TEMPERATURE
        loss = F.cross_entropy(logits.flatten(0, 2), tokens.flatten())
        optimiser.step(loss)
        right = (logits.argmax(-1) == tokens).float().mean((1, 2))
        clean = BATCH // GROUPS
        shown.append((loss.item(), right[:clean].mean().item(), right[clean:].mean().item()))
        if (step + 1) % 50 == 0:
            loss_, clean_, hit = np.mean(shown[-50:], 0)
            spent = time.monotonic() - started
            print(
                f"{step + 1} {spent:.0f}s read {loss_:.3f} clean {clean_:.4f} attacked {hit:.4f}",
                flush=True,
            )
        if (step + 1) % 200 == 0 or step + 1 == steps:
            part = checkpoint.with_suffix(".part")
            torch.save(
                {
                    "reader": reader.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "step": step + 1,
                },
                part,
            )
            part.replace(checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--photographs", type=Path, help="folder of real photographs")
    parser.add_argument("--index", type=Path, help="CSV: file, split, permissive")
    parser.add_argument("--codec", type=Path, required=True, help="checkpoint with the tutor")
    parser.add_argument("--sampled", type=Path, help=".npy of grids (N, h, w)")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=2500)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=1e-3)
    options = parser.parse_args()
    tutored = VQCodec(TUTOR)
    tutored.load_state_dict(torch.load(options.codec, weights_only=True)["codec"])
    codec = VQCodec(VQConfig()).eval().requires_grad_(requires_grad=False)
    for part in ("encoder", "decoder"):
        getattr(codec, part).load_state_dict(getattr(tutored, part).state_dict())
    codec.codebook.copy_(tutored.codebook)
    warm(codec.reader, tutored.reader)
    codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    icons, _ = load_icons(options.icons)
    photographs = (
        load_photographs(options.photographs, options.index, split="train")
        if options.photographs
        else []
    )
    sampled = np.load(options.sampled) if options.sampled else np.empty((0, 16, 16), np.uint16)
    data = decoded(codec, sampled, icons, photographs, pictures=options.pictures)
    fit(codec, data, steps=options.steps, rate=options.rate, checkpoint=options.checkpoint)


if __name__ == "__main__":
    main()
