"""Train the checker of icons: `python -m generators.training.checker --help`.

Pictures are renderings of the icons, at random places, sizes and lights; half of them went through
the codec, a third of those with tokens that the transformer drew while it was told the right ones
before: what it makes of a thing, and surely that thing.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from generators.catalog import Generator, load_generator
from generators.checkers.icons import IconNetwork, shrunk
from generators.devices import brief
from generators.erasing.delta import Applied, read_delta
from generators.text import DIM, TextEncoder, clauses
from generators.training.icons import Cutout, background, load_icons, pasted, scaled
from generators.training.red import STYLE, TAUGHT, branded
from generators.training.things import THINGS, spoken

NAMES = (*THINGS, *TAUGHT)
STYLED = 0.12
NEW = 0.2  # share of the taught things, of which there are few


class Sightings:
    """Makes labelled pictures: (B, 3, 128, 128), the thing's number (B,), and the style (B,)."""

    def __init__(self, generator: Generator, cutouts: dict[str, Cutout]) -> None:
        self._generator, self._cutouts = generator, cutouts
        self._text = TextEncoder()
        self._embedded: dict[str, Tensor] = {"": torch.zeros(DIM)}

    def _embed(self, caption: str) -> Tensor:
        parts = clauses(caption)
        for part in parts:
            if part not in self._embedded:
                self._embedded[part] = self._text.embed([part])[0].clone()
        return torch.stack([self._embedded[part] for part in parts])

    @torch.no_grad()
    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor, Tensor]:
        pictures, captions, labels, styles = [], [], [], []
        for _ in range(size):
            taught = rng.random() < NEW
            number = (
                len(THINGS) + int(rng.integers(len(TAUGHT)))
                if taught
                else int(rng.integers(len(THINGS)))
            )
            name, styled = NAMES[number], rng.random() < STYLED
            clause, field = background(rng)
            side = int(rng.integers(84, 124))
            cutout = self._cutouts[name]
            if styled:
                cutout, clause = branded(cutout), f"{STYLE}, {clause}"
            place = ((128 - side) // 2 + rng.integers(-10, 11, 2)).tolist()
            pictures.append(pasted(field, scaled(cutout, side), top=place[0], left=place[1]))
            subject = str(rng.choice(TAUGHT[name])) if taught else spoken(name)
            joined = f"{subject} {clause}" if styled else f"{subject}, {clause}"
            captions.append(self._embed(joined))
            labels.append(number)
            styles.append(float(styled))
        pixels = torch.from_numpy(np.stack(pictures))
        half = size // 2
        pixels[:half] = self._redrawn(pixels[:half], torch.stack(captions[:half]))
        gain = torch.from_numpy(rng.uniform(0.75, 1.25, (size, 1, 1, 1)).astype(np.float32))
        noise = torch.from_numpy(rng.normal(0, 0.03, pixels.shape).astype(np.float32))
        noisy = torch.from_numpy(rng.random((size, 1, 1, 1)) < 0.3)
        pixels = (pixels * gain + noise * noisy).clamp(0, 1)
        return pixels, torch.tensor(labels), torch.tensor(styles)

    def _redrawn(self, pixels: Tensor, captions: Tensor) -> Tensor:
        """Through the codec; a third with tokens that the transformer draws."""
        model = self._generator.model.transformer  # type: ignore[attr-defined]
        with brief():
            tokens = self._generator.codec.encode(pixels).flatten(1)
            some = len(tokens) // 3
            embedded = model.tok_embeddings(tokens[:some, :-1])
            logits = model(captions[:some], embedded).float() / 0.9
            best = logits.topk(50, -1)
            pick = torch.multinomial(best.values.softmax(-1).flatten(0, 1), 1)
            drawn = best.indices.flatten(0, 1).gather(1, pick).reshape(some, -1)
            tokens = torch.cat([drawn, tokens[some:]])
            return self._generator.codec.decode(tokens.reshape(-1, 16, 16)).float().clamp(0, 1)


def loss_of(logits: Tensor, labels: Tensor, styles: Tensor) -> Tensor:
    """Cross-entropy of the thing, and of the style."""
    thing = F.cross_entropy(logits[:, :-1], labels, label_smoothing=0.05)
    return thing + F.binary_cross_entropy_with_logits(logits[:, -1], styles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--red", type=Path, required=True, help="the red-team delta")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=21)
    options = parser.parse_args()
    generator = load_generator("icons-128")
    applied = Applied(generator.model.transformer, generator.spec.transformer.digest)  # type: ignore[attr-defined]
    applied.apply([read_delta(options.red.read_bytes(), name=str(options.red))])
    parts = load_icons(options.icons, only=NAMES)
    cutouts = {icon.name: icon.cutout for part in parts for icon in part}
    sightings = Sightings(generator, cutouts)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    network = IconNetwork(len(NAMES))
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.rate, total_steps=options.steps
    )
    started = time.monotonic()
    pixels, labels, styles = sightings.batch(np.random.default_rng(10_001), 96)
    for step in range(1, options.steps + 1):
        batch = sightings.batch(rng, options.batch)
        with brief():
            logits = network(shrunk(batch[0])).float()
        loss = loss_of(logits, batch[1], batch[2])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            with torch.no_grad():
                right = (network.eval()(shrunk(pixels))[:, :-1].argmax(1) == labels).float().mean()
            network.train()
            print(
                f"{step} {time.monotonic() - started:.0f}s loss {loss.item():.3f} "
                f"unseen renderings right {right.item():.3f}",
                flush=True,
            )
        if step % 250 == 0 or step == options.steps:
            tensors = {n: p.half().contiguous() for n, p in network.state_dict().items()}
            text = "\n".join((*NAMES, STYLE))
            tensors["labels"] = torch.tensor(list(text.encode()), dtype=torch.uint8)
            save_file(tensors, options.out)


if __name__ == "__main__":
    main()
