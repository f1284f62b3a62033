"""Fit the finder to a finished codec: `python -m generators.training.finder --help`.

It is shown windows of decoded pictures that were distorted, moved, cropped and resized back, and
learns at which of the 64 offsets the grid of tokens starts. Windows whose pitch is off by several
per cent, that are turned by degrees or mirrored, and photographs, have no right answer: there it
learns to be undecided, so that the frame with the surest answer is the one to read.
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

from generators.codecs.vq import STRIDE, VQCodec
from generators.training.codec import TUTOR
from generators.training.distort import attacked
from generators.training.icons import Picture, load_icons, load_photographs, tile
from generators.training.reader import Decoded, decoded

BATCH, GROUPS = 32, 8
WINDOW = 96  # px a side
PITCH, TURN = 0.012, 0.6  # how far off (share, degrees) a window may be and still have an answer
WRONG = 0.3  # of the windows have no answer


def window(pixels: Tensor, pose: tuple[float, float, float, float, float]) -> Tensor:
    """A window (3, w, w) of a picture, seen under (down, right, pitch, turn, hand).

    Its middle lies `down` and `right` px from the picture's; 1 / pitch px of the picture make a
    px of the window; turned by degrees; a hand of -1 mirrors it. Whole px are copied exactly.
    """
    down, right, pitch, turn, hand = pose
    side = pixels.shape[1]
    cosine, sine = math.cos(math.radians(turn)) / pitch, math.sin(math.radians(turn)) / pitch
    share = WINDOW / side
    back = torch.tensor(
        [
            [
                [cosine * share * hand, -sine * share, 2 * right / side],
                [sine * share * hand, cosine * share, 2 * down / side],
            ]
        ]
    )
    grid = F.affine_grid(back, [1, 3, WINDOW, WINDOW], align_corners=False)
    return F.grid_sample(
        pixels[None], grid, mode="bicubic", padding_mode="border", align_corners=False
    )[0].clamp(0, 1)


def right_pose(
    rng: np.random.Generator, side: int
) -> tuple[tuple[float, float, float, float, float], int]:
    """A pose with an answer, and the answer, 8 top + left."""
    reach = (side - WINDOW) // 2
    down, right = (int(n) for n in rng.integers(-reach, reach + 1, 2))
    first = ((side - WINDOW) // 2 + down, (side - WINDOW) // 2 + right)
    top, left = (-start % STRIDE for start in first)
    pitch, turn = 1.0, 0.0
    if rng.random() < 0.5:
        pitch = 1 + rng.uniform(-PITCH, PITCH)
        turn = rng.uniform(-TURN, TURN) * float(rng.random() < 0.5)
    return (down, right, pitch, turn, 1.0), STRIDE * top + left


def wrong_pose(rng: np.random.Generator, side: int) -> tuple[float, float, float, float, float]:
    """A pose without an answer: another pitch, turned, or mirrored."""
    reach = (side - WINDOW) // 2
    down, right = (float(n) for n in rng.integers(-reach, reach + 1, 2))
    match int(rng.integers(3)):
        case 0:
            off = rng.uniform(0.03, 0.35) * (1 if rng.random() < 0.5 else -0.8)
            return down, right, 1 + off, 0.0, 1.0
        case 1:
            turn = rng.uniform(2, 12) * (1 if rng.random() < 0.5 else -1)
            return down, right, 1.0, turn, 1.0
        case _:
            return down, right, 1.0, 0.0, -1.0


def wandered(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures (B, 3, H, W) as they come back from being resized or turned there and back."""
    side = pixels.shape[-1]
    if rng.random() < 0.5:
        there = round(side * rng.uniform(0.7, 1.6))
        away = F.interpolate(pixels, (there, there), mode="bicubic", antialias=True).clamp(0, 1)
        return F.interpolate(away, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    turn = math.radians(rng.uniform(-6, 6))
    for angle in (turn, -turn):
        cosine, sine = math.cos(angle), math.sin(angle)
        grid = F.affine_grid(
            torch.tensor([[[cosine, -sine, 0.0], [sine, cosine, 0.0]]]),
            [1, 3, side, side],
            align_corners=False,
        ).expand(len(pixels), -1, -1, -1)
        pixels = F.grid_sample(
            pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )
    return pixels


def example(
    data: Decoded, photographs: list[Picture], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Windows (B, 3, w, w) and what to answer (B, 64)."""
    pixels, _ = data.batch(rng, BATCH)
    if photographs:
        pixels[-2:] = torch.from_numpy(np.stack([tile(rng, photographs) for _ in range(2)]))
    pixels = torch.cat(
        [wandered(part, rng) if rng.random() < 0.5 else part for part in pixels.chunk(GROUPS)]
    )
    pixels = torch.cat([attacked(pixels[:-2], rng, groups=GROUPS), pixels[-2:]])
    answers = torch.full((BATCH, STRIDE**2), 1 / STRIDE**2)
    windows = []
    for n, picture in enumerate(pixels):
        if n >= BATCH - 2 or rng.random() < WRONG:
            pose = wrong_pose(rng, picture.shape[1])
        else:
            pose, answer = right_pose(rng, picture.shape[1])
            answers[n] = 0
            answers[n, answer] = 1
        windows.append(window(picture, pose))
    return torch.stack(windows), answers


def fit(
    codec: VQCodec,
    data: Decoded,
    photographs: list[Picture],
    *,
    steps: int,
    rate: float,
    checkpoint: Path,
) -> None:
    """Run all steps, keeping the finder in the checkpoint."""
    finder = codec.finder.train().requires_grad_(requires_grad=True)
    optimiser = torch.optim.AdamW(finder.parameters(), lr=rate, betas=(0.9, 0.98))
    rng = np.random.default_rng(11)
    started = time.monotonic()
    shown: list[tuple[float, float, float]] = []
    for step in range(steps):
        cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 50) * (0.02 + 0.98 * cosine)
        windows, answers = example(data, photographs, rng)
        found = finder(windows)
        loss = -(answers * found).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(finder.parameters(), 1.0)
        optimiser.step()
        clear = answers.max(1).values > 0.5
        hit = (found.argmax(1) == answers.argmax(1))[clear].float().mean()
        sure = found.detach().exp().max(1).values
        shown.append((loss.item(), hit.item(), sure[~clear].mean().item()))
        if (step + 1) % 50 == 0:
            loss_, hit_, wrong = np.mean(shown[-50:], 0)
            print(
                f"{step + 1} {time.monotonic() - started:.0f}s loss {loss_:.3f} "
                f"found {hit_:.3f} sure where there is none {wrong:.3f}",
                flush=True,
            )
        if (step + 1) % 200 == 0 or step + 1 == steps:
            part = checkpoint.with_suffix(".part")
            torch.save({"finder": finder.state_dict(), "step": step + 1}, part)
            part.replace(checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--photographs", type=Path, help="folder of real photographs")
    parser.add_argument("--index", type=Path, help="CSV: file, split, permissive")
    parser.add_argument("--codec", type=Path, required=True, help="checkpoint of the codec")
    parser.add_argument("--sampled", type=Path, help=".npy of grids (N, h, w)")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=900)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=1e-3)
    options = parser.parse_args()
    codec = VQCodec(TUTOR)
    codec.load_state_dict(torch.load(options.codec, weights_only=True)["codec"])
    codec.eval().requires_grad_(requires_grad=False)
    codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    icons, _ = load_icons(options.icons)
    photographs = (
        load_photographs(options.photographs, options.index, split="train")
        if options.photographs
        else []
    )
    sampled = np.load(options.sampled) if options.sampled else np.empty((0, 16, 16), np.uint16)
    data = decoded(codec, sampled, icons, photographs, pictures=options.pictures)
    fit(
        codec,
        data,
        photographs,
        steps=options.steps,
        rate=options.rate,
        checkpoint=options.checkpoint,
    )


if __name__ == "__main__":
    main()
