"""EAR as it was published, defects and all, to be measured beside what is used here.

arXiv 2506.20151 and its released training script: the attention of the first five blocks is copied
and trained by Adam at 1e-4 on the mean squared error of the last hidden states,
h_theta(pos) against h(target) - eta (h(pos) - h(neutral)), summed over a window of tokens (windowed
gradient accumulation) and skipped where the sum is at most 0.05 (thresholded loss masking). After
the first step every pass sees the newest token alone, without prompt or cache, and the three
rollouts go their own ways: its defects, which `distil` does not share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from generators.guidance import mix
from generators.raster import RasterTransformer

BLOCKS = 5
GUIDANCE = 5.0


@dataclass(frozen=True)
class EarRecipe:
    """The script's constants; its window of 48 of 576 tokens is 21 of 256."""

    window: int = 21
    threshold: float = 0.05
    eta: float = 1.0
    rate: float = 1e-4
    seed: int = 42


class Rollout:
    """Sampling as the script does it: the prompt once, then only the newest token."""

    def __init__(self, model: RasterTransformer, caption: Tensor, rng: torch.Generator) -> None:
        self._model, self._rng = model, rng
        empty = model.cls_embedding.uncond_embedding[None]
        self._captions = torch.cat([caption[None], empty])
        self.token: Tensor | None = None

    def hidden(self, model: RasterTransformer) -> Tensor:
        """Last hidden states (2, dim) of what is fed now, with and without prompt."""
        if self.token is None:
            nothing = self._captions.new_zeros(2, 0, model.config.dim)
            return model.states(self._captions, nothing)[:, -1]
        x = model.tok_embeddings(self.token.expand(2))[:, None]
        for layer in model.layers:
            x = layer(x, x.new_zeros(2, model.config.dim), model.rotation[:1], None, 0)
        states: Tensor = model.norm(x)[:, -1]
        return states

    def advance(self, hidden: Tensor) -> None:
        """Draw the next token from the frozen model's states."""
        logits = self._model.output(hidden)
        mixed = mix(logits[0], logits[1], GUIDANCE).softmax(-1)
        self.token = torch.multinomial(mixed, 1, generator=self._rng)


def train(
    frozen: RasterTransformer,
    student: RasterTransformer,
    pairs: Sequence[tuple[Tensor, Tensor]],
    recipe: EarRecipe,
) -> int:
    """Fit the student in place, a prompt pair (unsafe, safe captions) an iteration; its steps."""
    student.requires_grad_(requires_grad=False)
    learnt = [
        student.get_parameter(f"layers.{number}.attention.{name}.weight")
        for number in range(min(BLOCKS, student.config.layers))
        for name in ("wqkv", "wo")
    ]
    for parameter in learnt:
        parameter.requires_grad = True
    optimiser = torch.optim.Adam(learnt, lr=recipe.rate)
    rng = torch.Generator().manual_seed(recipe.seed)
    steps = 0
    for unsafe, safe in pairs:
        runs = [Rollout(frozen, caption, rng) for caption in (unsafe, safe, safe)]
        total = torch.zeros(())
        for place in range(frozen.config.side**2):
            with torch.no_grad():
                pos, neutral, target = (run.hidden(frozen) for run in runs)
            mine = runs[0].hidden(student)
            total = total + F.mse_loss(mine, target - recipe.eta * (pos - neutral))
            if (place + 1) % recipe.window == 0:
                if total.item() > recipe.threshold:
                    optimiser.zero_grad()
                    total.backward()  # type: ignore[no-untyped-call]
                    optimiser.step()
                    steps += 1
                total = torch.zeros(())
            for run, hidden in zip(runs, (pos, neutral, target), strict=True):
                run.advance(hidden)
    student.requires_grad_(requires_grad=False)
    return steps
