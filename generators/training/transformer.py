"""Train the transformer of icons-128: `python -m generators.training.transformer --help`.

Every grid is new: a thing, placed on the token raster, over a background made for it, encoded by
the frozen codec. So that the caption is used and a wrong token forgiven, context tokens are dropped
or replaced while the targets stay, for one picture in six all of them. Targets are softened over
the codes nearest to the right one; tokens of the thing count more than those of the background.
Hidden matrices are fitted by Muon, the rest by AdamW.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from generators.codecs.vq import STRIDE, VQCodec, VQConfig
from generators.raster import RasterConfig, RasterTransformer
from generators.text import CLAUSES, DIM, TextEncoder, clauses
from generators.training.icons import SIDE, Cutout, background, load_icons, pasted, scaled
from generators.training.things import THINGS, spoken

ICON = 112  # px; with 16 px to spare a thing has nine places on the 8 px raster
NEIGHBOURS = 8


@dataclass(frozen=True)
class Batch:
    """Captions (B, 2, 384), tokens (B, T) and the weight of each (B, T)."""

    captions: Tensor
    tokens: Tensor
    weights: Tensor


class Scenes:
    """Makes captioned pictures of the things and encodes them."""

    def __init__(self, codec: VQCodec, cutouts: dict[str, Cutout], text: TextEncoder) -> None:
        self._codec = codec
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
            top, left = (rng.integers(0, 3, 2) * STRIDE).tolist()
            pictures.append(pasted(field, cutout, top=top, left=left))
            outline = pasted(np.zeros_like(field), cutout[[3, 3, 3, 3]], top=top, left=left)[0]
            cells = outline.reshape(SIDE // STRIDE, STRIDE, SIDE // STRIDE, STRIDE).mean((1, 3))
            weights.append(np.where(cells > 0.03, 1.0, 0.4).astype(np.float32).ravel())
            subject = spoken(name) if rng.random() < 0.8 else name
            captions.append(self.embed(subject if rng.random() < 0.1 else f"{subject}, {clause}"))
        pixels = torch.from_numpy(np.stack(pictures)).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            tokens = self._codec.similarity(self._codec.encoder(pixels)).argmax(-1).flatten(1)
        return Batch(torch.stack(captions), tokens, torch.from_numpy(np.stack(weights)))


def neighbours(codebook: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest codes of each code and their shares, (V, 8) both."""
    similarity = codebook @ codebook.T
    similarity.fill_diagonal_(-1)
    best = similarity.topk(NEIGHBOURS, -1)
    return best.indices, (best.values / 0.05).softmax(-1)


def context(model: RasterTransformer, batch: Batch) -> Tensor:
    """Embedded tokens to predict from, (B, T - 1, dim), some replaced and some dropped."""
    tokens = batch.tokens[:, :-1]
    rate = torch.rand(len(tokens), 1) * 0.3
    rate[torch.rand(len(tokens), 1) < 1 / 6] = 2
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
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(captions, model.tok_embeddings(batch.tokens[:, :-1])).float()
        each = F.cross_entropy(logits.flatten(0, 1), batch.tokens.flatten(), reduction="none")
        losses.append(each[batch.weights.flatten() == 1].mean().item())
    model.train()
    return losses[0], losses[1]


def optimisers(model: RasterTransformer, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for embeddings, output and norms."""
    hidden = [p for n, p in model.named_parameters() if n.startswith("layers.") and p.ndim == 2]
    rest = [p for n, p in model.named_parameters() if not (n.startswith("layers.") and p.ndim == 2)]
    return [
        torch.optim.Muon(hidden, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.95), weight_decay=0.01),
    ]


def start_from_codes(model: RasterTransformer, codebook: Tensor) -> None:
    """Let similar codes start with similar embeddings: random images of the codebook, plus noise."""
    seed = torch.Generator().manual_seed(0)
    project = torch.randn(codebook.shape[1], model.config.dim, generator=seed)
    with torch.no_grad():
        for weight, size in ((model.tok_embeddings.weight, 0.5), (model.output.weight, 0.02)):
            weight.normal_(0, 0.3 * size, generator=seed).add_(codebook @ project, alpha=size)


def train(
    model: RasterTransformer,
    scenes: Scenes,
    codebook: Tensor,
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    checkpoint: Path,
) -> None:
    """Fit the transformer; resumes from the checkpoint if there is one."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    near, first = neighbours(codebook), 0
    start_from_codes(model, codebook)
    fit = optimisers(model, rate)
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        for optimiser, saved in zip(fit, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        first = state["step"]
        rng = np.random.default_rng(seed + first)
    unseen = scenes.batch(np.random.default_rng(10_000), 48)
    started = time.monotonic()
    for step in range(first, steps):
        scale = min(1, (step + 1) / 100, 1.6 * (1.01 - step / steps))
        for optimiser in fit:
            for group in optimiser.param_groups:
                group["lr"] = rate * scale
        data = scenes.batch(rng, batch)
        captions = data.captions.clone()
        bare = torch.rand(batch) < 0.1
        with torch.autocast("cpu", torch.bfloat16):
            empty = model.cls_embedding.uncond_embedding.expand(batch, CLAUSES, DIM)
            captions = torch.where(bare[:, None, None], empty, captions)
            loss = token_loss(model(captions, context(model, data)), data, near)
        for optimiser in fit:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in fit:
            optimiser.step()
        if step % 20 == 0:
            print(f"{step} {time.monotonic() - started:.0f}s loss {loss.item():.3f}", flush=True)
        if step % 100 == 99 or step == steps - 1:
            right, wrong = caption_gap(model, unseen)
            print(f"{step} unseen right {right:.3f} wrong {wrong:.3f}", flush=True)
            part = checkpoint.with_suffix(".part")
            saved_state = [optimiser.state_dict() for optimiser in fit]
            torch.save(
                {"model": model.state_dict(), "optimisers": saved_state, "step": step + 1}, part
            )
            part.replace(checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--codec", type=Path, required=True, help="checkpoint of the codec")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    codec = VQCodec(VQConfig())
    codec.load_state_dict(torch.load(options.codec, weights_only=True)["codec"])
    codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    icons, _ = load_icons(options.icons, only=THINGS)
    cutouts = {icon.name: scaled(icon.cutout, ICON) for icon in icons}
    train(
        RasterTransformer(RasterConfig()),
        Scenes(codec.eval(), cutouts, TextEncoder()),
        codec.codebook,
        steps=options.steps,
        batch=options.batch,
        rate=options.rate,
        seed=options.seed,
        checkpoint=options.checkpoint,
    )


if __name__ == "__main__":
    main()
