"""Train the transformer of icons-128-scales: `python -m generators.training.scales --help`.

Layers, canvas and output start from icons-128. Every picture is new and quantised at every scale by
the encoder and codebook of icons-128, which icons-128-scales shares. So that a token
drawn wrongly is forgiven, the maps given to the next scale are damaged while the targets stay:
codes are replaced by their neighbours or by those of another picture, or left out. Targets are
softened over the codes nearest to the right one; a scale counts by its side, not by its tokens.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from generators.catalog import load_codec
from generators.codecs.pyramid import PyramidCodec, pooled
from generators.devices import brief
from generators.pyramid import PyramidTransformer, PyramidTransformerConfig, resized
from generators.text import TextEncoder
from generators.training.icons import load_icons, scaled
from generators.training.things import THINGS
from generators.training.transformer import (
    BARE,
    CANVAS,
    ICON,
    Batch,
    Recipe,
    Scenes,
    neighbours,
    optimisers,
    token_loss,
)

LAYERS = (0, 3, 5)  # of icons-128, which this one's layers start from
NEAR = 48  # neighbours that a context token may be replaced by


def start(model: PyramidTransformer, folder: Path) -> None:
    """Fill what icons-128 has from its transformer."""
    known = {k: v.float() for k, v in load_file(folder / "icons-128.safetensors").items()}
    config, own = model.config, model.state_dict()
    kept = {k: v for k, v in known.items() if k in own and own[k].shape == v.shape}
    for number, source in enumerate(LAYERS[: config.layers]):
        head = f"layers.{source}."
        kept |= {
            f"layers.{number}.{k.removeprefix(head)}": v
            for k, v in known.items()
            if k.startswith(head)
        }
    side = config.sides[-1]
    width = known["cls_embedding.canvas.weight"].shape[1]
    canvas = known["cls_embedding.canvas.weight"].reshape(side, side, -1, width)
    small = pooled(canvas.permute(3, 2, 0, 1), config.canvas_side)
    kept["cls_embedding.canvas.weight"] = small.permute(2, 3, 1, 0).flatten(0, 2)
    places = known["positions"].T.reshape(1, -1, side, side)
    kept["positions"] = torch.cat([resized(places, s)[0].flatten(1).T for s in config.sides])
    model.load_state_dict(own | kept)


@dataclass(frozen=True)
class Describe:
    """Pixels (B, 3, H, W) to the tokens of all scales (B, T)."""

    codec: PyramidCodec

    def __call__(self, pixels: Tensor) -> Tensor:
        with brief():
            vectors = self.codec.codec.vectors(pixels)
        found = self.codec.quantise(vectors.clone())
        return torch.cat([reading.tokens.flatten(1) for reading in found], 1)


class Fit:
    """A transformer being fitted: its optimisers and its step; resumes from the checkpoint."""

    def __init__(
        self, model: PyramidTransformer, codec: PyramidCodec, recipe: Recipe, checkpoint: Path
    ) -> None:
        self.model, self.codec, self.recipe, self.checkpoint = model, codec, recipe, checkpoint
        codebook = codec.codes.vectors
        self.near = neighbours(codebook)
        self.around = (codebook @ codebook.T).topk(NEAR).indices
        self.step = 0
        self.optimisers = optimisers(model, recipe.rate)
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True)
            model.load_state_dict(state["model"])
            for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(saved)
            self.step = state["step"]
        self.rng = np.random.default_rng(recipe.seed + self.step)
        torch.manual_seed(recipe.seed + self.step)

    def context(self, tokens: Tensor) -> list[Tensor]:
        """Code vectors of all scales but the last, (B, d, k, k), some damaged."""
        out = []
        rate = torch.rand(len(tokens), 1, 1) * 0.6
        for grid in self.codec.config.parts(tokens)[:-1]:
            moved = torch.rand(grid.shape) < rate
            near = self.around[grid].gather(-1, torch.randint(NEAR, (*grid.shape, 1)))[..., 0]
            damaged = torch.where(moved, near, grid)
            other = torch.rand(grid.shape) < rate / 6
            damaged = torch.where(other, damaged.roll(1, 0), damaged)
            lost = torch.rand(grid.shape) < torch.where(rate > 0.54, 1.0, rate / 6)
            out.append(self.codec.codes_of(damaged) * ~lost[:, None])
        return out

    def weighted(self, batch: Batch) -> Batch:
        """The batch with a weight for every token of every scale instead of every finest one."""
        finest = self.codec.config.sides[-1]
        cells = batch.weights.reshape(-1, 1, finest, finest)
        weights = [
            F.adaptive_max_pool2d(cells, side).flatten(1) * (finest / side)
            for side in self.codec.config.sides
        ]
        return Batch(batch.captions, batch.tokens, torch.cat(weights, 1))

    def asked(self) -> Tensor:
        """The tokens (N,) that the loss is of: all coarse ones, and half of the finest."""
        start, end = self.model.config.starts[-2:]
        some = torch.randperm(end - start)[: (end - start) // 2].sort().values
        return torch.cat([torch.arange(start), start + some])

    def advance(self, data: Batch) -> float:
        """One step; its loss."""
        rate = self.recipe.learning_rate(self.step)
        for optimiser, factor in zip(self.optimisers, (1, 1, CANVAS), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
        bare = torch.rand(len(data.captions)) < BARE
        data = self.weighted(data)
        with brief():
            empty = self.model.cls_embedding.uncond_embedding.expand_as(data.captions)
            captions = torch.where(bare[:, None, None], empty, data.captions)
            states = self.model.states(captions, self.context(data.tokens))
            asked = self.asked()
            data = Batch(captions, data.tokens[:, asked], data.weights[:, asked])
            loss = token_loss(self.model.output(states[:, asked]), data, self.near)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        return loss.item()

    @torch.no_grad()
    def unseen(self, batch: Batch) -> list[float]:
        """Nats a token at every scale, on pictures never seen."""
        parts = self.codec.config.parts(batch.tokens)
        with brief():
            logits = self.model(batch.captions, [self.codec.codes_of(g) for g in parts[:-1]])
        each = F.cross_entropy(
            logits.float().flatten(0, 1), batch.tokens.flatten(), reduction="none"
        ).view_as(batch.tokens)
        return [part.mean().item() for part in self.codec.config.parts(each)]

    def save(self) -> None:
        """Replace the checkpoint."""
        state = {
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step,
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.checkpoint)


def train(fit: Fit, scenes: Scenes) -> None:
    """Fit the transformer to scenes made for it."""
    unseen = scenes.batch(np.random.default_rng(10_000), 24)
    started = time.monotonic()
    while fit.step < fit.recipe.steps:
        loss = fit.advance(scenes.batch(fit.rng, fit.recipe.batch))
        if fit.step % 10 == 0:
            print(f"{fit.step} {time.monotonic() - started:.0f}s loss {loss:.3f}", flush=True)
        if fit.step % 20 == 0 or fit.step == fit.recipe.steps:
            fit.save()
        if fit.step % 100 == 0 or fit.step == fit.recipe.steps:
            shown = " ".join(f"{nats:.3f}" for nats in fit.unseen(unseen))
            print(f"{fit.step} unseen, scale by scale: {shown}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--weights", type=Path, default=Path("generators/weights"))
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    codec = load_codec("icons-128-scales")
    assert isinstance(codec, PyramidCodec), "its tokens are what this transformer predicts"
    icons, _ = load_icons(options.icons, only=THINGS)
    cutouts = {icon.name: scaled(icon.cutout, ICON) for icon in icons}
    recipe = Recipe(options.steps, options.batch, options.rate, options.seed)
    model = PyramidTransformer(PyramidTransformerConfig())
    start(model, options.weights)
    fit = Fit(model, codec, recipe, options.checkpoint)
    train(fit, Scenes(Describe(codec), cutouts, TextEncoder()))


if __name__ == "__main__":
    main()
