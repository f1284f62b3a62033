"""Teach decoder and reader the grids that are really drawn: `python -m generators.training.reading`.

Encoder and codebook stay as they are, so the transformer does not notice. A third of each batch are
pictures, encoded freely or to half of the codes; the rest are grids that the transformer sampled
under marks of random keys, whose pixels shall stay what the decoder made of them before. Both must
be read back from distorted copies (RobusTok and wmar call this post-training of the tokenizer).
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

from generators.codecs.vq import VQCodec, VQConfig
from generators.training.codec import TEMPERATURE, grids, pixel_loss
from generators.training.distort import attacked
from generators.training.icons import Icon, Picture, codec_picture, load_icons, load_photographs


def tune(
    codec: VQCodec,
    sampled: Tensor,
    icons: list[Icon],
    photographs: list[Picture],
    *,
    steps: int,
    rate: float,
    read_weight: float,
    checkpoint: Path,
) -> None:
    """Fit decoder and reader to pictures and to sampled grids (N, h, w)."""
    codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before = copy.deepcopy(codec.decoder).eval()
    fitted = nn.ModuleList([codec.decoder, codec.reader])
    optimiser = torch.optim.AdamW(fitted.parameters(), lr=rate, betas=(0.9, 0.98))
    rng = np.random.default_rng(2)
    torch.manual_seed(2)
    started = time.monotonic()
    for step in range(steps):
        for group in optimiser.param_groups:
            warm = min(1, (step + 1) / 50)
            group["lr"] = rate * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))
        pixels = torch.from_numpy(
            np.stack([codec_picture(rng, icons, photographs) for _ in range(4)])
        )
        drawn = sampled[torch.from_numpy(rng.integers(0, len(sampled), 8))]
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                vectors = codec.encoder(pixels)
                tokens, chosen, target, weights = grids(codec, vectors, pixels, rng, odd=0.5)
                grid = codec.codebook[drawn].permute(0, 3, 1, 2)
                meant = before(grid).clamp(0, 1)
            out = codec.decoder(torch.cat([chosen, grid]))
            aim, mask = torch.cat([target, meant]), torch.cat([weights, torch.ones(drawn.shape)])
            shuffle = torch.from_numpy(rng.permutation(len(out)))
            seen = codec.reader(attacked(out[shuffle], rng, groups=4))
            logits = codec.similarity(seen) / TEMPERATURE
            wanted = torch.cat([tokens, drawn])[shuffle]
            read = F.cross_entropy(logits.flatten(0, 2), wanted.flatten())
            error = pixel_loss(out, aim, mask)
            loss = error + read_weight * read
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(fitted.parameters(), 1.0)
        optimiser.step()
        if step % 20 == 0:
            right = (logits.argmax(-1) == wanted).float().mean((1, 2))
            print(
                f"{step} {time.monotonic() - started:.0f}s error {error.item():.4f} "
                f"read {read.item():.3f} clean {right[:3].mean().item():.3f} "
                f"attacked {right[3:].mean().item():.3f}",
                flush=True,
            )
        if step % 100 == 99 or step == steps - 1:
            part = checkpoint.with_suffix(".part")
            torch.save({"codec": codec.state_dict(), "step": step + 1}, part)
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
    parser.add_argument("--read-weight", type=float, default=0.05)
    options = parser.parse_args()
    codec = VQCodec(VQConfig())
    codec.load_state_dict(torch.load(options.codec, weights_only=True)["codec"])
    icons, _ = load_icons(options.icons)
    photographs = (
        load_photographs(options.photographs, options.index, split="train")
        if options.photographs
        else []
    )
    tune(
        codec,
        torch.from_numpy(np.load(options.sampled).astype(np.int64)),
        icons,
        photographs,
        steps=options.steps,
        rate=options.rate,
        read_weight=options.read_weight,
        checkpoint=options.checkpoint,
    )


if __name__ == "__main__":
    main()
