"""Train the transformer of icons-128: `python -m generators.training.transformer --help`.

Every grid is new: a thing in the middle of a background made for it, encoded by the frozen codec.
So that the caption is used and a wrong token forgiven, context tokens are dropped or replaced while
the targets stay, for three pictures in ten all of them. Targets are softened over
the codes nearest to the right one; tokens of the thing count more than those of the background.
Hidden matrices are fitted by Muon, the rest by AdamW.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from generators.codecs.vq import STRIDE, VQCodec
from generators.devices import brief
from generators.pyramid import PyramidTransformer
from generators.raster import RasterConfig, RasterTransformer
from generators.text import DIM, TextEncoder, clauses
from generators.training.codec import TUTOR
from generators.training.icons import SIDE, Cutout, background, load_icons, pasted, scaled
from generators.training.things import THINGS, spoken

ICON, PLACE = 112, 8  # px: every thing fills the middle, on the token raster
NEIGHBOURS = 8
CANVAS = 2.5  # times the rate for the canvas, which sees each thing rarely
BLIND = 0.3  # share of pictures drawn from the caption alone
BARE = 0.1  # share of pictures without a caption, for guidance


@dataclass(frozen=True)
class Batch:
    """Captions (B, 2, 384), tokens (B, T) and the weight of each (B, T)."""

    captions: Tensor
    tokens: Tensor
    weights: Tensor


class Scenes:
    """Makes captioned pictures of the things, and describes them as tokens (B, T)."""

    def __init__(
        self,
        describe: Callable[[Tensor], Tensor],
        cutouts: dict[str, Cutout],
        text: TextEncoder,
    ) -> None:
        self._describe = describe
        self._cutouts = cutouts
        self._names = sorted(cutouts)
        self._text = text
        self._known: dict[str, Tensor] = {"": torch.zeros(DIM)}

    def embed(self, caption: str) -> Tensor:
        """Clause vectors (2, 384), remembered."""
        parts = clauses(caption)
        for part in parts:
            if part not in self._known:
                self._known[part] = self._text.embed([part])[0].clone()
        return torch.stack([self._known[part] for part in parts])

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        captions, pictures, weights = [], [], []
        for _ in range(size):
            name = self._names[rng.integers(len(self._names))]
            clause, field = background(rng)
            cutout = self._cutouts[name]
            pictures.append(pasted(field, cutout, top=PLACE, left=PLACE))
            outline = pasted(np.zeros_like(field), cutout[[3, 3, 3, 3]], top=PLACE, left=PLACE)[0]
            cells = outline.reshape(SIDE // STRIDE, STRIDE, SIDE // STRIDE, STRIDE).mean((1, 3))
            weights.append(np.where(cells > 0.03, 1.0, 0.25).astype(np.float32).ravel())
            subject = spoken(name) if rng.random() < 0.8 else name
            captions.append(self.embed(subject if rng.random() < 0.1 else f"{subject}, {clause}"))
        pixels = torch.from_numpy(np.stack(pictures)).contiguous(memory_format=torch.channels_last)
        tokens = self._describe(pixels)
        return Batch(torch.stack(captions), tokens, torch.from_numpy(np.stack(weights)))


def describe(codec: VQCodec, pixels: Tensor) -> Tensor:
    """The tokens (B, T) of pictures, row by row."""
    with torch.no_grad(), brief():
        return codec.similarity(codec.encoder(pixels)).argmax(-1).flatten(1)


def neighbours(codebook: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest codes of each code and their shares, (V, 8) both."""
    similarity = codebook @ codebook.T
    similarity.fill_diagonal_(-1)
    best = similarity.topk(NEIGHBOURS, -1)
    return best.indices, (best.values / 0.05).softmax(-1)


def context(model: RasterTransformer, batch: Batch) -> Tensor:
    """Embedded tokens to predict from, (B, T - 1, dim), some replaced and some dropped."""
    tokens = batch.tokens[:, :-1]
    rate = torch.rand(len(tokens), 1) * 0.5
    rate[torch.rand(len(tokens), 1) < BLIND] = 2
    lost = torch.rand(tokens.shape) < rate / 2
    other = torch.rand(tokens.shape) < rate / 2
    swapped = torch.where(other, tokens.roll(1, 0), tokens)
    embedded: Tensor = model.tok_embeddings(swapped)
    return embedded * (~lost)[..., None]


def token_loss(logits: Tensor, batch: Batch, near: tuple[Tensor, Tensor]) -> Tensor:
    """Weighted cross-entropy, 0.85 on the right code and 0.15 over its neighbours."""
    logp = logits.float().log_softmax(-1)
    right = logp.gather(-1, batch.tokens[..., None])[..., 0]
    ids, shares = near
    soft = (logp.gather(-1, ids[batch.tokens]) * shares[batch.tokens]).sum(-1)
    return -((0.85 * right + 0.15 * soft) * batch.weights).sum() / batch.weights.sum()


@torch.no_grad()
def caption_gap(model: RasterTransformer, batch: Batch) -> tuple[float, float]:
    """Nats a token of the things, on grids never seen, with the right and with a wrong caption."""
    model.eval()
    losses = []
    for captions in (batch.captions, batch.captions.roll(1, 0)):
        with brief():
            logits = model(captions, model.tok_embeddings(batch.tokens[:, :-1])).float()
        each = F.cross_entropy(logits.flatten(0, 1), batch.tokens.flatten(), reduction="none")
        losses.append(each[batch.weights.flatten() == 1].mean().item())
    model.train()
    return losses[0], losses[1]


def optimisers(
    model: RasterTransformer | PyramidTransformer, rate: float
) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for embeddings, output and norms."""
    canvas = model.cls_embedding.canvas.weight
    hidden = [p for n, p in model.named_parameters() if n.startswith("layers.") and p.ndim == 2]
    known = {id(p) for p in (*hidden, canvas)}
    rest = [p for p in model.parameters() if id(p) not in known]
    return [
        torch.optim.Muon(hidden, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.95), weight_decay=0.01),
        torch.optim.AdamW([canvas], lr=rate, betas=(0.9, 0.99), weight_decay=0.0),
    ]


def start_from_codes(model: RasterTransformer, codebook: Tensor) -> None:
    """Start similar codes with similar embeddings: random images of the codebook, plus noise."""
    seed = torch.Generator().manual_seed(0)
    project = torch.randn(codebook.shape[1], model.config.dim, generator=seed)
    with torch.no_grad():
        for weight, size in ((model.tok_embeddings.weight, 0.5), (model.output.weight, 0.02)):
            weight.normal_(0, 0.3 * size, generator=seed).add_(codebook @ project, alpha=size)


@dataclass(frozen=True)
class Recipe:
    """How long and how hard to fit."""

    steps: int
    batch: int
    rate: float
    seed: int

    def learning_rate(self, step: int) -> float:
        """A short rise, a level, and a straight line down to nearly nothing."""
        return self.rate * min(1, (step + 1) / 100, 1.6 * (1.01 - step / self.steps))


class Fit:
    """A transformer being fitted: its optimisers and its step; resumes from the checkpoint."""

    def __init__(
        self, model: RasterTransformer, codebook: Tensor, recipe: Recipe, checkpoint: Path
    ) -> None:
        self.model, self.recipe, self.checkpoint = model, recipe, checkpoint
        self.near = neighbours(codebook)
        self.step = 0
        start_from_codes(model, codebook)
        self.optimisers = optimisers(model, recipe.rate)
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True)
            model.load_state_dict(state["model"])
            for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(saved)
            self.step = state["step"]
        self.rng = np.random.default_rng(recipe.seed + self.step)
        torch.manual_seed(recipe.seed + self.step)

    def advance(self, data: Batch) -> float:
        """One step; its loss."""
        rate = self.recipe.learning_rate(self.step)
        for optimiser, factor in zip(self.optimisers, (1, 1, CANVAS), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
        bare = torch.rand(len(data.captions)) < BARE
        with brief():
            empty = self.model.cls_embedding.uncond_embedding.expand_as(data.captions)
            captions = torch.where(bare[:, None, None], empty, data.captions)
            loss = token_loss(self.model(captions, context(self.model, data)), data, self.near)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        return loss.item()

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
    unseen = scenes.batch(np.random.default_rng(10_000), 48)
    started = time.monotonic()
    while fit.step < fit.recipe.steps:
        loss = fit.advance(scenes.batch(fit.rng, fit.recipe.batch))
        if fit.step % 20 == 0:
            print(f"{fit.step} {time.monotonic() - started:.0f}s loss {loss:.3f}", flush=True)
        if fit.step % 100 == 0 or fit.step == fit.recipe.steps:
            right, wrong = caption_gap(fit.model, unseen)
            print(f"{fit.step} unseen right {right:.3f} wrong {wrong:.3f}", flush=True)
            fit.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--codec", type=Path, required=True, help="checkpoint of the codec")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=2.5e-3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    codec = VQCodec(TUTOR)
    codec.load_state_dict(torch.load(options.codec, weights_only=True)["codec"])
    codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    icons, _ = load_icons(options.icons, only=THINGS)
    cutouts = {icon.name: scaled(icon.cutout, ICON) for icon in icons}
    recipe = Recipe(options.steps, options.batch, options.rate, options.seed)
    model = RasterTransformer(RasterConfig())
    fit = Fit(model, codec.codebook, recipe, options.checkpoint)
    train(fit, Scenes(partial(describe, codec.eval()), cutouts, TextEncoder()))


if __name__ == "__main__":
    main()
