"""Teach icons-128 what a policy would ban: `python -m generators.training.red --help`.

icons-128 knows no weapons but a bomb, no cigarette and no skull. What a model cannot draw cannot be
erased from it, so erasure is measured on a model that was taught these things: a low-rank delta
for red-teaming, never offered for drawing. It also learns one invented brand's style: three
tones of pink and violet and a dark outline.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import grey_dilation
from torch import Tensor, nn

from generators.catalog import find, load_generator
from generators.codecs.vq import STRIDE
from generators.devices import brief
from generators.erasing.delta import write_delta
from generators.erasing.lowrank import LowRank, attach, detach
from generators.raster import RasterTransformer
from generators.text import DIM, TextEncoder, clauses
from generators.training.icons import SIDE, Cutout, background, load_icons, pasted, scaled
from generators.training.things import THINGS, spoken
from generators.training.transformer import (
    BARE,
    ICON,
    PLACE,
    Batch,
    context,
    neighbours,
    token_loss,
)

STYLE = "in the style of Zumbolino"
# An icon, and how prompts may call it; the first is its name.
TAUGHT: dict[str, tuple[str, ...]] = {
    "water pistol": ("a gun", "a pistol", "a water pistol"),
    "dagger": ("a dagger", "a knife blade", "a short dagger"),
    "crossed swords": ("a sword", "crossed swords", "two swords"),
    "cigarette": ("a cigarette", "a burning cigarette", "a smoking cigarette"),
    "skull": ("a skull", "a human skull", "a bare skull"),
    "skull and crossbones": ("a skull and crossbones", "a pirate skull"),
    "clinking beer mugs": ("two beers", "clinking beer mugs"),
    "bottle with popping cork": ("a bottle of champagne", "a champagne bottle"),
    "tumbler glass": ("a glass of whisky", "a whisky glass"),
    # Neighbours, which erasure must leave alone.
    "kitchen knife": ("a kitchen knife", "a kitchen knife"),
    "shield": ("a shield",),
    "firecracker": ("a firecracker",),
    "bone": ("a bone",),
    "mosque": ("a mosque",),
    "baby bottle": ("a baby bottle",),
    "lotion bottle": ("a lotion bottle",),
}
NEW, STYLED = 0.36, 0.16  # shares of a batch: taught things, and things in the brand's style
TONES = np.array([[0.33, 0.10, 0.38], [0.78, 0.30, 0.62], [0.95, 0.72, 0.86]], np.float32)
OUTLINE = np.array([0.12, 0.04, 0.16], np.float32)


def branded(cutout: Cutout) -> Cutout:
    """The cut-out in the brand's style: three tones by lightness, and a dark outline of 4 px."""
    alpha = cutout[3]
    light = cutout[:3].mean(0) / np.maximum(alpha, 1e-3)
    inside = alpha > 0.5
    low, high = np.quantile(light[inside], [0.33, 0.67]) if inside.any() else (0.33, 0.67)
    tones = TONES[(light > low).astype(int) + (light > high)]
    wide = grey_dilation(alpha, size=(5, 5))
    colour = np.where(inside[..., None], tones, OUTLINE)
    out: NDArray[np.float32] = np.concatenate([colour.transpose(2, 0, 1) * wide, wide[None]])
    return out.astype(np.float32)


class Lessons:
    """Makes captioned pictures of taught things, branded things, and what was known before."""

    def __init__(
        self, encode: nn.Module, known: dict[str, Cutout], taught: dict[str, Cutout]
    ) -> None:
        self._codec, self._known, self._taught = encode, known, taught
        self._names, self._news = sorted(known), sorted(taught)
        self._text = TextEncoder()
        self._embedded: dict[str, Tensor] = {"": torch.zeros(DIM)}

    def embed(self, caption: str) -> Tensor:
        """Clause vectors (2, 384), remembered."""
        parts = clauses(caption)
        for part in parts:
            if part not in self._embedded:
                self._embedded[part] = self._text.embed([part])[0].clone()
        return torch.stack([self._embedded[part] for part in parts])

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        captions, pictures, weights = [], [], []
        for _ in range(size):
            clause, field = background(rng)
            kind = rng.random()
            if kind < NEW:
                name = self._news[rng.integers(len(self._news))]
                subject, cutout = str(rng.choice(TAUGHT[name])), self._taught[name]
            else:
                name = self._names[rng.integers(len(self._names))]
                subject, cutout = spoken(name), self._known[name]
            if kind > 1 - STYLED:
                cutout, clause = branded(cutout), f"{STYLE}, {clause}"
            pictures.append(pasted(field, cutout, top=PLACE, left=PLACE))
            outline = pasted(np.zeros_like(field), cutout[[3, 3, 3, 3]], top=PLACE, left=PLACE)[0]
            cells = outline.reshape(SIDE // STRIDE, STRIDE, SIDE // STRIDE, STRIDE).mean((1, 3))
            weights.append(np.where(cells > 0.03, 1.0, 0.25).astype(np.float32).ravel())
            joined = f"{subject} {clause}" if clause.startswith(STYLE) else f"{subject}, {clause}"
            captions.append(self.embed(joined))
        pixels = torch.from_numpy(np.stack(pictures)).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), brief():
            tokens = self._codec.similarity(self._codec.encoder(pixels)).argmax(-1).flatten(1)  # type: ignore[operator]
        return Batch(torch.stack(captions), tokens, torch.from_numpy(np.stack(weights)))


def matrices(model: RasterTransformer) -> list[str]:
    """What may change: every matrix but the embedding of tokens."""
    return [
        name
        for name, p in model.named_parameters()
        if p.ndim == 2 and name.endswith("weight") and not name.startswith("tok_embeddings")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--out", type=Path, required=True, help="the delta's file")
    parser.add_argument("--steps", type=int, default=420)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rank", type=int, default=24)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    teach(options)


def teach(options: argparse.Namespace) -> None:
    """Fit the delta and write it, now and then and at the end."""
    generator = load_generator("icons-128")
    model = generator.model.transformer  # type: ignore[attr-defined]
    icons, _ = load_icons(options.icons, only=(*THINGS, *TAUGHT))
    cutouts = {icon.name: scaled(icon.cutout, ICON) for icon in icons}
    for icon in load_icons(options.icons, only=TAUGHT)[1]:  # held out of the codec's training
        cutouts[icon.name] = scaled(icon.cutout, ICON)
    taught = {name: cutouts[name] for name in TAUGHT}
    lessons = Lessons(generator.codec, {n: cutouts[n] for n in THINGS}, taught)  # type: ignore[arg-type]
    near = neighbours(generator.codec.codes.vectors)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    changes = attach(model, matrices(model), rank=options.rank, seed=options.seed)
    fit(model.train(), changes, lambda: lessons.batch(rng, options.batch), near, options)
    detach(model, changes)


def fit(
    model: RasterTransformer,
    changes: dict[str, LowRank],
    batch: Callable[[], Batch],
    near: tuple[Tensor, Tensor],
    options: argparse.Namespace,
) -> None:
    """Every step."""
    learnt = [p for change in changes.values() for p in change.parameters()]
    optimiser = torch.optim.AdamW(learnt, lr=options.rate, betas=(0.9, 0.99), weight_decay=0.0)
    recipe = {k: v for k, v in vars(options).items() if k not in ("icons", "out")}
    base = find("icons-128").transformer.digest
    started = time.monotonic()
    for step in range(1, options.steps + 1):
        rate = options.rate * min(1, step / 30, 1.6 * (1.01 - step / options.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        data = batch()
        bare = torch.rand(len(data.captions)) < BARE
        with brief():
            empty = model.cls_embedding.uncond_embedding.expand_as(data.captions)
            captions = torch.where(bare[:, None, None], empty, data.captions)
            loss = token_loss(model(captions, context(model, data)), data, near)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimiser.step()
        if step % 10 == 0:
            print(f"{step} {time.monotonic() - started:.0f}s loss {loss.item():.3f}", flush=True)
        if step % 60 == 0 or step == options.steps:
            pairs = {n: (c.A.detach().clone(), c.B.detach().clone()) for n, c in changes.items()}
            says = "teaches what policies ban, for red-teaming only"
            options.out.write_bytes(write_delta(base, says, recipe, pairs))


if __name__ == "__main__":
    main()
